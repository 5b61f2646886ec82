/**
 * Which sidecars stand, for whom, and for how long: plain policy over a clock and ports.
 *
 * A unit is one instance of a sidecar with one configuration. One of the scope `request` belongs to one run and goes with
 * it; those of `task` and `tenant` are shared by all runs of their scope, are counted, and go an idle time after the last.
 * A new version or configuration is another unit: what stands of the old one goes with its last run.
 */
import { Breakers } from "./breaker.js";

/** A run, by a number of its own. */
export type Main = number;

export type Scope = "request" | "task" | "tenant";

/** What a run needs one of. */
export interface Want<T = unknown> {
  /** Names what stands: the tenant's sidecar at one version, with one configuration. */
  readonly what: string;
  readonly scope: Scope;
  /** Whose runs share it: the task, or the tenant; nobody's where each run has its own. */
  readonly owner: string;
  /** Of one owner at once, where one has more to do than it can. */
  readonly instances: number;
  /** Milliseconds that a shared one stays after its last run. */
  readonly idle: number;
  /** Makes what the keeper's user keeps of one unit. */
  make(): T;
}

/**
 * `starting` until its `start` has returned; `standing` while it is called; `stopping` from its last call on; then `gone`.
 * `paused`: it stands, and so do all its runs.
 */
export type UnitState = "starting" | "standing" | "paused" | "stopping" | "gone";

export class Unit<T = unknown> {
  state: UnitState = "starting";
  readonly mains = new Set<Main>();
  /** Since when no run has it. */
  idleSince: number | undefined;
  /** It takes no runs any more, and goes with its last. */
  outdated = false;
  /** Why it is gone, where it did not go in good order. */
  reason: string | undefined;
  readonly of: T;
  #waiting: (() => void)[] = [];
  #leaving: ((reason: string | undefined) => void)[] = [];

  constructor(
    readonly id: number,
    readonly want: Want<T>,
    readonly since: number,
  ) {
    this.of = want.make();
  }

  get isUp(): boolean {
    return this.state === "standing" || this.state === "paused";
  }

  /** Called once it has started, or will not. */
  whenStarted(told: () => void): void {
    if (this.state === "starting") this.#waiting.push(told);
    else told();
  }

  /** Called once it is gone, with the reason where it did not go in good order. */
  whenGone(told: (reason: string | undefined) => void): void {
    if (this.state === "gone") told(this.reason);
    else this.#leaving.push(told);
  }

  /** Whoever waits is told. */
  settleStart(): void {
    for (const told of this.#waiting.splice(0)) told();
  }

  settleEnd(): void {
    for (const told of this.#leaving.splice(0)) told(this.reason);
  }
}

export interface KeeperPorts<T> {
  /** Has it started; `standing` or `ended` say what came of it. */
  start(unit: Unit<T>): void;
  /** Has it do what waits for it and stop; `ended` follows. */
  stop(unit: Unit<T>): void;
  /** Ends it at once: it did not stop in its time. */
  kill(unit: Unit<T>): void;
  pause(unit: Unit<T>): void;
  resume(unit: Unit<T>): void;
  /** Whether runs that begin now would want it: its version may have been replaced. */
  isCurrent(unit: Unit<T>): boolean;
}

/** A run that is to have a unit and cannot now. */
export interface Unavailable {
  readonly unavailable: string;
}

/** A stop that takes longer is ended. Milliseconds. */
const STOP_MS = 5000;
/** A shared one is replaced after so long: what it has taken is then in the books, and what it has leaked is gone. Milliseconds. */
const RENEW_MS = 600_000;

export class Keeper<T = unknown> {
  readonly #ports: KeeperPorts<T>;
  readonly #breakers = new Breakers();
  /** Those that are shared, by owner and what they are. */
  readonly #shared = new Map<string, Unit<T>[]>();
  readonly #units = new Set<Unit<T>>();
  /** By run, in the order in which it got them. */
  readonly #byMain = new Map<Main, Unit<T>[]>();
  readonly #paused = new Set<Main>();
  /** Until when each that stops may take. */
  readonly #stopBy = new Map<Unit<T>, number>();
  #nextId = 1;
  #closed = false;

  constructor(ports: KeeperPorts<T>) {
    this.#ports = ports;
  }

  /** Units that there are, those that stop too. */
  get size(): number {
    return this.#units.size;
  }

  units(): Iterable<Unit<T>> {
    return this.#units;
  }

  /** Those that a run has, in its order. */
  of(main: Main): readonly Unit<T>[] {
    return this.#byMain.get(main) ?? [];
  }

  /** Gives the run a unit, started if need be. */
  attach(now: number, main: Main, want: Want<T>): Unit<T> | Unavailable {
    if (this.#closed) return { unavailable: "the node is shutting down" };
    const unit = want.scope === "request" ? this.#startNew(now, want) : this.#sharedFor(now, want);
    if ("unavailable" in unit) return unit;
    unit.mains.add(main);
    unit.idleSince = undefined;
    const own = this.#byMain.get(main);
    if (own === undefined) this.#byMain.set(main, [unit]);
    else own.push(unit);
    if (unit.state === "paused") this.#resume(unit);
    return unit;
  }

  /** Its `start` has returned. */
  standing(now: number, unit: Unit<T>): void {
    if (unit.state !== "starting") return;
    unit.state = "standing";
    const replaced = this.#group(unit.want).filter((other) => other !== unit && other.isUp && now - other.since >= RENEW_MS);
    for (const other of replaced) this.#outdate(now, other);
    unit.settleStart();
    // Nobody is left that wanted it, or it is wanted no more.
    this.#look(now, unit);
  }

  /** Its instance is gone. `reason`: why, where it did not stop in good order. */
  ended(now: number, unit: Unit<T>, reason: string | undefined): void {
    if (unit.state === "gone") return;
    const wasStarting = unit.state === "starting";
    unit.state = "gone";
    unit.reason = reason;
    this.#units.delete(unit);
    this.#stopBy.delete(unit);
    const key = keyOf(unit.want);
    const group = this.#shared.get(key)?.filter((other) => other !== unit) ?? [];
    if (group.length === 0) this.#shared.delete(key);
    else this.#shared.set(key, group);
    // A run's own that failed in a call has hurt nobody else: only what cannot even start is kept from being tried.
    if (reason !== undefined && (wasStarting || unit.want.scope !== "request")) this.#breakers.of(unit.want.what).failed(now);
    unit.settleStart();
    unit.settleEnd();
  }

  /** A call of it has been answered: it works. */
  worked(unit: Unit<T>): void {
    this.#breakers.succeeded(unit.want.what);
  }

  /** The run is over for its sidecars: its own go, in the reverse of their order; shared ones wait for the next. */
  release(now: number, main: Main): void {
    const units = this.#byMain.get(main);
    if (units === undefined) return;
    this.#byMain.delete(main);
    this.#paused.delete(main);
    for (const unit of units.toReversed()) {
      unit.mains.delete(main);
      this.#look(now, unit);
    }
  }

  /** The run pauses: so do those units all of whose runs do. Gives the units that were told, in the order of that. */
  pause(main: Main): readonly Unit<T>[] {
    this.#paused.add(main);
    const told = this.of(main).filter((unit) => unit.state === "standing" && [...unit.mains].every((each) => this.#paused.has(each)));
    for (const unit of told.toReversed()) {
      unit.state = "paused";
      this.#ports.pause(unit);
    }
    return told.toReversed();
  }

  /** The run goes on, after its sidecars. */
  resume(main: Main): readonly Unit<T>[] {
    this.#paused.delete(main);
    const told = this.of(main).filter((unit) => unit.state === "paused");
    for (const unit of told) this.#resume(unit);
    return told;
  }

  /** When `tick` has something to do; Infinity: never. */
  nextWake(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const unit of this.#units) if (unit.idleSince !== undefined && unit.isUp) next = Math.min(next, unit.idleSince + unit.want.idle);
    for (const until of this.#stopBy.values()) next = Math.min(next, until);
    return next;
  }

  /** Stops what nobody needs, and ends what does not stop. */
  tick(now: number): void {
    for (const unit of this.#units) {
      if (unit.isUp && unit.want.scope !== "request" && !unit.outdated && !this.#ports.isCurrent(unit)) this.#outdate(now, unit);
      if (unit.isUp && unit.idleSince !== undefined && now - unit.idleSince >= unit.want.idle) this.#stop(now, unit);
    }
    for (const [unit, until] of this.#stopBy) {
      if (now < until) continue;
      // It is killed once; its instance may take a moment to go.
      this.#stopBy.delete(unit);
      this.#ports.kill(unit);
    }
  }

  /** Nothing starts any more; what has no runs stops now, the rest with its last. */
  close(now: number): void {
    this.#closed = true;
    for (const unit of this.#units) this.#outdate(now, unit);
  }

  #sharedFor(now: number, want: Want<T>): Unit<T> | Unavailable {
    const all = this.#group(want);
    const [only] = all;
    const isUsual = all.length === 1 && only?.state === "standing" && !only.outdated && want.instances === 1 && now - only.since < RENEW_MS;
    if (isUsual) return only;
    const group = all.filter(({ outdated, state }) => !outdated && state !== "stopping");
    const up = group.filter((unit) => unit.isUp);
    const starting = group.find(({ state }) => state === "starting");
    const least = up.reduce<Unit<T> | undefined>(
      (best, unit) => (best === undefined || unit.mains.size < best.mains.size ? unit : best),
      undefined,
    );
    if (least === undefined) return starting ?? this.#startNew(now, want);
    const isBusy = least.mains.size > 0 && group.length < want.instances;
    // The old one serves until the new one stands.
    if (starting === undefined && (isBusy || now - least.since >= RENEW_MS)) this.#startNew(now, want);
    return least;
  }

  #startNew(now: number, want: Want<T>): Unit<T> | Unavailable {
    const { what, scope } = want;
    const wait = this.#breakers.wait(what, now);
    if (wait > 0) return { unavailable: `it has failed too often; it is tried again in ${Math.ceil(wait)} ms` };
    const unit = new Unit(this.#nextId++, want, now);
    this.#units.add(unit);
    if (scope !== "request") this.#shared.set(keyOf(want), [...this.#group(want), unit]);
    this.#breakers.tried(what, now);
    this.#ports.start(unit);
    return unit;
  }

  #group(want: Want<T>): readonly Unit<T>[] {
    return this.#shared.get(keyOf(want)) ?? [];
  }

  #outdate(now: number, unit: Unit<T>): void {
    unit.outdated = true;
    this.#look(now, unit);
  }

  /** Whether it is to go on without a run. */
  #look(now: number, unit: Unit<T>): void {
    if (!unit.isUp || unit.mains.size > 0) return;
    if (unit.state === "paused") this.#resume(unit);
    if (unit.outdated || unit.want.scope === "request" || unit.want.idle === 0) this.#stop(now, unit);
    else unit.idleSince ??= now;
  }

  #resume(unit: Unit<T>): void {
    unit.state = "standing";
    this.#ports.resume(unit);
  }

  #stop(now: number, unit: Unit<T>): void {
    unit.state = "stopping";
    this.#stopBy.set(unit, now + STOP_MS);
    this.#ports.stop(unit);
  }
}

function keyOf({ scope, owner, what }: Want): string {
  return `${scope} ${owner} ${what}`;
}
