/**
 * Random histories of commands, stale names and late ones included, against the real engine. Whatever the order:
 * a run has exactly one ending and nothing after it, and everything goes back to where it was.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { useEngine } from "../support/engine.js";
import { History, SLOTS } from "./history.js";

const engine = useEngine({ instances: 16 });

const TARGETS = [
  "/",
  "/",
  "/trap",
  "/error",
  "/none",
  "/hang",
  "/loop",
  "/slow?pieces=20&ms=2",
  "/big?bytes=400000",
  "/read",
  "/after-end?ms=3",
  "/after-head-trap",
  "/handles",
  "/log",
];

type Act = (h: History) => unknown;

function named(text: string, act: Act): Act {
  return Object.assign(act, { [fc.toStringMethod]: () => text });
}

const slot = fc.nat(SLOTS - 1);
const which = fc.nat(1000);
const age = fc.constantFrom("current" as const, "next" as const, "next" as const, "old" as const);

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .tuple(slot, age, which, fc.constantFrom(...TARGETS), fc.boolean(), fc.boolean())
      .map(([s, a, program, target, last, credit]) =>
        named(`run ${s} ${a} ${target}${last ? " last" : ""}`, (h) => h.run(h.name(s, a), program, target, last, credit)),
      ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(slot, age, which).map(([s, a, program]) => named(`prepare ${s} ${a}`, (h) => h.prepare(h.name(s, a), program))),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(which, fc.nat(100_000))
      .map(([n, bytes]) => named(`chunk ${n} ${bytes}`, (h) => h.some(n, (run) => run.chunk(Buffer.alloc(bytes))))),
  },
  { weight: 1, arbitrary: which.map((n) => named(`end ${n}`, (h) => h.some(n, (run) => run.end()))) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(which, fc.nat(500_000))
      .map(([n, bytes]) => named(`credit ${n} ${bytes}`, (h) => h.some(n, (run) => run.credit(bytes)))),
  },
  { weight: 2, arbitrary: which.map((n) => named(`cancel ${n}`, (h) => h.some(n, (run) => run.cancel()))) },
  { weight: 2, arbitrary: fc.tuple(slot, age).map(([s, a]) => named(`retire ${s} ${a}`, (h) => engine.retire(h.name(s, a)))) },
  // Lets the engine have its say in between.
  {
    weight: 4,
    arbitrary: fc.integer({ min: 1, max: 20 }).map((turns) =>
      named(`wait ${turns}`, async () => {
        for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
      }),
    ),
  },
);

it("in any history of commands each run has one ending, nothing after it, and nothing is left over", { timeout: 60_000 }, async () => {
  const programs = await Promise.all([
    engine.program("behave-p3", { limits: { cpuMs: 30 } }),
    engine.program("behave-p2"),
    engine.program("behave-p3", { maxConcurrent: 3 }),
  ]);
  const endings = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 5, maxLength: 60, size: "max" }), fc.nat(9), async (history, end) => {
      const h = new History(engine, programs);
      for (const each of history) await each(h);
      expect(await h.finish(end > 0)).toEqual([]);
      for (const run of h.runs) endings.add(run.over === "settled" ? (await run.outcome()).kind : "lease-refused");
    }),
    { numRuns: 200, endOnFailure: true },
  );
  // The histories were worth it.
  expect([...endings]).toEqual(expect.arrayContaining(["cancelled", "lease-refused", "limit", "ok"]));
});
