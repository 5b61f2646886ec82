/**
 * A node as the pool sees it: an engine that obeys or loses things, runs that come and go, and a clock that jumps.
 *
 * Every command is held against what is legal and promised when it comes; `judge.ts` looks at the whole of it between
 * steps. Nothing here knows how the pool decides.
 */
import type { Forecast } from "../../../src/forecast/forecast.js";
import type { Pool } from "../../../src/pool/pool.js";
import {
  NO_TERMS,
  type Ending,
  type Grant,
  type PoolCommand,
  type PoolEvent,
  type PoolProgram,
  type PoolSettings,
  type SubPool,
  type TenantTerms,
  type WhenFull,
} from "../../../src/pool/types.js";
import { Bag, type Bagged } from "./bag.js";
import { check, EngineModel, type EngineInstance, type EngineProgram } from "./engine.js";

/** What the model needs of a pool; a broken one can stand in for it. */
export type PoolLike = Pick<Pool, "step" | "nextWake" | "counts" | "cells" | "programs" | "view" | "keptFrom" | "isPutOff">;

export interface NodeOptions {
  readonly slots: number;
  readonly callSlots: number;
  readonly parallelism: number;
  readonly queue: number;
  readonly settings: PoolSettings;
  readonly forecast: Forecast;
}

export type MakePool = (options: NodeOptions) => PoolLike;

/** How a run ends: with the engine's own verdicts, with more memory than its instance may keep, or not begun at all. */
export type How = Ending | "fat" | "refused";

export interface Run extends Bagged {
  readonly id: number;
  readonly program: EngineProgram;
  /** In the model's time. */
  readonly deadline: number;
  state: "asking" | "waiting" | "leased" | "expired" | "over";
  readonly deferrable: boolean;
  instance: EngineInstance | undefined;
  /** How many runs wait for it, one for the other; 0: none. */
  readonly depth: number;
  /** Until when its lease lasts, in time that passes steadily. */
  leasedUntil: number;
  readonly lease: number;
  /** The engine says nothing about it any more, or will refuse it. */
  isSilent: boolean;
  isRefused: boolean;
}

/** Something that the engine will do; chance decides when. */
interface Pending extends Bagged {
  readonly deliver: () => void;
}

export interface Tenant {
  readonly name: string;
  terms: TenantTerms;
  isDraining: boolean;
}

/** Time that passes at once, from which on the clock has jumped. */
export const JUMP = 5_000;
/** When a silent lease is given up after its end: grace, and how often it is looked at. */
export const EXPIRY = 3_000;
const GRACE = 2_000;
/** What sums of times may be wrong by. */
export const ROUNDING = 0.01;
/** Calls from the first run to the last. */
const DEEPEST = 8;
/** Ticks at one moment, after which the pool spins. */
const MOST_TICKS = 8;

export class NodeModel {
  readonly pool: PoolLike;
  readonly options: NodeOptions;
  readonly engine = new EngineModel();
  readonly pending = new Bag<Pending>();
  readonly waiting = new Bag<Run>();
  readonly leased = new Bag<Run>();
  /** Runs that the pool has given up and the engine has not. */
  readonly ghosts = new Bag<Run>();
  readonly tenants = new Map<string, Tenant>();
  settings: PoolSettings;
  isDraining = false;
  /** The driver's clock, which jumps; the time that has passed in all; and that without jumps ahead. */
  clock = 0;
  time = 0;
  steady = 0;
  readonly counts = { granted: 0, refused: 0, shared: 0, expired: 0, raised: 0, reclaimed: 0, called: 0, reserved: 0 };
  /** Called before the operator changes anything, when what was too much must not have grown. */
  beforeChange: () => void = () => {};
  readonly #runs = new Map<number, Run>();
  #nextRun = 1;
  #nextProgram = 1;
  /** What is being stepped, so that a command can be held against it. */
  #event: PoolEvent = { kind: "tick" };
  readonly #ends: EngineInstance[] = [];

  constructor(options: NodeOptions, makePool: MakePool) {
    this.options = options;
    this.settings = options.settings;
    this.pool = makePool(options);
  }

  tenant(name: string): Tenant {
    let tenant = this.tenants.get(name);
    if (tenant === undefined) this.tenants.set(name, (tenant = { name, terms: NO_TERMS, isDraining: false }));
    return tenant;
  }

  add(said: Omit<PoolProgram, "program">, bytes: number): EngineProgram {
    const terms: PoolProgram = { ...said, program: this.#nextProgram++ };
    this.tenant(terms.tenant);
    const program: EngineProgram = {
      terms,
      code: terms.code,
      isRaising: false,
      isRemoved: false,
      isForgotten: false,
      bytes,
      existing: 0,
      living: 0,
      leased: 0,
      waiting: 0,
      raiseFailures: 0,
      raisePausedUntil: 0,
    };
    this.engine.programs.set(terms.program, program);
    this.step({ kind: "add", program: terms });
    return program;
  }

  remove(program: EngineProgram): void {
    if (program.isRemoved) return;
    program.isRemoved = true;
    this.step({ kind: "remove", program: program.terms.program });
  }

  try(program: EngineProgram): void {
    this.step({ kind: "try", program: program.terms.program });
  }

  amend(program: EngineProgram, pool: SubPool, whenFull: WhenFull): void {
    if (program.isRemoved) return;
    program.terms = { ...program.terms, pool, whenFull };
    this.step({ kind: "amend", program: program.terms.program, pool, whenFull });
  }

  terms(name: string, terms: TenantTerms): void {
    this.beforeChange();
    this.tenant(name).terms = terms;
    this.step({ kind: "terms", tenant: name, terms });
  }

  configure(settings: PoolSettings): void {
    this.beforeChange();
    this.settings = settings;
    this.step({ kind: "configure", settings });
  }

  drain(tenant?: string): void {
    if (tenant === undefined) this.isDraining = true;
    else this.tenant(tenant).isDraining = true;
    this.step(tenant === undefined ? { kind: "drain" } : { kind: "drain", tenant });
    for (const { program } of this.waiting.items) {
      const isSpared = tenant !== undefined && tenant !== program.terms.tenant;
      check(isSpared, () => `a run of ${program.terms.tenant} waits though its tenant was drained`);
    }
  }

  resume(tenant?: string): void {
    if (tenant === undefined) this.isDraining = false;
    else this.tenant(tenant).isDraining = false;
    this.step(tenant === undefined ? { kind: "resume" } : { kind: "resume", tenant });
  }

  drainCell(n: number): void {
    const cells = [...this.engine.cells.keys()];
    if (cells.length > 0) this.step({ kind: "drain", cell: cells[n % cells.length] as number });
  }

  isDrained({ terms }: EngineProgram): boolean {
    return this.isDraining || this.tenant(terms.tenant).isDraining;
  }

  demand(program: EngineProgram, patience: number, lease: number, deferrable: boolean): void {
    this.#demand(program, patience, lease, deferrable, undefined);
  }

  /** A run that goes on calls a program, and waits for that: it has its place at once or not, or waits for its code alone. */
  call(n: number, program: EngineProgram, patience: number): void {
    const caller = this.leased.pick(n);
    if (caller === undefined || caller.isRefused || caller.depth >= DEEPEST) return;
    const run = this.#demand(program, patience, Math.max(1, caller.leasedUntil - this.steady), false, caller);
    this.counts.called++;
    check(run.state !== "waiting" || program.isRaising, () => `run ${run.id}, for which another waits, waits for room`);
  }

  #demand(program: EngineProgram, patience: number, lease: number, deferrable: boolean, caller: Run | undefined): Run {
    const id = this.#nextRun++;
    const run: Run = {
      id,
      program,
      deadline: this.time + patience,
      state: "asking",
      deferrable,
      instance: undefined,
      depth: caller === undefined ? 0 : caller.depth + 1,
      leasedUntil: 0,
      lease,
      isSilent: false,
      isRefused: false,
      bagAt: 0,
    };
    this.#runs.set(id, run);
    const { program: number } = program.terms;
    const priority = deferrable ? "deferrable" : "interactive";
    const asked = { kind: "demand", run: id, program: number, deadline: this.clock + patience, lease, priority } as const;
    this.step(caller === undefined ? asked : { ...asked, parent: caller.id });
    return run;
  }

  withdraw(n: number): void {
    const run = this.waiting.pick(n);
    if (run === undefined) return;
    this.#leaveLine(run);
    run.state = "over";
    this.#runs.delete(run.id);
    this.step({ kind: "withdraw", run: run.id });
  }

  /** Time passes: a driver that sleeps until `nextWake()` ticks. More than `JUMP` at once is a clock that jumps ahead. */
  pass(milliseconds: number): void {
    const until = this.clock + milliseconds;
    if (milliseconds > JUMP) {
      // From when on it jumped the pool cannot know, if it has not heard of the time just before.
      this.step({ kind: "tick" });
      this.#advance(milliseconds);
    }
    for (let ticks = 0; this.pool.nextWake() <= until; ticks++) {
      const sleeps = Math.max(0, this.pool.nextWake() - this.clock);
      if (sleeps > 0) ticks = 0;
      check(ticks < MOST_TICKS, () => `the pool wants to be woken again and again at ${this.clock}`);
      this.#advance(sleeps);
      this.step({ kind: "tick" });
    }
    this.#advance(until - this.clock);
  }

  #advance(milliseconds: number): void {
    this.clock += milliseconds;
    this.time += milliseconds;
    if (milliseconds <= JUMP) this.steady += milliseconds;
  }

  /** The clock goes back, and no time passes since the pool last heard of it. */
  goBack(milliseconds: number): void {
    this.step({ kind: "tick" });
    this.clock -= milliseconds;
    this.step({ kind: "tick" });
  }

  deliver(n: number): void {
    const next = this.pending.pick(n);
    if (next === undefined) return;
    this.pending.remove(next);
    next.deliver();
  }

  /** A run ends. */
  settle(n: number, how: How): void {
    const run = this.leased.pick(n);
    if (run === undefined || run.isSilent || run.isRefused) return;
    if (how === "refused") this.#refuse(run);
    else this.#settle(run, how);
  }

  /** The engine falls silent about a run. */
  silence(n: number): void {
    const run = this.leased.pick(n);
    if (run !== undefined && !run.isRefused) run.isSilent = true;
  }

  /** The end of a run comes after its lease was given up, under its old token: it changes nothing. */
  settleLate(n: number): void {
    const run = this.ghosts.pick(n);
    if (run === undefined) return;
    this.ghosts.remove(run);
    const instance = run.instance as EngineInstance;
    instance.ghosts--;
    this.#unchanged(this.#endOf(run, "sound", 1));
    if (instance.isReleased) this.#mayEnd(instance);
  }

  /** Says again, or falsely, what names no lease and no instance that there is. */
  echo(n: number): void {
    const slot = n % 16;
    const [run, generation] = [n % Math.max(1, this.#nextRun - 1), 1_000_000 + n];
    if (!this.#runs.has(run)) {
      this.#unchanged({
        kind: "settled",
        run,
        slot,
        generation,
        ending: "unsound",
        memoryBytes: 9,
        startNanoseconds: 0,
        waitNanoseconds: 0,
      });
      this.#unchanged({ kind: "lease-refused", run, deadline: this.clock + 100 });
    }
    this.#unchanged({ kind: "retired", slot, generation });
    this.#unchanged({ kind: "ready", slot, generation, nanoseconds: 5 });
    this.#unchanged({ kind: "failed", slot, generation });
    this.#unchanged({ kind: "withdraw", run: -1 });
  }

  /** An instance is lost, with whatever runs on it; the pool hears of it later. */
  lose(n: number): void {
    const instance = this.engine.instances.pick(n);
    if (instance === undefined || instance.isLost || instance.isStarting || instance.isEnding) return;
    instance.isLost = true;
    this.#later(() => this.#gone(instance, "retired"));
  }

  /** A `prepare` does not work out. */
  fail(n: number): void {
    const instance = this.engine.instances.pick(n);
    if (instance === undefined || !instance.isStarting || instance.isEnding) return;
    instance.isEnding = true;
    this.#gone(instance, "failed");
  }

  /** A program's compiled form comes or goes; an unused instance of it was measured. */
  learn(program: EngineProgram, n: number): void {
    const { terms, code } = program;
    if (program.isForgotten) return;
    if (n % 2 === 0) return this.step({ kind: "footprint", program: terms.program, bytes: 20_000 + (n % 1000) * 1000 });
    if (code === "linked" || program.isRaising) return;
    program.code = n % 4 === 1 ? "stored" : "compiled";
    this.step({ kind: "code", program: terms.program, code: program.code });
  }

  step(event: PoolEvent): void {
    this.#event = event;
    for (const command of this.pool.step(this.clock, event)) this.#obey(command);
    // What a settled run leaves to the engine's own end.
    for (let instance = this.#ends.pop(); instance !== undefined; instance = this.#ends.pop()) this.#mayEnd(instance);
    if (event.kind !== "demand") return;
    const run = this.#runs.get(event.run);
    if (run?.state === "asking") this.#enterLine(run);
  }

  /** Everything ends: programs are removed, runs settle, leases run out, deadlines pass. */
  finish(): void {
    for (const program of this.engine.programs.values()) this.remove(program);
    for (let round = 0; round < 200; round++) {
      while (this.pending.size > 0) this.deliver(0);
      for (const run of this.leased.items.slice()) if (!run.isSilent && !run.isRefused) this.#settle(run, "sound");
      while (this.ghosts.size > 0) this.settleLate(0);
      if (this.leased.size + this.waiting.size + this.pending.size + this.engine.instances.size === 0) break;
      this.pass(JUMP);
    }
    for (let rounds = 0; this.pool.nextWake() < Number.POSITIVE_INFINITY && rounds < 100; rounds++) {
      this.pass(Math.max(0, this.pool.nextWake() - this.clock));
    }
    this.#judgeEnd();
  }

  #judgeEnd(): void {
    check(this.#runs.size === 0, () => `runs without an answer: ${[...this.#runs.keys()]}`);
    check(this.engine.instances.size === 0, () => `${this.engine.instances.size} instances are left`);
    for (const { isForgotten, terms } of this.engine.programs.values()) {
      check(isForgotten, () => `program ${terms.program} was removed, and is not forgotten`);
    }
    const counts = JSON.stringify(this.pool.counts());
    check(counts === '{"idle":0,"busy":0,"starting":0,"ending":0,"waiting":0}', () => `left in the pool: ${counts}`);
    for (const { cell, pool, state, chargedBytes } of this.pool.cells()) {
      check(state === (pool === "dedicated" ? "active" : "warming"), () => `cell ${cell} of ${pool} is ${state} at the end`);
      check(chargedBytes === 0, () => `cell ${cell} is charged ${chargedBytes} at the end`);
    }
    check(this.pool.view().lobbyChargedBytes === 0, () => "the lobby is charged at the end");
    check(this.pool.nextWake() === Number.POSITIVE_INFINITY, () => `the pool wants to be woken for nothing`);
  }

  #obey(command: PoolCommand): void {
    switch (command.kind) {
      case "prepare":
        return this.#prepare(command);
      case "grant":
        return this.#grant(command);
      case "refuse":
        return this.#refused(command);
      case "retire":
        return this.#retire(command);
      case "expire":
        return this.#expire(command);
      case "raise": {
        const program = this.engine.raise(command);
        this.#later(() => this.#raised(program));
        return;
      }
      case "lower":
        return this.engine.lower(command);
      case "forget":
        return this.engine.forget(command);
      case "cell":
        return this.engine.cell(command);
      case "close-cell":
        return this.engine.closeCell(command);
    }
  }

  #prepare({ slot, generation, program: id, cell, charge }: PoolCommand & { kind: "prepare" }): void {
    const program = this.engine.program(id);
    check(!program.isRemoved, () => `an instance of program ${id} is made ahead, which was removed`);
    check(!this.isDrained(program) || cell === 0, () => `an instance of ${program.terms.tenant} is made ahead, which is drained`);
    check(cell !== 0 || this.#event.kind === "try", () => `an instance is made in the lobby, and nobody tried`);
    const instance = this.engine.make(slot, generation, program, cell, true, this.time);
    instance.charge = charge;
    this.#later(() => this.#started(instance));
  }

  #started(instance: EngineInstance): void {
    if (instance.isGone || !instance.isStarting) return;
    instance.isStarting = false;
    const { slot, generation } = instance;
    this.step({ kind: "ready", slot, generation, nanoseconds: 1000 * (10 + (generation % 500)) });
  }

  #grant(grant: Grant): void {
    const { run: id, slot, generation, program: number, cell, fresh, last } = grant;
    const run = this.#run(id);
    check(run.state === "asking" || run.state === "waiting", () => `run ${id} is ${run.state} and is granted a lease`);
    check(run.state === "asking" || run.deadline + ROUNDING > this.time, () => `run ${id} is granted a lease after its deadline`);
    const { program } = run;
    const { terms } = program;
    check(number === terms.program, () => `run ${id} of ${terms.program} is granted an instance of ${number}`);
    this.engine.program(number);
    const instance = fresh ? this.engine.make(slot, generation, program, cell, false, this.time) : this.engine.at(slot, generation);
    const name = `${slot}/${generation}`;
    check(instance !== undefined, () => `run ${id} is granted ${name}, which is not there`);
    check(instance.program === program, () => `run ${id} of ${number} is granted an instance of ${instance.program.terms.program}`);
    check(!instance.isStarting && !instance.isClosed, () => `run ${id} is granted ${name}, which takes no more`);
    const at = instance.cell?.id ?? 0;
    check(at === cell, () => `run ${id} is granted ${name} in cell ${cell}, and it is in ${at}`);
    if (instance.cell === undefined) this.#checkReserve(grant, run);
    else this.#checkTerms(grant, program);
    instance.runs++;
    instance.served++;
    if (instance.runs > 1) this.counts.shared++;
    check(instance.runs <= terms.reuse.maxConcurrent, () => `${instance.runs} runs on ${name}`);
    check(instance.ghosts === 0, () => `run ${id} is granted ${name}, on which a run is that was given up`);
    check(instance.served <= terms.reuse.maxRequests, () => `${instance.served} runs served by ${name}`);
    check(last === (instance.served === terms.reuse.maxRequests || cell === 0), () => `the lease of run ${id} says last: ${last}`);
    check(program.leased < terms.concurrency, () => `${program.leased + 1} runs of program ${number} at once`);
    if (last) instance.isClosed = true;
    if (instance.runs === 1) instance.charge = Math.max(32 * 1024, terms.memoryLimit / this.settings.overcommit);
    this.#hold(run, instance);
  }

  /** Only what another run waits for runs in no cell, each on an instance of its own. */
  #checkReserve({ rung, why, fresh }: Grant, { id, depth }: Run): void {
    check(depth > 0 && fresh, () => `run ${id}, for which no other waits, has an instance in no cell`);
    check(rung.startsWith("reserve/") && why.length > 0, () => `run ${id} came into the reserve by ${rung}`);
    this.counts.reserved++;
  }

  /** Instances that the pool has in the reserve. */
  reserved(): EngineInstance[] {
    return this.engine.instances.items.filter((each) => each.cell === undefined && each.served > 0 && !each.isReleased);
  }

  #checkTerms({ run, pool, term, rung, why }: Grant, { terms }: EngineProgram): void {
    const isElsewhere = pool !== terms.pool;
    const yields = isElsewhere && pool === "variable" && this.#mayYield(run, terms.tenant);
    check(yields || mayRunIn(terms, pool), () => `run ${run} of a ${terms.pool} task is granted a ${pool} cell`);
    check(
      (term === "deferred") === yields && (term === "spill") === (isElsewhere && !yields),
      () => `run ${run} of a ${terms.pool} task in a ${pool} cell: ${term}`,
    );
    check(pool !== "dedicated" || rung.startsWith("own/"), () => `run ${run} has a reserved cell by ${rung}`);
    check(rung === "own/ready" || why.length > 0 || term === "wait", () => `run ${run} came by ${rung} for no reason`);
    if (rung.startsWith("reclaimed")) this.counts.reclaimed++;
  }

  /** What can wait takes variable capacity where its tenant may have some. */
  #mayYield(run: number, tenant: string): boolean {
    return this.#run(run).deferrable && (this.tenants.get(tenant)?.terms.variableCeiling ?? 0) > 0;
  }

  #hold(run: Run, instance: EngineInstance): void {
    if (run.state === "waiting") this.#leaveLine(run);
    run.state = "leased";
    run.instance = instance;
    run.leasedUntil = this.steady + run.lease;
    run.program.leased++;
    this.leased.add(run);
    this.counts.granted++;
    if (!instance.isLost) return;
    // The engine does not know the instance any more.
    run.isRefused = true;
    this.#later(() => this.#refuse(run));
  }

  #refused({ run: id, reason, retryAfter }: PoolCommand & { kind: "refuse" }): void {
    const run = this.#run(id);
    check(run.state === "asking" || run.state === "waiting", () => `run ${id} is ${run.state} and is refused`);
    check(retryAfter > 0 && Number.isFinite(retryAfter), () => `run ${id} is refused for ${retryAfter} ms`);
    const { program } = run;
    if (reason === "task-full") {
      check(program.leased + program.waiting > 0, () => `run ${id} is refused because its task is full, and nothing of it is there`);
    }
    const isForRoom =
      run.depth > 0 && (reason === "node-full" || reason === "tenant-full") && program.code === "linked" && !program.isRemoved;
    const hasReserve = this.options.callSlots > 0 && this.reserved().length === 0;
    check(!(isForRoom && hasReserve), () => `run ${id}, for which another waits, is refused with nothing in the reserve`);
    if (run.state === "waiting") this.#leaveLine(run);
    run.state = "over";
    this.#runs.delete(id);
    this.counts.refused++;
  }

  #retire({ slot, generation }: PoolCommand & { kind: "retire" }): void {
    const instance = this.engine.at(slot, generation);
    check(instance !== undefined, () => `${slot}/${generation} is to go, and is not there`);
    check(instance.runs === 0, () => `${slot}/${generation} is to go while runs are on it`);
    this.engine.release(instance);
    this.#mayEnd(instance);
  }

  #expire({ run: id, slot, generation }: PoolCommand & { kind: "expire" }): void {
    const run = this.#run(id);
    check(run.state === "leased", () => `run ${id} is ${run.state} and its lease expires`);
    const instance = run.instance as EngineInstance;
    check(instance.slot === slot && instance.generation === generation, () => `run ${id} expires on ${slot}/${generation}`);
    const over = this.steady - run.leasedUntil;
    check(over >= GRACE, () => `the lease of run ${id} expires ${-over} ms before its end, or within its grace`);
    this.#release(run);
    run.state = "expired";
    this.#runs.delete(id);
    this.counts.expired++;
    instance.isClosed = true;
    if (instance.isGone) return;
    instance.ghosts++;
    this.ghosts.add(run);
  }

  /** The lease is over, however. */
  #release(run: Run): void {
    this.leased.remove(run);
    run.program.leased--;
    (run.instance as EngineInstance).runs--;
  }

  #settle(run: Run, how: Exclude<How, "refused">): void {
    const instance = run.instance as EngineInstance;
    const { reuse } = run.program.terms;
    this.#release(run);
    run.state = "over";
    this.#runs.delete(run.id);
    const memory = how === "fat" ? reuse.maxMemory + 1 : 10_000 + ((run.id * 7919) % 200_000);
    const isAlone = instance.runs + instance.ghosts === 0;
    const isOld = this.time - instance.born >= reuse.maxAge;
    if (how !== "sound" || isOld) instance.isClosed = true;
    // The engine ends by itself what its last lease closed and what a run has spoilt.
    const isLast = instance.served === reuse.maxRequests || instance.cell === undefined;
    const endsItself = isAlone && ((how !== "sound" && how !== "fat") || isLast);
    if (endsItself && (how === "sound" || how === "fat")) this.engine.release(instance);
    if (endsItself) this.#ends.push(instance);
    if (isAlone) instance.charge = Math.max(32 * 1024, memory);
    this.step(this.#endOf(run, how === "fat" ? "sound" : how, memory));
  }

  #endOf({ id, instance }: Run, ending: Ending, memoryBytes: number): PoolEvent {
    const { slot, generation } = instance as EngineInstance;
    const waitNanoseconds = 1000 * (id % 50);
    return { kind: "settled", run: id, slot, generation, ending, memoryBytes, startNanoseconds: 20_000, waitNanoseconds };
  }

  /** Nothing has begun: the run asks again, also for a program that was removed meanwhile. */
  #refuse(run: Run): void {
    if (run.state !== "leased") return;
    const instance = run.instance as EngineInstance;
    this.#release(run);
    run.state = "asking";
    run.isRefused = false;
    instance.isClosed = true;
    if (instance.runs === 0) this.#ends.push(instance);
    this.step({ kind: "lease-refused", run: run.id, deadline: this.clock + (run.deadline - this.time) });
    // It may be too late for that.
    if (run.state === "asking") this.#enterLine(run);
    this.pass(0);
  }

  #raised(program: EngineProgram): void {
    const { program: id } = program.terms;
    program.isRaising = false;
    if ((id * 31 + this.counts.raised++) % 11 === 0) {
      program.raiseFailures++;
      program.raisePausedUntil = this.time + Math.min(60_000, 100 * 2 ** (program.raiseFailures - 1));
      this.step({ kind: "raise-failed", program: id });
      check(program.waiting === 0, () => `runs of program ${id} wait though it could not be linked`);
      return;
    }
    program.raiseFailures = 0;
    program.raisePausedUntil = 0;
    program.code = "linked";
    this.step({ kind: "raised", program: id, bytes: program.bytes, milliseconds: 1 + (id % 5) });
  }

  #gone(instance: EngineInstance, kind: "retired" | "failed"): void {
    if (instance.isGone) return;
    this.engine.gone(instance);
    for (const run of this.ghosts.items.slice()) if (run.instance === instance) this.ghosts.remove(run);
    this.step({ kind, slot: instance.slot, generation: instance.generation });
  }

  #mayEnd(instance: EngineInstance): void {
    if (instance.isEnding || instance.isGone || instance.isLost || instance.runs + instance.ghosts > 0) return;
    instance.isEnding = true;
    this.#later(() => this.#gone(instance, "retired"));
  }

  /** What is old news changes nothing and calls for nothing. */
  #unchanged(event: PoolEvent): void {
    const before = JSON.stringify(this.pool.counts());
    const commands = this.pool.step(this.clock, event);
    for (const command of commands) this.#obey(command);
    const strange = commands.find(({ kind }) => kind === "grant" || kind === "retire" || kind === "expire" || kind === "refuse");
    check(strange === undefined, () => `old news (${event.kind}) is answered by ${JSON.stringify(strange)}`);
    const after = JSON.stringify(this.pool.counts());
    const isSame = before === after || commands.some(({ kind }) => kind === "prepare");
    check(isSame, () => `old news (${event.kind}) made ${after} of ${before}`);
  }

  #enterLine(run: Run): void {
    run.state = "waiting";
    run.program.waiting++;
    this.waiting.add(run);
  }

  #leaveLine(run: Run): void {
    run.program.waiting--;
    this.waiting.remove(run);
  }

  #run(id: number): Run {
    const run = this.#runs.get(id);
    check(run !== undefined, () => `there is no run ${id} that could be answered`);
    return run;
  }

  #later(deliver: () => void): void {
    this.pending.add({ deliver, bagAt: 0 });
  }
}

/** From its reserved cells a task may go over to shared ones. */
function mayRunIn(terms: PoolProgram, pool: SubPool): boolean {
  return pool === terms.pool || (pool === "shared" && terms.pool === "dedicated" && terms.whenFull === "spill");
}
