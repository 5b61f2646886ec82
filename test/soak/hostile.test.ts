/** The hostile soak in short: the same requests against the same node, a few hundred of them. */
import { expect, it } from "vitest";
import { differences, runHostile } from "../../bench/soak/hostile/soak.js";

it(
  "answers good requests rightly among hostile ones, blames each ending on who caused it, and keeps nothing of any",
  { timeout: 90_000 },
  async () => {
    const options = { steps: 300, seed: 20261124, atOnce: 32, warmup: 100, growth: 128 * 2 ** 20 };
    const { found, hostile, requests } = await runHostile(options);
    expect(found).toEqual([]);
    expect(requests).toBe(300);
    expect(hostile).toBeGreaterThan(15);
  },
);

it("tells what is left behind from what was there before", () => {
  const held = (instances: number, sockets: number): Parameters<typeof differences>[0] => ({
    runtimes: [
      {
        engine: { instances, runs: 0, programs: 1, guestBytes: 0, connections: 0, asks: 0, capacity: 8, allocator: "pooling" },
        pool: { idle: 0, busy: 0, starting: 0, ending: 0, waiting: 0 },
        liveRuns: 0,
        code: { load: 0, link: 0 },
      },
    ],
    files: { socket: sockets, "/dev/null": 1 },
    rss: 0,
    heap: 0,
  });
  expect(differences(held(2, 5), held(2, 4))).toEqual([]);
  expect(differences(held(2, 5), held(3, 6))).toEqual([
    "socket was open 5 times, now 6",
    expect.stringMatching(/^runtime p2 held .*"instances":2.*, now .*"instances":3/),
  ]);
});
