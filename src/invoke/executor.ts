/**
 * Drives the pool and the engine for runs: leases on the way in, events on the way out.
 *
 * The pool decides and knows no timers; the one timer it needs is here. The engine's events are given to the
 * pool and to the run they concern, in the order in which they came.
 */
import type { Clock } from "../base/clock.js";
import { messageOf } from "../base/errors.js";
import type { Engine, EngineEvent, GuestLine, RunHandle } from "../engine/engine.js";
import { NO_USAGE, type Outcome, type Usage } from "../engine/outcome.js";
import type { Pool, PoolCommand, PoolEvent, PoolProgram } from "../pool/pool.js";
import { UNLINKED, type Task } from "../tasks/task.js";
import { liveRecord, type KnownRun, type Run } from "./run.js";
import type { EndedRuns } from "./runs.js";

/** Told of what happens, for logs and metrics; never in the way. */
export interface RunObserver {
  settled(run: Run): void;
  /** Guest output. `run` is undefined when nobody can tell whose it is. */
  lines(lines: readonly GuestLine[], runOf: (handle: RunHandle) => Run | undefined): void;
  prepared(nanoseconds: number): void;
  prepareFailed(outcome: Outcome): void;
}

export interface ExecutorPorts {
  readonly engine: Engine;
  readonly pool: Pool;
  readonly clock: Clock;
  readonly ended: EndedRuns;
  readonly observer: RunObserver;
  /** Takes a tenant's secrets out of a text that a guest may have written. */
  mask(text: string, tenant: string): string;
  /** The task linked, for a run of one that is not. */
  raise(task: Task): Promise<Task>;
}

/** The pool's timer never sleeps longer, so that it need not be moved when something earlier comes up. */
const LONGEST_SLEEP_MS = 50;

export class Executor {
  readonly #ports: ExecutorPorts;
  readonly #runs = new Map<RunHandle, Run>();
  #nextHandle = 1;
  #timer: NodeJS.Timeout | undefined;
  /** Set while `warm` asks the pool: whom the next `prepare` is for. */
  #warming: ((outcome: Outcome | undefined) => void) | undefined;
  /** By slot: who waits for the instance that is being made there. */
  readonly #awaited = new Map<number, (outcome: Outcome | undefined) => void>();
  #whenEmpty: (() => void)[] = [];

  constructor(ports: ExecutorPorts) {
    this.#ports = ports;
    ports.engine.listen((events) => this.#handle(events));
  }

  newHandle(): RunHandle {
    return this.#nextHandle++;
  }

  addProgram(program: PoolProgram): void {
    this.#step({ kind: "add", program });
  }

  /**
   * Makes an instance ahead of the first run. Resolves with undefined once it is ready, or when there is no room for
   * it or it takes longer than `limitMs`: nothing is wrong then; and with the outcome when it cannot be made.
   */
  warm(program: number, limitMs: number): Promise<Outcome | undefined> {
    return new Promise((resolve) => {
      this.#warming = resolve;
      this.#step({ kind: "warm", program });
      // Nobody took it up: there is no room.
      if (this.#warming !== undefined) resolve(undefined);
      this.#warming = undefined;
      setTimeout(() => resolve(undefined), limitMs).unref();
    });
  }

  removeProgram(program: number): void {
    this.#step({ kind: "remove", program });
  }

  /** Takes an admitted run on; from here on its listener hears of it. */
  submit(run: Run): void {
    this.#runs.set(run.handle, run);
    run.state = "waiting";
    if (run.task.version.program === UNLINKED) void this.#raise(run);
    else this.#demand(run);
  }

  /** Links the task first. The run may be cancelled meanwhile. */
  async #raise(run: Run): Promise<void> {
    try {
      const task = await this.#ports.raise(run.task);
      if (!this.#runs.has(run.handle)) return;
      run.task = task;
      run.raised = true;
      this.#demand(run);
    } catch (error) {
      if (this.#runs.has(run.handle)) this.#settle(run, { kind: "platform", code: "internal", message: messageOf(error) }, NO_USAGE);
    }
  }

  #demand(run: Run): void {
    const { limits } = run.task.version.manifest;
    this.#step({
      kind: "demand",
      run: run.handle,
      program: run.task.version.program,
      deadline: run.admittedAt + Math.min(limits.timeout, LONGEST_WAIT_MS),
    });
  }

  /** Ends a run as soon as possible; it settles as `cancelled` unless it is over already. */
  cancel(run: Run): void {
    if (run.state === "running") this.#ports.engine.send({ kind: "cancel", run: run.handle });
    else if (run.state === "waiting") {
      this.#step({ kind: "withdraw", run: run.handle });
      this.#settle(run, { kind: "cancelled" }, NO_USAGE);
    }
  }

  get liveCount(): number {
    return this.#runs.size;
  }

  /** The live run of that public id. Looks at all of them: few are alive at once, and this is for people. */
  live(id: string): Run | undefined {
    for (const run of this.#runs.values()) if (run.id === id) return run;
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
  }

  /** Resolves when no run is left, or after `limitMs`. */
  async drained(limitMs: number): Promise<void> {
    if (this.#runs.size === 0) return;
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
    // A map's iterator copes with entries that go while it runs.
    for (const run of this.#runs.values()) this.cancel(run);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #handle(events: readonly EngineEvent[]): void {
    for (const event of events) {
      switch (event.kind) {
        case "settled":
          this.#settled(event.run, event.outcome, event.usage);
          break;
        case "retired":
          this.#step({ kind: "retired", slot: event.slot, generation: event.generation });
          break;
        case "ready":
          this.#ports.observer.prepared(event.nanoseconds);
          this.#made(event.slot, undefined);
          this.#step({ kind: "ready", slot: event.slot, generation: event.generation });
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
        case "ask":
          // The embedder's functions answer below the port (src/imports); nothing asks up here yet.
          break;
        default:
          this.#runs.get(event.run)?.listener.event(event);
      }
    }
  }

  #settled(handle: RunHandle, outcome: Outcome, usage: Usage): void {
    const run = this.#runs.get(handle);
    if (run !== undefined) this.#settle(run, asLimited(outcome, run, this.#ports.clock.now()), usage);
    // Only an instance whose run ended well, or by the guest's own word, is used again.
    const sound = outcome.kind === "ok" || (outcome.kind === "guest-error" && outcome.code === "error-code");
    this.#step({ kind: "settled", run: handle, sound, memoryBytes: usage.memoryBytes });
  }

  #settle(run: Run, outcome: Outcome, usage: Usage): void {
    run.state = "settled";
    const ended: Outcome = run.badAnswer === undefined ? outcome : { kind: "guest-error", code: "bad-answer", message: run.badAnswer };
    run.outcome = "message" in ended ? { ...ended, message: this.#ports.mask(ended.message, run.task.tenant) } : ended;
    run.usage = usage;
    run.settledAt = this.#ports.clock.now();
    this.#runs.delete(run.handle);
    this.#ports.ended.add(run);
    run.listener.settled(run);
    this.#ports.observer.settled(run);
    if (this.#runs.size === 0) for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }

  /** The instance ended between the grant and the command; nothing of the run has begun, so it may ask again. */
  #leaseRefused(handle: RunHandle): void {
    const run = this.#runs.get(handle);
    if (run === undefined) return this.#step({ kind: "settled", run: handle, sound: false, memoryBytes: 0 });
    run.state = "waiting";
    this.#step({ kind: "lease-refused", run: handle, deadline: run.admittedAt + run.task.version.manifest.limits.timeout });
  }

  #made(slot: number, outcome: Outcome | undefined): void {
    const resolve = this.#awaited.get(slot);
    if (resolve === undefined) return;
    this.#awaited.delete(slot);
    resolve(outcome);
  }

  #step(event: PoolEvent): void {
    const { pool, clock } = this.#ports;
    for (const command of pool.step(clock.now(), event)) this.#obey(command);
    if (this.#timer === undefined) this.#arm();
  }

  #obey(command: PoolCommand): void {
    switch (command.kind) {
      case "grant":
        this.#start(command);
        break;
      case "refuse": {
        const run = this.#runs.get(command.run);
        if (run !== undefined) this.#settle(run, { kind: "refused", code: command.reason, message: REFUSED[command.reason] }, NO_USAGE);
        break;
      }
      case "prepare":
        // The first one that follows from `warm`: refilling comes after it.
        if (this.#warming !== undefined) {
          this.#awaited.set(command.slot, this.#warming);
          this.#warming = undefined;
        }
        this.#ports.engine.send(command);
        break;
      case "retire":
        this.#ports.engine.send(command);
        break;
      case "forget":
        this.#ports.engine.unlink(command.program);
        break;
    }
  }

  #start(grant: Extract<PoolCommand, { kind: "grant" }>): void {
    const run = this.#runs.get(grant.run);
    if (run === undefined) {
      // Cancelled while the grant was on its way: give the lease back unused. An instance that was to be made
      // for it was never asked for, so the engine will not say that it is gone.
      if (grant.rung === "own/linked") this.#step({ kind: "retired", slot: grant.slot, generation: grant.generation });
      this.#step({ kind: "settled", run: grant.run, sound: false, memoryBytes: 0 });
      return;
    }
    const now = this.#ports.clock.now();
    const { limits } = run.task.version.manifest;
    run.state = "running";
    run.rung = run.raised ? "own/compiled" : grant.rung;
    run.grantedAt = now;
    const waited = now - run.admittedAt;
    this.#ports.engine.send({
      kind: "run",
      slot: grant.slot,
      generation: grant.generation,
      program: run.task.version.program,
      run: run.handle,
      frame: run.frame(),
      deadlines: { head: Math.max(0, limits.timeout - waited), idle: limits.idle, total: Math.max(0, limits.duration - waited) },
      last: grant.last,
    });
  }

  #arm(): void {
    const { pool, clock } = this.#ports;
    const next = pool.nextWake();
    if (next === Number.POSITIVE_INFINITY) return;
    const delay = Math.min(LONGEST_SLEEP_MS, Math.max(1, next - clock.now()));
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#step({ kind: "tick" });
    }, delay);
    this.#timer.unref();
  }
}

/** The engine counts its times from the lease; people count from the request, and by the manifest. */
function asLimited(outcome: Outcome, run: Run, now: number): Outcome {
  if (outcome.kind !== "limit") return outcome;
  const { limits } = run.task.version.manifest;
  const used = Math.round(now - run.admittedAt);
  if (outcome.limit === "head-time") return { ...outcome, used, allowed: limits.timeout };
  if (outcome.limit === "total-time") return { ...outcome, used, allowed: limits.duration };
  return outcome;
}

/** The longest a run waits for capacity, whatever its own deadline. */
const LONGEST_WAIT_MS = 10_000;

const REFUSED = {
  "task-full": "the task runs as often at once as its limits allow",
  "node-full": "every instance of the node is in use",
} as const;
