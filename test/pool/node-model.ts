/**
 * A node as the pool sees it: an engine that obeys, runs that come and go, and a judge of every command.
 *
 * The engine here is honest about what is legal (`native/core/src/engine.rs` and `instance.rs`): an unused slot,
 * a newer generation, an instance that is there. Anything else that the pool commands is an error, and so is
 * every promise of the pool that is broken after a step.
 */
import { Pool, type PoolCommand, type PoolEvent, type PoolOptions, type PoolProgram } from "../../src/pool/pool.js";

interface Instance {
  readonly slot: number;
  readonly generation: number;
  readonly program: number;
  readonly runs: Set<number>;
  readonly born: number;
  state: "starting" | "alive";
  served: number;
  /** No run may be granted on it any more. */
  closed: boolean;
  /** The pool has let it go: it takes up no capacity. */
  released: boolean;
  /** The engine has announced its end. */
  ending: boolean;
}

interface Run {
  readonly program: number;
  readonly deadline: number;
  state: "asking" | "waiting" | "leased" | "over";
  instance?: Instance;
}

/** Something that the engine, or a client, will do; a history chooses when. */
interface Pending {
  readonly what: string;
  deliver(): void;
}

export class NodeModel {
  readonly pool: Pool;
  readonly options: PoolOptions;
  readonly pending: Pending[] = [];
  now = 0;
  granted = 0;
  refused = 0;
  doubled = 0;
  readonly #programs = new Map<number, PoolProgram & { removed: boolean }>();
  readonly #instances = new Map<number, Instance>();
  readonly #generations = new Map<number, number>();
  readonly #runs = new Map<number, Run>();
  readonly #forgotten = new Set<number>();
  #nextRun = 1;

  constructor(options: PoolOptions) {
    this.options = options;
    this.pool = new Pool(options);
  }

  add(program: PoolProgram): void {
    this.#programs.set(program.program, { ...program, removed: false });
    this.step({ kind: "add", program });
  }

  remove(program: number): void {
    const known = this.#programs.get(program);
    if (known !== undefined) known.removed = true;
    this.step({ kind: "remove", program });
  }

  warm(program: number): void {
    this.step({ kind: "warm", program });
  }

  demand(program: number, patience: number): void {
    const run = this.#nextRun++;
    this.#runs.set(run, { program, deadline: this.now + patience, state: "asking" });
    this.step({ kind: "demand", run, program, deadline: this.now + patience });
    const asked = this.#run(run);
    if (asked.state === "asking") asked.state = "waiting";
  }

  /** Withdraws the `n`th run that waits, if any does. */
  withdraw(n: number): void {
    const waiting = this.#waiting();
    const found = waiting[n % Math.max(1, waiting.length)];
    if (found === undefined) return;
    this.#end(found[0], "waiting");
    this.step({ kind: "withdraw", run: found[0] });
  }

  /** Time passes; ticks if the pool wanted to be woken by then, as the runtime's timer does. */
  pass(milliseconds: number): void {
    this.now += milliseconds;
    if (this.pool.nextWake() <= this.now) this.step({ kind: "tick" });
  }

  deliver(n: number): void {
    if (this.pending.length === 0) return;
    const at = n % this.pending.length;
    const [next] = this.pending.splice(at, 1);
    next?.deliver();
  }

  /** Everything ends: programs are removed, runs settle, deadlines pass. */
  finish(): void {
    for (const [id, program] of this.#programs) if (!program.removed) this.remove(id);
    for (let round = 0; round < 10_000 && (this.pending.length > 0 || this.#waiting().length > 0); round++) {
      while (this.pending.length > 0) this.deliver(0);
      this.pass(1_000_000);
    }
    const open = [...this.#runs].filter(([, run]) => run.state !== "over");
    check(open.length === 0, `runs without an answer: ${open.map(([id]) => id)}`);
    check(this.#instances.size === 0, `instances left: ${[...this.#instances.keys()]}`);
    check(this.#forgotten.size === this.#programs.size, "not every removed program was forgotten");
    const counts = JSON.stringify(this.pool.counts());
    check(counts === '{"idle":0,"busy":0,"starting":0,"ending":0,"waiting":0}', `left in the pool: ${counts}`);
    check(this.pool.nextWake() === Number.POSITIVE_INFINITY, "the pool wants to be woken for nothing");
  }

  step(event: PoolEvent): void {
    const commands = this.pool.step(this.now, event);
    for (const command of commands) this.#obey(command);
    for (const run of this.#runs.values()) if (run.state === "asking") run.state = "waiting";
    this.#judge();
  }

  #obey(command: PoolCommand): void {
    switch (command.kind) {
      case "prepare": {
        const instance = this.#make(command.slot, command.generation, command.program, "starting");
        this.#later(`start ${command.slot}/${command.generation}`, () => this.#started(instance));
        return;
      }
      case "grant":
        return this.#grant(command);
      case "refuse": {
        this.#end(command.run, "asking", "waiting");
        this.refused++;
        return;
      }
      case "retire": {
        const instance = this.#instances.get(command.slot);
        check(this.#generations.get(command.slot) !== undefined, `retire of slot ${command.slot}, which never was`);
        // A stale name is ignored: the instance is gone already.
        if (instance?.generation !== command.generation) return;
        check(instance.runs.size === 0, `retire of ${command.slot} while runs are on it`);
        instance.closed = true;
        instance.released = true;
        this.#mayEnd(instance);
        return;
      }
      case "forget": {
        const program = this.#programs.get(command.program);
        check(program?.removed === true && !this.#forgotten.has(command.program), `forget of ${command.program}`);
        this.#forgotten.add(command.program);
        const of = [...this.#instances.values()].filter((i) => i.program === command.program && !i.released);
        check(of.length === 0, `program ${command.program} is forgotten with instances`);
        check(
          this.#waiting().every(([, run]) => run.program !== command.program),
          `program ${command.program} is forgotten with runs`,
        );
      }
    }
  }

  #grant({ run: id, slot, generation, last, rung }: PoolCommand & { kind: "grant" }): void {
    const run = this.#run(id);
    check(run.state === "asking" || run.state === "waiting", `run ${id} is ${run.state} and is granted a lease`);
    check(run.deadline > this.now || run.state === "asking", `run ${id} is granted a lease after its deadline`);
    const terms = this.#programs.get(run.program) as PoolProgram;
    check(!this.#forgotten.has(run.program), `run ${id} of a forgotten program`);
    const instance = rung === "own/linked" ? this.#make(slot, generation, run.program, "alive") : this.#instances.get(slot);
    const name = `${slot}/${generation}`;
    check(instance?.generation === generation, `run ${id} is granted ${name}, which is not there`);
    check(instance.program === run.program, `run ${id} of ${run.program} is granted an instance of ${instance.program}`);
    check(instance.state === "alive" && !instance.closed, `run ${id} is granted ${name}, which takes no more`);
    instance.runs.add(id);
    instance.served++;
    if (instance.runs.size > 1) this.doubled++;
    check(instance.runs.size <= terms.reuse.maxConcurrent, `${instance.runs.size} runs on ${name}`);
    check(instance.served <= terms.reuse.maxRequests, `${instance.served} runs served by ${name}`);
    check(last === (instance.served === terms.reuse.maxRequests), `the lease of run ${id} says last: ${last}`);
    const leased = [...this.#runs.values()].filter((r) => r.program === run.program && r.state === "leased").length;
    check(leased < terms.concurrency, `${leased + 1} runs of program ${run.program} at once`);
    if (last) instance.closed = true;
    run.state = "leased";
    run.instance = instance;
    this.granted++;
    this.#later(`settle ${id}`, () => this.settle(id, "sound"));
  }

  /** The run ends: well, so that its instance is lost, with a lot of memory, or without having begun. */
  settle(id: number, how: "sound" | "unsound" | "fat" | "refused"): void {
    const run = this.#runs.get(id);
    if (run?.state !== "leased") return;
    const instance = run.instance as Instance;
    const terms = this.#programs.get(run.program) as PoolProgram & { removed: boolean };
    const alone = instance.runs.size === 1;
    run.state = "over";
    instance.runs.delete(id);
    if (how !== "sound" || terms.removed || this.now - instance.born >= terms.reuse.maxAge) instance.closed = true;
    // The engine ends by itself what its last lease closed and what a run has spoilt.
    const endsItself = alone && (how === "unsound" || how === "refused" || instance.served === terms.reuse.maxRequests);
    if (instance.closed && alone) instance.released = true;
    if (how === "refused") {
      // Nothing has begun, so the run asks again, also for a program that was removed meanwhile.
      run.state = "asking";
      this.step({ kind: "lease-refused", run: id, deadline: run.deadline });
      if (endsItself) this.#mayEnd(instance);
      // It may be too late for that.
      this.pass(0);
      return;
    }
    this.step({ kind: "settled", run: id, sound: how !== "unsound", memoryBytes: how === "fat" ? terms.reuse.maxMemory + 1 : 1 });
    if (endsItself) this.#mayEnd(instance);
  }

  /** Runs that hold a lease. */
  leased(): number[] {
    return [...this.#runs].filter(([, run]) => run.state === "leased").map(([id]) => id);
  }

  /** Forgets what is over, so that long histories stay quick. */
  sweep(): void {
    for (const [id, run] of this.#runs) if (run.state === "over") this.#runs.delete(id);
  }

  /** An instance is lost while it lies idle. */
  lose(n: number): void {
    const idle = [...this.#instances.values()].filter((i) => i.state === "alive" && i.runs.size === 0 && !i.ending);
    const instance = idle[n % Math.max(1, idle.length)];
    if (instance === undefined) return;
    instance.ending = true;
    this.#gone(instance, "retired");
  }

  #started(instance: Instance): void {
    if (instance.ending) return;
    instance.state = "alive";
    this.step({ kind: "ready", slot: instance.slot, generation: instance.generation });
  }

  /** A prepare that did not work out. */
  fail(n: number): void {
    const starting = [...this.#instances.values()].filter((i) => i.state === "starting" && !i.ending);
    const instance = starting[n % Math.max(1, starting.length)];
    if (instance === undefined) return;
    instance.ending = true;
    this.#gone(instance, "failed");
  }

  #mayEnd(instance: Instance): void {
    if (instance.ending || instance.runs.size > 0) return;
    instance.ending = true;
    this.#later(`end ${instance.slot}/${instance.generation}`, () => this.#gone(instance, "retired"));
  }

  #gone(instance: Instance, kind: "retired" | "failed"): void {
    instance.closed = true;
    instance.released = true;
    this.#instances.delete(instance.slot);
    this.step({ kind, slot: instance.slot, generation: instance.generation });
  }

  #make(slot: number, generation: number, program: number, state: Instance["state"]): Instance {
    check(!this.#instances.has(slot), `slot ${slot} is in use`);
    check(generation > (this.#generations.get(slot) ?? 0), `generation ${generation} of slot ${slot} was used before`);
    check(this.#programs.has(program) && !this.#forgotten.has(program), `an instance of program ${program}, which is not there`);
    this.#generations.set(slot, generation);
    const instance: Instance = {
      slot,
      generation,
      program,
      runs: new Set(),
      born: this.now,
      state,
      served: 0,
      closed: false,
      released: false,
      ending: false,
    };
    this.#instances.set(slot, instance);
    return instance;
  }

  #end(id: number, ...from: Run["state"][]): void {
    const run = this.#run(id);
    check(from.includes(run.state), `run ${id} is ${run.state} and is answered again`);
    run.state = "over";
  }

  #run(id: number): Run {
    const run = this.#runs.get(id);
    check(run !== undefined, `there is no run ${id}`);
    return run;
  }

  #waiting(): [number, Run][] {
    return [...this.#runs].filter(([, run]) => run.state === "waiting");
  }

  #later(what: string, deliver: () => void): void {
    this.pending.push({ what, deliver });
  }

  /** What holds after every step. */
  #judge(): void {
    const living = [...this.#instances.values()].filter((instance) => !instance.released);
    check(living.length <= this.options.capacity, `${living.length} instances in a capacity of ${this.options.capacity}`);
    const waiting = this.#waiting();
    check(waiting.length <= this.options.queue, `${waiting.length} runs wait`);
    check(this.pool.counts().waiting === waiting.length, `the pool says that ${this.pool.counts().waiting} wait; ${waiting.length} do`);
    for (const [id, run] of waiting) this.#judgeWaiting(id, run, living);
    const earliest = Math.min(...waiting.map(([, run]) => run.deadline));
    check(this.pool.nextWake() <= earliest, "the pool sleeps past a deadline");
  }

  /** Work is conserved: a run waits only for its own task's limit, or for a node on which nothing is free. */
  #judgeWaiting(id: number, run: Run, living: readonly Instance[]): void {
    const terms = this.#programs.get(run.program) as PoolProgram;
    check(terms.whenFull === "wait", `run ${id} waits, and its task says reject`);
    const leased = [...this.#runs.values()].filter((r) => r.program === run.program && r.state === "leased").length;
    if (leased >= terms.concurrency) return;
    check(living.length >= this.options.capacity, `run ${id} waits, and there is room`);
    const idle = living.find((i) => i.state === "alive" && i.runs.size === 0);
    check(idle === undefined, `run ${id} waits, and ${idle?.slot}/${idle?.generation} lies idle`);
    const shared = living.find(
      (i) => i.program === run.program && i.state === "alive" && !i.closed && i.runs.size < terms.reuse.maxConcurrent,
    );
    check(shared === undefined, `run ${id} waits, and could share ${shared?.slot}/${shared?.generation}`);
  }
}

function check(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Error(otherwise);
}
