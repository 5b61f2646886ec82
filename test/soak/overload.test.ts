/** The overload soak in short, and that it would find what it looks for in a node that gets it wrong. */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { judge } from "../../bench/soak/overload/judge.js";
import { resultLines, runOverload, windowsOf, type OverloadResult } from "../../bench/soak/overload/soak.js";
import { startTarget, type Target } from "../../bench/soak/overload/target.js";
import { drive, type Streamed } from "../../bench/support/streams.js";

// Others may be at work on the machine while tests run, and take from the node and the client what they were measured to
// have. So latency is held to this run's own plus half a second, which a node that only queues is past after as long; and
// what the node can do may be half of it when it comes to the load, so that the throughput bound is for one that is busy
// with refusing.
it("finds a real node that serves what it can and refuses the rest while more comes than it can do", { timeout: 120_000 }, async () => {
  const result = await runOverload({
    seconds: 6,
    unloadedSeconds: 2,
    windowSeconds: 1,
    windows: windowsOf("work").slice(0, 3),
    seed: 20261126,
    over: 2,
    bounds: { latency: 3, latencyMs: 500, refusalMs: 500, goodput: 0.2 },
    start: () => startTarget("work", 3),
  });
  expect(result.found).toEqual([]);
  expect(result.loaded.served.length).toBeGreaterThan(50);
  expect(result.loaded.refused.length).toBeGreaterThan(50);
  expect(result.loaded.requests).toBe(result.loaded.served.length + result.loaded.refused.length);
  expect(resultLines(result, 2, 1).at(-1)).toMatch(
    /^\d+ requests, \d+ a second \(2 of \d+\) for \d+ s: \d+ % refused, 0 wrong; served p99 [\d.]+ of unloaded, goodput [\d.]+: 0 violations, seed 1$/,
  );
});

type Fault =
  | "does nothing wrong"
  | "lets a queue grow"
  | "refuses late"
  | "does not say when to come back"
  | "hangs up"
  | "fails"
  | "answers something else"
  | "is busy with refusing"
  | "refuses one that comes alone"
  | "complains in the end";

it.each<[Fault, RegExp]>([
  ["lets a queue grow", /^what was served took \d+\.\d ms \(p99\), \d+\.\d\d times the \d+\.\d ms without load; at most 10 times$/],
  ["refuses late", /^refusals took \d+\.\d ms \(p99\); at most 150 ms$/],
  ["does not say when to come back", /^under load: 503 without a Retry-After of a second or more/],
  ["hangs up", /^under load: the connection was closed without a whole answer/],
  ["fails", /^under load: it was answered "HTTP\/1\.1 500 /],
  ["answers something else", /^under load: 200 with "wrong" for "right"/],
  ["is busy with refusing", /^\d+ a second were served under load, \d+ % of the \d+ that the node can; at least 40 %$/],
  ["refuses one that comes alone", /^\d+ requests were refused that came one at a time \(\d+ capacity\/overloaded\)$/],
  ["complains in the end", /^it complained$/],
])("would find a node that %s", { timeout: 60_000 }, async (fault, reason) => {
  const { found, violations } = await faked(fault);
  expect(violations).toBeGreaterThan(0);
  expect(found.map(({ message }) => message)).toContainEqual(expect.stringMatching(reason));
});

it("has nothing against a node that does none of this", { timeout: 60_000 }, async () => {
  const { found, loaded } = await faked("does nothing wrong");
  expect(found).toEqual([]);
  expect(loaded.refused.length).toBeGreaterThan(20);
});

function streamed(served: readonly number[], refused: readonly number[]): Streamed {
  return { name: "", requests: 10, seconds: 1, served, refused, codes: {}, late: [], wrong: 0, shown: [] };
}

it("allows milliseconds above the times of latency where it is told so, and no more", () => {
  const found = (served: number): string[] =>
    judge(
      { unloaded: streamed([10], []), capacity: 1, loaded: streamed([served], []) },
      { latency: 3, latencyMs: 50, refusalMs: 50, goodput: 0.6 },
    );
  expect(found(80)).toEqual([]);
  expect(found(81)).toEqual(["what was served took 81.0 ms (p99), 8.10 times the 10.0 ms without load; at most 3 times and 50 ms"]);
});

it("says nothing of latency where nothing was served, but of what was not served", () => {
  const measured = { unloaded: streamed([1], []), capacity: 10, loaded: streamed([], [1]) };
  expect(judge(measured, { latency: 3, refusalMs: 50, goodput: 0.6 })).toEqual([
    "0 a second were served under load, 0 % of the 10 that the node can; at least 60 %",
  ]);
});

function faked(fault: Fault): Promise<OverloadResult> {
  return runOverload({
    seconds: 1,
    unloadedSeconds: 0.4,
    windowSeconds: 0.4,
    windows: [3],
    seed: 1,
    over: 1.6,
    bounds: { latency: 10, refusalMs: 150, goodput: 0.4 },
    drive,
    start: () => fakeTarget(fault),
  });
}

/** Two processors that take 5 ms for each request, room for two that wait, and something wrong. */
async function fakeTarget(fault: Fault): Promise<Target> {
  const [processors, room] = [2, fault === "lets a queue grow" ? Number.POSITIVE_INFINITY : 2];
  const line: ServerResponse[] = [];
  let [busy, count, refusedAt] = [0, 0, 0];
  const serve = (answer: ServerResponse): void => {
    busy++;
    setTimeout(() => {
      busy--;
      const wrong = fault === "answers something else" && ++count % 50 === 0;
      answer.end(wrong ? "wrong" : "right");
      const next = line.shift();
      if (next !== undefined) serve(next);
    }, 5);
  };
  const refuse = (answer: ServerResponse): void => {
    refusedAt = performance.now();
    if (fault === "hangs up") return void answer.destroy();
    if (fault === "fails") return void answer.writeHead(500).end();
    const when = fault === "does not say when to come back" ? {} : { "Retry-After": "1" };
    const body = JSON.stringify({ type: "https://pilotlight.dev/problems/capacity/overloaded" });
    setTimeout(
      () => answer.writeHead(503, { "Content-Type": "application/problem+json", ...when }).end(body),
      fault === "refuses late" ? 200 : 0,
    );
  };
  const server = createServer((_, answer) => {
    if (fault === "refuses one that comes alone" && busy === 0 && ++count % 3 === 0) refuse(answer);
    else if (fault === "is busy with refusing" && performance.now() - refusedAt < 100) refuse(answer);
    else if (busy < processors) serve(answer);
    else if (line.length < room) line.push(answer);
    else refuse(answer);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    expected: "right",
    about: `a server that ${fault}`,
    finish: async () => (fault === "complains in the end" ? ["it complained"] : []),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
