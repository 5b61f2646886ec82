/** One history of commands on the real engine: names that go stale, runs that may be anywhere, and how it all ends. */
import { http, type InstanceName, type TestEngine, type TestRun } from "../support/engine.js";

/** Slots that a history is about. */
export const SLOTS = 4;
const HEARD = ["ready", "failed", "retired"] as const;
/** After their longest deadline (150 ms) runs that have not ended never will. */
const PATIENCE_MS = 3000;

export class History {
  readonly #engine: TestEngine;
  readonly programs: readonly number[];
  readonly runs: TestRun[] = [];
  /** Runs under a generation that was over when they were sent. */
  readonly stale: TestRun[] = [];
  readonly #names: InstanceName[];
  /** Everything that was ever named. */
  readonly #used: InstanceName[] = [];
  readonly #prepared: InstanceName[] = [];

  constructor(engine: TestEngine, programs: readonly number[]) {
    this.#engine = engine;
    this.programs = programs;
    this.#names = Array.from({ length: SLOTS }, () => engine.slot());
  }

  /** The slot under its newest generation, a new one, or one that is long over. */
  name(slot: number, age: "current" | "next" | "old"): InstanceName {
    const current = this.#names[slot % SLOTS] as InstanceName;
    if (age === "old") return { ...current, generation: Math.max(0, current.generation - 2) };
    if (age === "next" && this.#engine.saw("retired", current)) {
      const next = { ...current, generation: current.generation + 1 };
      this.#names[slot % SLOTS] = next;
      return next;
    }
    return current;
  }

  run(on: InstanceName, program: number, target: string, last: boolean, credit: boolean): void {
    const current = this.#names.find(({ slot }) => slot === on.slot) as InstanceName;
    const frame = http(target, target === "/read" ? { method: "POST", more: true } : {});
    const run = this.#engine.run(this.programs[program % this.programs.length] as number, frame, {
      on,
      last,
      credit,
      deadlines: { head: 60, idle: 60, total: 150 },
    });
    this.runs.push(run);
    if (on.generation < current.generation && this.#engine.saw("retired", current)) this.stale.push(run);
    this.#used.push(on);
  }

  prepare(on: InstanceName, program: number): void {
    this.#used.push(on);
    this.#prepared.push(on);
    this.#engine.send({ kind: "prepare", ...on, program: this.programs[program % this.programs.length] as number });
  }

  some(n: number, act: (run: TestRun) => void): void {
    const run = this.runs[n % Math.max(1, this.runs.length)];
    if (run !== undefined) act(run);
  }

  /** What still runs is cancelled, or left to its deadlines; all that was ever named is retired. The promises that were broken. */
  async finish(cancel: boolean): Promise<string[]> {
    const engine = this.#engine;
    if (cancel) for (const run of this.runs) run.cancel();
    for (const on of this.#used) engine.retire(on);
    await engine.gauges(() => this.runs.every((run) => run.over !== undefined), PATIENCE_MS).catch(() => {});
    // An instance is counted once it is made, of which something is always heard.
    await engine.gauges(() => this.#prepared.every((on) => HEARD.some((kind) => engine.saw(kind, on))), PATIENCE_MS);
    await engine.idle(PATIENCE_MS);
    const { guestBytes, asks } = engine.port.stats();
    if (guestBytes + asks > 0) engine.violations.push(`${guestBytes} bytes and ${asks} asks are left`);
    return [...engine.violations.splice(0), ...this.runs.flatMap((run) => brokenBy(run)), ...this.stale.flatMap((run) => grantedTo(run))];
  }
}

function brokenBy(run: TestRun): string[] {
  const name = `run ${run.handle} on ${run.on.slot}/${run.on.generation}`;
  const endings = run.events.filter(({ kind }) => kind === "settled" || kind === "lease-refused").length;
  if (endings !== 1) return [`${name} has ${endings} endings: ${run.kinds().join()}`];
  if (run.events.at(-1)?.kind !== run.over) return [`${name} does not end with its ending: ${run.kinds().join()}`];
  if (run.over === "lease-refused" && run.events.length > 1) return [`${name} was refused its lease and ran: ${run.kinds().join()}`];
  return [];
}

function grantedTo(run: TestRun): string[] {
  return run.over === "lease-refused" ? [] : [`run ${run.handle} has run under the stale name ${run.on.slot}/${run.on.generation}`];
}
