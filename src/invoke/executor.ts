/**
 * Drives the pool and the engine for runs: leases on the way in, events on the way out.
 *
 * The pool decides and knows no timers; the one timer it needs is here. The engine's events are given to the
 * pool and to the run they concern, in the order in which they came. Programs have the pool's numbers up here;
 * what is linked behind a number the code port knows.
 */
import type { Clock } from "../base/clock.js";
import { messageOf } from "../base/errors.js";
import type { Engine, EngineEvent, GuestLine, ProgramId, RunHandle } from "../engine/engine.js";
import { NO_USAGE, type Outcome, type Usage } from "../engine/outcome.js";
import { LOBBY, type Grant, type PoolCommand, type PoolEvent, type RefusalReason } from "../pool/types.js";
import { Lease } from "./lease.js";
import { liveRecord, type KnownRun, type Run, type RunEvent } from "./run.js";
import type { EndedRuns } from "./runs.js";

/** Told of what happens, for logs and metrics; never in the way. */
export interface RunObserver {
  settled(run: Run): void;
  /** Guest output. `run` is undefined when nobody can tell whose it is. */
  lines(lines: readonly GuestLine[], runOf: (handle: RunHandle) => Run | undefined): void;
  prepared(nanoseconds: number): void;
  prepareFailed(outcome: Outcome): void;
  /** A program could not be linked. The runs that wait for it are refused. */
  raiseFailed(program: number, error: unknown): void;
}

/** A guest calls another task. */
export type GuestCall = Extract<EngineEvent, { readonly kind: "call" }>;

export type GuestAsk = Extract<EngineEvent, { readonly kind: "ask" }>;

/** The code behind the pool's numbers. */
export interface CodePort {
  /** Links the program. Resolves with the bytes that it holds then; rejects with what is wrong. */
  raise(program: number): Promise<{ readonly bytes: number }>;
  /** Lets the linked form go. */
  lower(program: number): void;
  /** The pool will not name the program again. */
  forget(program: number): void;
  /** What is linked; undefined while nothing is. */
  engineProgram(program: number): ProgramId | undefined;
  /** An instance of the program is made ahead of its run. */
  prepares(program: number): void;
}

/** The pool, as src/pool/pool.ts has it. */
export interface PoolPort {
  step(now: number, event: PoolEvent): PoolCommand[];
  /** Milliseconds on the clock; Infinity: never. */
  nextWake(): number;
  /** The timer was so many milliseconds late. */
  lag?(now: number, milliseconds: number): void;
  /** Whether `busy` is to be told: asking the system takes as long as several runs do. */
  readonly wantsBusy?: boolean;
  /** The share of the processors that this process has used since the last time, 0 to 1. */
  busy?(now: number, share: number): void;
}

export interface ExecutorPorts {
  readonly engine: Engine;
  readonly pool: PoolPort;
  readonly code: CodePort;
  readonly clock: Clock;
  /** Threads that execute guests. */
  readonly processors: number;
  readonly ended: EndedRuns;
  readonly observer: RunObserver;
  /** Takes up what guests call; `caller` is undefined when it cannot be told who calls, or has settled by now. */
  called(call: GuestCall, caller: Run | undefined): void;
  /** Answers what guests ask of Pilotlight itself. */
  asked(ask: GuestAsk, caller: Run | undefined): void;
  /** What sidecars have said. */
  consulted(consulted: Extract<EngineEvent, { readonly kind: "consulted" }>): void;
  /** Calls off a run that is on its way to capacity, which settles it. */
  callOff(run: Run): void;
  /** Takes a tenant's secrets out of a text that a guest may have written. */
  mask(text: string, tenant: string): string;
}

/** While runs are alive the timer is never further away: how late it is tells how busy the event loop is. */
const LONGEST_SLEEP_MS = 50;
/** The same while none is. It is moved when something earlier comes up. */
const LONGEST_REST_MS = 1000;
/** How long the processor time of this process is summed before it is told. */
const CPU_EVERY_MS = 20;
/** The longest a run waits for capacity, whatever its own deadline. */
const LONGEST_WAIT_MS = 10_000;
/** The engine ends a run by itself when its time is up, and is given so long to do it. */
const LEASE_GRACE_MS = 5000;
const TRACED = Object.freeze({ traced: true });
/** A sidecar stands until it is told to stop. */
const FOR_EVER_MS = 1e12;

export class Executor {
  readonly #ports: ExecutorPorts;
  readonly #runs = new Map<RunHandle, Run>();
  /** Runs on their way to capacity: sidecars decide on them, or a record may answer them; and how many there are of a program. */
  readonly #held = new Set<Run>();
  readonly #heldOf = new Map<number, number>();
  /** Programs that go once those are there. */
  readonly #retired = new Set<number>();
  /** Of the runs: sidecars. */
  #standing = 0;
  #nextHandle = 1;
  #timer: NodeJS.Timeout | undefined;
  /** When the timer is due. */
  #due = Number.POSITIVE_INFINITY;
  /** Events that came up while commands were being obeyed: they are for after those. */
  readonly #later: PoolEvent[] = [];
  #obeying = false;
  /** Set while `try` asks the pool: whom the next `prepare` is for. */
  #trying: ((outcome: Outcome | undefined) => void) | undefined;
  /** By slot: who waits for the instance that is being made there. */
  readonly #awaited = new Map<number, (outcome: Outcome | undefined) => void>();
  /** Why programs could not be linked when that was tried last. */
  readonly #unlinkable = new Map<number, string>();
  #whenEmpty: (() => void)[] = [];
  #cpu = process.cpuUsage();
  #cpuAt = 0;
  #stopped = false;
  readonly #giveBack = (event: PoolEvent): void => this.#step(event);

  constructor(ports: ExecutorPorts) {
    this.#ports = ports;
    ports.engine.listen((events) => this.#handle(events));
  }

  newHandle(): RunHandle {
    return this.#nextHandle++;
  }

  /** Tells the pool what does not come from runs, and obeys what follows: programs, terms, settings, drains. */
  tell(event: PoolEvent): void {
    this.#step(event);
  }

  /**
   * Makes an instance to see whether that works. Resolves with undefined once it is ready, or when there is no room for
   * it or it takes longer than `limitMs`: nothing is wrong then; and with the outcome when it cannot be made.
   */
  try(program: number, limitMs: number): Promise<Outcome | undefined> {
    return new Promise((resolve) => {
      this.#trying = resolve;
      this.#step({ kind: "try", program });
      // Nobody took it up: there is no room.
      if (this.#trying !== undefined) resolve(undefined);
      this.#trying = undefined;
      setTimeout(() => resolve(undefined), limitMs).unref();
    });
  }

  /**
   * The run is on its way to capacity, and may take a while until it asks for it: its program stays until then, and it is found
   * by its id, waited for and called off like those that have some.
   */
  hold(run: Run): void {
    if (run.state !== "admitted" || this.#held.has(run)) return;
    this.#held.add(run);
    const { program } = run.task.version;
    this.#heldOf.set(program, (this.#heldOf.get(program) ?? 0) + 1);
  }

  /** The program takes no more runs than those that go on or are on their way. */
  retire(program: number): void {
    if (this.#heldOf.has(program)) this.#retired.add(program);
    else this.#step({ kind: "remove", program });
  }

  /** Takes an admitted run on; from here on its listener hears of it. */
  submit(run: Run): void {
    const { program, manifest } = run.task.version;
    const { timeout, duration } = manifest.limits;
    const { parent, until = Number.POSITIVE_INFINITY } = run.descent;
    this.#runs.set(run.handle, run);
    if (run.stands !== undefined) this.#standing++;
    run.state = "waiting";
    const demand = {
      kind: "demand",
      run: run.handle,
      program,
      deadline: Math.min(until, run.admittedAt + Math.min(timeout, LONGEST_WAIT_MS)),
      lease: run.stands === undefined ? duration + LEASE_GRACE_MS : FOR_EVER_MS,
      priority: run.priority,
    } as const;
    const stands = run.stands === undefined ? undefined : { stands: true };
    this.#step(parent === undefined && stands === undefined ? demand : { ...demand, ...stands, ...(parent && { parent: parent.handle }) });
    if (this.#held.size > 0) this.#letGo(run);
  }

  #letGo(run: Run): void {
    if (!this.#held.delete(run)) return;
    const { program } = run.task.version;
    const left = (this.#heldOf.get(program) as number) - 1;
    if (left > 0) return void this.#heldOf.set(program, left);
    this.#heldOf.delete(program);
    if (this.#retired.delete(program)) this.#step({ kind: "remove", program });
  }

  /** Ends an admitted run that was never submitted: its sidecars kept it from starting, its client left, or a record answers it. */
  endUnstarted(run: Run, outcome: Outcome, usage: Usage = NO_USAGE): void {
    this.#settle(run, outcome, usage);
  }

  /** Ends a run as soon as possible; it settles as `cancelled` unless it is over already. */
  cancel(run: Run): void {
    if (run.state === "running") this.#ports.engine.send({ kind: "cancel", run: run.handle });
    else if (run.state === "waiting") {
      this.#step({ kind: "withdraw", run: run.handle });
      this.#settle(run, { kind: "cancelled" }, NO_USAGE);
    } else if (this.#held.has(run)) this.#settle(run, { kind: "cancelled" }, NO_USAGE);
  }

  /** Runs that go on; sidecars, which stand beside them, are none. */
  get liveCount(): number {
    return this.#runs.size - this.#standing + this.#held.size;
  }

  /** The live run of that public id. Looks at all of them: few are alive at once, and this is for people. */
  live(id: string): Run | undefined {
    for (const run of this.#runs.values()) if (run.id === id) return run;
    for (const run of this.#held) if (run.id === id) return run;
    return undefined;
  }

  /** A live run, or one that ended not long ago. */
  known(id: string): KnownRun | undefined {
    const run = this.live(id);
    return run === undefined ? this.#ports.ended.get(id) : { record: liveRecord(run), task: run.task, caller: run.caller };
  }

  /** When a tenant goes: its runs are cancelled, and those that ended are known no longer. */
  forget(tenant: string): void {
    this.#ports.ended.forget(tenant);
    for (const run of this.#runs.values()) if (run.task.tenant === tenant) this.cancel(run);
    for (const run of this.#held) if (run.task.tenant === tenant) this.#ports.callOff(run);
  }

  /** Resolves when no run is left, or after `limitMs`. */
  async drained(limitMs: number): Promise<void> {
    if (this.liveCount === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, limitMs);
      this.#whenEmpty.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Cancels every run. */
  cancelAll(): void {
    // The iterators cope with entries that go while they run.
    for (const run of this.#held) this.#ports.callOff(run);
    for (const run of this.#runs.values()) this.cancel(run);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #handle(events: readonly EngineEvent[]): void {
    for (const event of events) {
      switch (event.kind) {
        case "settled":
          this.#settled(event);
          break;
        case "retired":
          this.#step({ kind: "retired", slot: event.slot, generation: event.generation });
          break;
        case "ready":
          this.#ports.observer.prepared(event.nanoseconds);
          this.#made(event.slot, undefined);
          this.#step(event);
          break;
        case "failed":
          this.#ports.observer.prepareFailed(event.outcome);
          this.#made(event.slot, event.outcome);
          this.#step({ kind: "failed", slot: event.slot, generation: event.generation });
          break;
        case "lease-refused":
          this.#leaseRefused(event.run);
          break;
        case "log-batch":
          this.#ports.observer.lines(event.lines, (handle) => this.#runs.get(handle));
          break;
        case "call":
          this.#ports.called(event, this.#runs.get(event.run));
          break;
        case "consulted":
          this.#ports.consulted(event);
          break;
        case "ask":
          // The embedder's functions answer below the port (src/imports).
          this.#ports.asked(event, this.#runs.get(event.run));
          break;
        default:
          this.#tell(event);
      }
    }
  }

  #tell(event: RunEvent): void {
    const run = this.#runs.get(event.run);
    if (run === undefined) return;
    run.recording?.event(run, event);
    run.listener.event(event);
  }

  /** A run that is not known any more has outlived its lease: whatever comes of it now changes nothing. */
  #settled({ run: handle, outcome, usage, began, trace }: Extract<EngineEvent, { kind: "settled" }>): void {
    const run = this.#runs.get(handle);
    if (run === undefined) return;
    run.began = began;
    run.trace = trace;
    const { lease } = run;
    lease?.over(outcome, usage);
    try {
      this.#settle(run, asLimited(outcome, run, this.#ports.clock.now()), usage);
    } finally {
      lease?.[Symbol.dispose]();
    }
  }

  #settle(run: Run, outcome: Outcome, usage: Usage): void {
    run.state = "settled";
    run.lease = undefined;
    const ended: Outcome = run.badAnswer === undefined ? outcome : { kind: "guest-error", code: "bad-answer", message: run.badAnswer };
    run.outcome = "message" in ended ? { ...ended, message: this.#ports.mask(ended.message, run.task.tenant) } : ended;
    run.usage = usage;
    run.settledAt = this.#ports.clock.now();
    if (this.#runs.delete(run.handle) && run.stands !== undefined) this.#standing--;
    if (this.#held.size > 0) this.#letGo(run);
    // What has become a job goes on under the same id.
    if (run.later?.job === undefined) this.#ports.ended.add(run);
    run.listener.settled(run);
    this.#ports.observer.settled(run);
    if (this.liveCount === 0) for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }

  /** The instance ended between the grant and the command; nothing of the run has begun, so it may ask again. */
  #leaseRefused(handle: RunHandle): void {
    const run = this.#runs.get(handle);
    if (run === undefined) return;
    // The pool ends the lease with what it is told here.
    run.lease?.drop();
    run.lease = undefined;
    run.state = "waiting";
    const deadline = run.admittedAt + run.task.version.manifest.limits.timeout;
    this.#step({ kind: "lease-refused", run: handle, deadline: Math.min(deadline, run.descent.until ?? deadline) });
  }

  #made(slot: number, outcome: Outcome | undefined): void {
    const resolve = this.#awaited.get(slot);
    if (resolve === undefined) return;
    this.#awaited.delete(slot);
    resolve(outcome);
  }

  #step(event: PoolEvent): void {
    if (this.#obeying) {
      this.#later.push(event);
      return;
    }
    const { pool, clock } = this.#ports;
    const failures: unknown[] = [];
    this.#obeying = true;
    for (let next: PoolEvent | undefined = event; next !== undefined; next = this.#later.shift()) {
      for (const command of pool.step(clock.now(), next)) {
        // Whoever throws when told of a run does not keep others from what the pool has given them.
        try {
          this.#obey(command);
        } catch (error) {
          failures.push(error);
        }
      }
    }
    this.#obeying = false;
    this.#arm();
    if (failures.length > 0) throw failures[0];
  }

  #obey(command: PoolCommand): void {
    const { engine, code } = this.#ports;
    switch (command.kind) {
      case "grant":
        return this.#start(command);
      case "refuse":
        return this.#refuse(command);
      case "prepare":
        return this.#prepare(command);
      case "expire":
        return this.#expire(command);
      case "raise":
        return void this.#raise(command.program);
      case "lower":
        return code.lower(command.program);
      case "forget":
        this.#unlinkable.delete(command.program);
        return code.forget(command.program);
      case "retire":
      case "cell":
      case "close-cell":
        return engine.send(command);
    }
  }

  #start(grant: Grant): void {
    const run = this.#runs.get(grant.run);
    const now = this.#ports.clock.now();
    const limits = run?.task.version.manifest.limits;
    const until = run?.stands === undefined ? (limits?.duration ?? 0) + LEASE_GRACE_MS : FOR_EVER_MS;
    const lease = new Lease(grant, now + until, this.#giveBack);
    // Cancelled while the grant was on its way.
    if (run === undefined || limits === undefined) return this.#giveBackUnused(grant, lease);
    run.state = "running";
    run.lease = lease;
    run.rung = grant.rung;
    run.why = grant.why;
    run.pool = grant.pool;
    run.term = grant.term;
    run.cell = grant.cell;
    run.grantedAt = now;
    const program = this.#ports.code.engineProgram(grant.program);
    if (program === undefined) return this.#stillborn(run, grant, lease, "its program is not linked");
    const waited = now - run.admittedAt;
    const left = (limit: number): number => Math.max(0, Math.min(limit - waited, (run.descent.until ?? Number.POSITIVE_INFINITY) - now));
    try {
      this.#ports.engine.send({
        kind: "run",
        slot: grant.slot,
        generation: grant.generation,
        program,
        cell: grant.cell,
        run: run.handle,
        frame: run.frame(run),
        deadlines:
          run.stands === undefined
            ? { head: left(limits.timeout), idle: limits.idle, total: left(limits.duration) }
            : { head: run.stands.callMs, idle: FOR_EVER_MS, total: FOR_EVER_MS },
        last: grant.last,
        ...(run.recording !== undefined && TRACED),
      });
    } catch (error) {
      this.#stillborn(run, grant, lease, messageOf(error));
    }
  }

  /** A run that cannot even be sent. */
  #stillborn(run: Run, grant: Grant, lease: Lease, message: string): void {
    try {
      this.#settle(run, { kind: "platform", code: "internal", message }, NO_USAGE);
    } finally {
      this.#giveBackUnused(grant, lease);
    }
  }

  /** An instance that was to be made for the run was never asked for, so the engine will not say that it is gone. */
  #giveBackUnused({ fresh, slot, generation }: Grant, lease: Lease): void {
    if (fresh) this.#step({ kind: "retired", slot, generation });
    lease[Symbol.dispose]();
  }

  #refuse({ run: handle, reason, retryAfter }: Extract<PoolCommand, { kind: "refuse" }>): void {
    const run = this.#runs.get(handle);
    if (run === undefined) return;
    this.#settle(run, reason === "no-code" ? this.#noCode(run) : refused(reason, retryAfter), NO_USAGE);
  }

  #noCode(run: Run): Outcome {
    const message = this.#unlinkable.get(run.task.version.program) ?? "its program could not be linked";
    return { kind: "platform", code: "internal", message };
  }

  #prepare({ slot, generation, program: number, cell, charge }: Extract<PoolCommand, { kind: "prepare" }>): void {
    // The first one that follows from `try`: refilling comes after it.
    if (this.#trying !== undefined) {
      this.#awaited.set(slot, this.#trying);
      this.#trying = undefined;
    }
    const program = this.#ports.code.engineProgram(number);
    if (program === undefined) {
      this.#made(slot, undefined);
      return this.#step({ kind: "failed", slot, generation });
    }
    this.#ports.engine.send({ kind: "prepare", slot, generation, program, ...(cell === LOBBY ? {} : { cell, charge }) });
    this.#ports.code.prepares(number);
  }

  /** The pool has ended the lease, and retires the instance when nothing else runs on it. */
  #expire({ run: handle }: Extract<PoolCommand, { kind: "expire" }>): void {
    const run = this.#runs.get(handle);
    if (run === undefined) return;
    run.lease?.drop();
    this.#ports.engine.send({ kind: "cancel", run: handle });
    this.#settle(run, { kind: "platform", code: "lease-expired", message: EXPIRED }, NO_USAGE);
  }

  async #raise(program: number): Promise<void> {
    const { clock, observer } = this.#ports;
    const began = clock.now();
    const bytes = await this.#linked(program).catch((error: unknown) => {
      this.#unlinkable.set(program, messageOf(error));
      observer.raiseFailed(program, error);
    });
    if (bytes === undefined) return this.#step({ kind: "raise-failed", program });
    this.#unlinkable.delete(program);
    this.#step({ kind: "raised", program, bytes, milliseconds: clock.now() - began });
  }

  async #linked(program: number): Promise<number> {
    return (await this.#ports.code.raise(program)).bytes;
  }

  /** Sets the timer, or moves it where something earlier has come up. */
  #arm(): void {
    const now = this.#ports.clock.now();
    const lives = this.liveCount > 0;
    const isSet = this.#timer !== undefined;
    // Asked after every step, so the usual case costs nothing: it is set, and soon.
    if (this.#stopped || (lives && isSet && this.#due <= now + LONGEST_SLEEP_MS)) return;
    const wake = this.#ports.pool.nextWake();
    if (!lives && wake === Number.POSITIVE_INFINITY) return;
    const at = Math.max(now + 1, Math.min(wake, now + (lives ? LONGEST_SLEEP_MS : LONGEST_REST_MS)));
    if (isSet && this.#due <= at) return;
    clearTimeout(this.#timer);
    this.#due = at;
    this.#timer = setTimeout(() => this.#tick(), at - now);
    this.#timer.unref();
  }

  #tick(): void {
    const { pool, clock } = this.#ports;
    const now = clock.now();
    this.#timer = undefined;
    if (this.liveCount > 0) this.#report(pool, now);
    this.#step({ kind: "tick" });
  }

  /** How busy the event loop and the processors were since the last time. */
  #report(pool: PoolPort, now: number): void {
    pool.lag?.(now, Math.max(0, now - this.#due));
    if (pool.wantsBusy !== true) return;
    const { user, system } = process.cpuUsage(this.#cpu);
    const elapsed = now - this.#cpuAt;
    // Too short a time says nothing, and what was before the first run is no load.
    if (elapsed >= CPU_EVERY_MS) {
      if (elapsed < 4 * LONGEST_SLEEP_MS) pool.busy?.(now, Math.min(1, (user + system) / 1000 / elapsed / this.#ports.processors));
      this.#cpu = process.cpuUsage();
      this.#cpuAt = now;
    }
  }
}

/** The engine counts its times from the lease; people count from the request, and by the manifest. */
function asLimited(outcome: Outcome, run: Run, now: number): Outcome {
  if (outcome.kind !== "limit") return outcome;
  const { limits } = run.task.version.manifest;
  const used = Math.round(now - run.admittedAt);
  // Whoever called it may have had less time left.
  const left = (run.descent.until ?? Number.POSITIVE_INFINITY) - run.admittedAt;
  if (outcome.limit === "head-time") return { ...outcome, used, allowed: Math.round(Math.min(left, limits.timeout)) };
  if (outcome.limit === "total-time") return { ...outcome, used, allowed: Math.round(Math.min(left, limits.duration)) };
  return outcome;
}

function refused(code: Exclude<RefusalReason, "no-code">, retryAfterMs: number): Outcome {
  return { kind: "refused", code, message: REFUSED[code], retryAfter: Math.max(1, Math.ceil(retryAfterMs / 1000)) };
}

const REFUSED = {
  "task-full": "the task runs as often at once as its limits allow",
  "tenant-full": "what the tenant has of the node is in use",
  "node-full": "the node has no room for one more instance",
  overloaded: "the node has more to do than its processors can",
  draining: "the node, or this tenant on it, takes no runs at the moment",
} as const satisfies Record<Exclude<RefusalReason, "no-code">, string>;

const EXPIRED = "the run outlived its lease, and the engine did not end it";
