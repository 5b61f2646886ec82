/** The client of benches and soaks: when it asks, and what it says of the answers of a little server. */
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { Random } from "../../bench/soak/support/random.js";
import { arrivals, drive, type Pace, type Streamed } from "../../bench/support/streams.js";
import { percentile } from "../../bench/support/statistics.js";

describe("the arrivals of an open stream", () => {
  const gaps = (times: readonly number[]): number[] => times.map((at, i) => at - (times[i - 1] ?? 0));

  it("come at the rate, in order, within the time", () => {
    const times = arrivals(1000, 20, new Random(1));
    expect(Math.abs(times.length - 20_000)).toBeLessThan(600);
    expect(gaps(times).every((gap) => gap > 0)).toBe(true);
    expect(times.at(-1)).toBeLessThan(20_000);
  });

  it("are independent: the gaps vary as much as they are long", () => {
    const all = gaps(arrivals(1000, 20, new Random(2)));
    const mean = all.reduce((sum, gap) => sum + gap, 0) / all.length;
    const deviation = Math.sqrt(all.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / all.length);
    expect(deviation / mean).toBeGreaterThan(0.9);
    expect(deviation / mean).toBeLessThan(1.1);
    expect(percentile(all, 50) / mean).toBeCloseTo(Math.LN2, 1);
  });

  it("are the same again with the same seed, and others with another", () => {
    const [one, again, other] = [3, 3, 4].map((seed) => arrivals(100, 1, new Random(seed)));
    expect(again).toEqual(one);
    expect(other).not.toEqual(one);
  });
});

let server: Server | undefined;
afterEach(() => {
  server?.close();
  server?.closeAllConnections();
});

/** One stream to a server that answers so. */
async function streamed(listener: RequestListener, pace: Pace, connections: number, seconds: number, host?: string): Promise<Streamed> {
  const listening = createServer(listener);
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(listening.address() as AddressInfo).port}/path?n=1`;
  const stream = { name: "it", url, expected: "yes", pace, connections, seed: 1, ...(host === undefined ? {} : { host }) };
  return (await drive([stream], seconds))[0] as Streamed;
}

it("asks for the path at the host, and counts what is served", async () => {
  const asked = new Set<string>();
  const result = await streamed(
    (message, answer) => {
      asked.add(`${message.method} ${message.headers.host}${message.url}`);
      answer.end("yes");
    },
    { kind: "open", rate: 100 },
    4,
    0.5,
    "a.example",
  );
  expect([...asked]).toEqual(["GET a.example/path?n=1"]);
  expect(result).toMatchObject({ name: "it", refused: [], wrong: 0, shown: [] });
  expect(result.seconds).toBeGreaterThanOrEqual(0.5);
  expect(result.served).toHaveLength(result.requests);
  expect(result.requests).toBeGreaterThan(20);
});

it("counts from when a request was due: waiting for a connection is in its time", async () => {
  const slow: RequestListener = (_, answer) => setTimeout(() => answer.end("yes"), 50);
  const { served, late } = await streamed(slow, { kind: "open", rate: 100 }, 1, 0.5);
  expect(served.length).toBeGreaterThan(20);
  // Each waits for all before it: the last one about as long as all of them together take.
  expect(Math.max(...served)).toBeGreaterThan((served.length * 50) / 2);
  expect(Math.max(...late)).toBeGreaterThan((served.length * 50) / 2 - 50);
});

it("keeps so many on their way at once, and asks one at a time where that is said", async () => {
  for (const [pace, most] of [
    [{ kind: "closed", atOnce: 3, pause: 10 }, 3],
    [{ kind: "single", gap: 2 }, 1],
  ] as const) {
    let [now, peak] = [0, 0];
    const { served, requests } = await streamed(
      (_, answer) => {
        peak = Math.max(peak, ++now);
        setTimeout(() => {
          now--;
          answer.end("yes");
        }, 5);
      },
      pace,
      most,
      0.3,
    );
    expect(peak).toBe(most);
    expect(served).toHaveLength(requests);
    expect(requests).toBeGreaterThan(10);
  }
});

it("stays away for a while after a refusal", async () => {
  const body = JSON.stringify({ type: "https://pilotlight.dev/problems/capacity/node-full" });
  const { codes, requests, served } = await streamed(
    (_, answer) => answer.writeHead(503, { "Content-Type": "application/problem+json", "Retry-After": "1" }).end(body),
    { kind: "closed", atOnce: 2, pause: 50 },
    2,
    0.4,
  );
  expect(served).toEqual([]);
  expect(codes).toEqual({ "capacity/node-full": requests });
  expect(requests).toBeGreaterThan(4);
  expect(requests).toBeLessThanOrEqual(18);
});

it("takes a closed connection as wrong, shows it, and goes on over a new one", async () => {
  let count = 0;
  const { wrong, shown, served } = await streamed(
    (message, answer) => (++count % 2 === 0 ? message.socket.destroy() : answer.end("yes")),
    { kind: "single", gap: 2 },
    1,
    0.3,
  );
  expect(wrong).toBeGreaterThan(3);
  expect(Math.abs(wrong - served.length)).toBeLessThanOrEqual(1);
  expect(shown[0]).toMatch(/^the connection was closed without a whole answer \(after [\d.]+ ms\)$|^ECONNRESET/);
});
