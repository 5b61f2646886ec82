/**
 * Random histories of commands, stale names and late ones included, against the real engine. Whatever the order:
 * a run has exactly one ending and nothing after it, and everything goes back to where it was.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { http, useEngine, type InstanceName, type TestRun } from "../support/engine.js";

const engine = useEngine({ instances: 16 });

const TARGETS = ["/", "/", "/trap", "/error", "/none", "/hang", "/loop", "/slow?pieces=20&ms=2", "/big?bytes=400000", "/read", "/after-end?ms=3", "/after-head-trap", "/handles", "/log"];
const SLOTS = 4;
const HEARD = ["ready", "failed", "retired"] as const;
/** After their longest deadline (150 ms) runs that have not ended never will. */
const PATIENCE_MS = 3000;

type Act = (h: History) => unknown;

class History {
  readonly programs: readonly number[];
  readonly runs: TestRun[] = [];
  /** Runs under a generation that was over when they were sent. */
  readonly stale: TestRun[] = [];
  readonly #names: InstanceName[] = Array.from({ length: SLOTS }, () => engine.slot());
  /** Everything that was ever named. */
  readonly #used: InstanceName[] = [];
  readonly #prepared: InstanceName[] = [];

  constructor(programs: readonly number[]) {
    this.programs = programs;
  }

  /** The slot under its newest generation, a new one, or one that is long over. */
  name(slot: number, age: "current" | "next" | "old"): InstanceName {
    const current = this.#names[slot % SLOTS] as InstanceName;
    if (age === "old") return { ...current, generation: Math.max(0, current.generation - 2) };
    if (age === "next" && engine.saw("retired", current)) {
      const next = { ...current, generation: current.generation + 1 };
      this.#names[slot % SLOTS] = next;
      return next;
    }
    return current;
  }

  run(on: InstanceName, program: number, target: string, last: boolean, credit: boolean): void {
    const current = this.#names.find(({ slot }) => slot === on.slot) as InstanceName;
    const frame = http(target, target === "/read" ? { method: "POST", more: true } : {});
    const run = engine.run(this.programs[program % this.programs.length] as number, frame, { on, last, credit, deadlines: { head: 60, idle: 60, total: 150 } });
    this.runs.push(run);
    if (on.generation < current.generation && engine.saw("retired", current)) this.stale.push(run);
    this.#used.push(on);
  }

  prepare(on: InstanceName, program: number): void {
    this.#used.push(on);
    this.#prepared.push(on);
    engine.send({ kind: "prepare", ...on, program: this.programs[program % this.programs.length] as number });
  }

  some(n: number, act: (run: TestRun) => void): void {
    const run = this.runs[n % Math.max(1, this.runs.length)];
    if (run !== undefined) act(run);
  }

  /** What still runs is cancelled, or left to its deadlines; all that was ever named is retired. */
  async finish(cancel: boolean): Promise<void> {
    if (cancel) for (const run of this.runs) run.cancel();
    for (const on of this.#used) engine.retire(on);
    await engine.gauges(() => this.runs.every((run) => run.over !== undefined), PATIENCE_MS).catch((error: unknown) => {
      const open = this.runs.filter((run) => run.over === undefined);
      throw new Error(`without an end: ${JSON.stringify(open.map(({ handle, on, events }) => ({ handle, on, events })))}`, { cause: error });
    });
    // An instance is counted once it is made, of which something is always heard.
    await engine.gauges(() => this.#prepared.every((on) => HEARD.some((kind) => engine.saw(kind, on))), PATIENCE_MS);
    await engine.idle(PATIENCE_MS);
    expect(engine.port.stats()).toMatchObject({ instances: 0, runs: 0, guestBytes: 0, asks: 0 });
    for (const run of this.stale) expect(run.over).toBe("lease-refused");
    for (const run of this.runs) {
      const endings = run.events.filter(({ kind }) => kind === "settled" || kind === "lease-refused");
      expect(endings).toHaveLength(1);
      expect(run.events.at(-1)).toBe(endings[0]);
      if (run.over === "lease-refused") expect(run.events).toHaveLength(1);
    }
    expect(engine.violations).toEqual([]);
  }
}

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
      .map(([s, a, program, target, last, credit]) => named(`run ${s} ${a} ${target}${last ? " last" : ""}`, (h) => h.run(h.name(s, a), program, target, last, credit))),
  },
  { weight: 2, arbitrary: fc.tuple(slot, age, which).map(([s, a, program]) => named(`prepare ${s} ${a}`, (h) => h.prepare(h.name(s, a), program))) },
  { weight: 2, arbitrary: fc.tuple(which, fc.nat(100_000)).map(([n, bytes]) => named(`chunk ${n} ${bytes}`, (h) => h.some(n, (run) => run.chunk(Buffer.alloc(bytes))))) },
  { weight: 1, arbitrary: which.map((n) => named(`end ${n}`, (h) => h.some(n, (run) => run.end()))) },
  { weight: 1, arbitrary: fc.tuple(which, fc.nat(500_000)).map(([n, bytes]) => named(`credit ${n} ${bytes}`, (h) => h.some(n, (run) => run.credit(bytes)))) },
  { weight: 2, arbitrary: which.map((n) => named(`cancel ${n}`, (h) => h.some(n, (run) => run.cancel()))) },
  { weight: 2, arbitrary: fc.tuple(slot, age).map(([s, a]) => named(`retire ${s} ${a}`, (h) => engine.retire(h.name(s, a)))) },
  // Lets the engine have its say in between.
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 20 }).map((turns) => named(`wait ${turns}`, async () => {
    for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
  })) },
);

it("in any history of commands each run has one ending, nothing after it, and nothing is left over", { timeout: 60_000 }, async () => {
  const programs = await Promise.all([engine.program("behave-p3", { limits: { cpuMs: 30 } }), engine.program("behave-p2"), engine.program("behave-p3", { maxConcurrent: 3 })]);
  const endings = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 5, maxLength: 60, size: "max" }), fc.nat(9), async (history, end) => {
      const h = new History(programs);
      for (const each of history) await each(h);
      await h.finish(end > 0);
      for (const run of h.runs) endings.add(run.over === "settled" ? (await run.outcome()).kind : "lease-refused");
    }),
    { numRuns: 200, endOnFailure: true },
  );
  // The histories were worth it.
  expect([...endings].sort()).toEqual(["cancelled", "guest-error", "lease-refused", "limit", "ok", "platform", "trap"]);
});
