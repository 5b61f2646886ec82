/**
 * Which instance serves which run: a synchronous state machine over the engine's protocol.
 *
 * `step(now, event)` returns commands; there are no promises, timers or clocks inside, so the runtime, a
 * property test and a simulator drive the same code. An instance is named by its slot and the slot's
 * generation; a lease is the right to one run on it. This first policy is small and fixed: reuse a ready
 * instance, share a busy one where its program allows that and enough of them exist, make one where there is
 * room or where another program's instance lies idle, else wait in line. Who has waited longest is served
 * first, whatever its program.
 */

/** How a program's instances may be used again. Bytes and milliseconds; 1/1 is a clean instance for each run. */
export interface ReusePolicy {
  readonly maxRequests: number;
  readonly maxConcurrent: number;
  readonly maxMemory: number;
  readonly maxIdle: number;
  readonly maxAge: number;
}

export interface PoolProgram {
  readonly program: number;
  readonly reuse: ReusePolicy;
  /** Runs at once. */
  readonly concurrency: number;
  /** Instances kept ready ahead of demand. */
  readonly ready: number;
  /** What happens to a run when there is no room. */
  readonly whenFull: "wait" | "reject";
}

/** How a lease was come by: whose capacity, and how far the code was. */
export type Rung = "own/ready" | "own/linked";

export type PoolEvent =
  | { readonly kind: "add"; readonly program: PoolProgram }
  /** Makes one idle instance now if there is room, whatever `ready` says; unused, it goes after `maxIdle`. */
  | { readonly kind: "warm"; readonly program: number }
  /** Takes no more runs; instances end as they fall idle. */
  | { readonly kind: "remove"; readonly program: number }
  | { readonly kind: "demand"; readonly run: number; readonly program: number; readonly deadline: number }
  /** A run that waits is no longer wanted. */
  | { readonly kind: "withdraw"; readonly run: number }
  | { readonly kind: "ready"; readonly slot: number; readonly generation: number }
  | { readonly kind: "failed"; readonly slot: number; readonly generation: number }
  /** A run's lease is over. `sound` is false when the instance must not be used again. */
  | { readonly kind: "settled"; readonly run: number; readonly sound: boolean; readonly memoryBytes: number }
  /** The engine did not know the instance: nothing ran. The run asks again, until `deadline`, also of a program that was removed meanwhile. */
  | { readonly kind: "lease-refused"; readonly run: number; readonly deadline: number }
  | { readonly kind: "retired"; readonly slot: number; readonly generation: number }
  /** Time has passed `nextWake()`. */
  | { readonly kind: "tick" };

export type PoolCommand =
  | { readonly kind: "prepare"; readonly slot: number; readonly generation: number; readonly program: number }
  | {
      readonly kind: "grant";
      readonly run: number;
      readonly slot: number;
      readonly generation: number;
      readonly last: boolean;
      readonly rung: Rung;
    }
  | { readonly kind: "refuse"; readonly run: number; readonly reason: "task-full" | "node-full" }
  | { readonly kind: "retire"; readonly slot: number; readonly generation: number }
  /** A program that was removed has served its last run: no command will name it again. */
  | { readonly kind: "forget"; readonly program: number };

export interface PoolOptions {
  /** Instances that may exist at once on this node. */
  readonly capacity: number;
  /** A busy instance is shared only once a program has this many. */
  readonly parallelism: number;
  /** Runs that may wait at once, over all programs. */
  readonly queue: number;
}

type InstanceState = "starting" | "idle" | "busy" | "ending";

interface Instance {
  readonly slot: number;
  readonly generation: number;
  readonly owner: ProgramState;
  state: InstanceState;
  /** Runs on it now, and ever. */
  active: number;
  served: number;
  readonly born: number;
  idleSince: number;
  /** Made by `warm`: goes if nobody uses it. */
  readonly warmed: boolean;
}

interface ProgramState {
  readonly terms: PoolProgram;
  /** Idle instances, the most recently used last. */
  readonly idle: Instance[];
  /** Busy ones that may take another run. */
  readonly shared: Set<Instance>;
  readonly waiting: Waiter[];
  /** Runs that hold a lease. */
  leased: number;
  /** Leases ever. */
  granted: number;
  /** Instances that are not ending. */
  instances: number;
  starting: number;
  /** An instance could not be made: none is made ahead of demand until someone asks for the program. */
  failing: boolean;
  removed: boolean;
}

interface Waiter {
  readonly run: number;
  readonly deadline: number;
  /** Its place in line over all programs. */
  readonly place: number;
}

/** Instances made ahead of demand at once, so that filling up starves nobody. */
const STARTING_AT_ONCE = 4;

export interface PoolCounts {
  readonly idle: number;
  readonly busy: number;
  readonly starting: number;
  readonly ending: number;
  readonly waiting: number;
}

export class Pool {
  readonly #options: PoolOptions;
  readonly #programs = new Map<number, ProgramState>();
  readonly #leases = new Map<number, Instance>();
  readonly #slots: (Instance | undefined)[] = [];
  readonly #generations: number[] = [];
  readonly #free: number[] = [];
  readonly #waiters = new Map<number, { readonly state: ProgramState; readonly waiter: Waiter }>();
  /** Programs with runs that wait. */
  readonly #queued = new Set<ProgramState>();
  /** Programs that are owed ready instances. */
  readonly #short = new Set<ProgramState>();
  /** Programs that were removed and still have runs or instances. */
  readonly #leaving = new Set<ProgramState>();
  #nextPlace = 0;
  /** Instances that exist and are not on their way out. */
  #occupied = 0;
  #ending = 0;
  #idle = 0;
  /** Idle instances that idle time and age end: those that were used, or made by `warm`. */
  #mortalIdle = 0;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  step(now: number, event: PoolEvent): PoolCommand[] {
    const out: PoolCommand[] = [];
    switch (event.kind) {
      case "demand":
        this.#demand(now, event, out);
        break;
      case "settled":
        this.#settled(now, event, out);
        break;
      case "retired":
      case "failed":
        this.#gone(event.slot, event.generation, event.kind === "failed");
        break;
      case "ready":
        this.#ready(now, event.slot, event.generation, out);
        break;
      case "lease-refused":
        this.#again(now, event, out);
        break;
      case "warm":
        this.#warm(now, event.program, out);
        break;
      case "withdraw":
        this.#withdraw(event.run);
        break;
      case "add":
        this.#add(event.program);
        break;
      case "remove":
        this.#remove(event.program, out);
        break;
      case "tick":
        this.#tick(now, out);
        break;
    }
    if (this.#queued.size > 0) this.#serve(now, out);
    if (this.#short.size > 0) this.#refill(now, out);
    if (this.#leaving.size > 0) this.#forget(out);
    return out;
  }

  /** When `tick` has something to do next; Infinity when never. */
  nextWake(): number {
    let next = Number.POSITIVE_INFINITY;
    // Asked after every step, so the usual case costs nothing.
    if (this.#waiters.size === 0 && this.#mortalIdle === 0) return next;
    for (const { waiter } of this.#waiters.values()) next = Math.min(next, waiter.deadline);
    if (this.#mortalIdle === 0) return next;
    for (const state of this.#programs.values()) {
      for (const instance of state.idle) next = Math.min(next, expiry(instance));
    }
    return next;
  }

  /** Leases that runs of a program ever had; undefined for one that is gone. */
  granted(program: number): number | undefined {
    return this.#programs.get(program)?.granted;
  }

  counts(): PoolCounts {
    let [idle, busy, starting] = [0, 0, 0];
    for (const instance of this.#slots) {
      if (instance?.state === "idle") idle++;
      else if (instance?.state === "busy") busy++;
      else if (instance?.state === "starting") starting++;
    }
    return { idle, busy, starting, ending: this.#ending, waiting: this.#waiters.size };
  }

  #add(terms: PoolProgram): void {
    const state: ProgramState = {
      terms,
      idle: [],
      shared: new Set(),
      waiting: [],
      leased: 0,
      granted: 0,
      instances: 0,
      starting: 0,
      failing: false,
      removed: false,
    };
    this.#programs.set(terms.program, state);
    this.#want(state);
  }

  #remove(program: number, out: PoolCommand[]): void {
    const state = this.#programs.get(program);
    if (state === undefined) return;
    state.removed = true;
    this.#leaving.add(state);
    for (let instance = state.idle[0]; instance !== undefined; instance = state.idle[0]) {
      this.#takeIdle(instance);
      this.#end(instance, out);
    }
  }

  #demand(now: number, demand: { run: number; program: number; deadline: number }, out: PoolCommand[]): void {
    const state = this.#programs.get(demand.program);
    if (state === undefined || state.removed) {
      out.push({ kind: "refuse", run: demand.run, reason: "node-full" });
      return;
    }
    state.failing = false;
    this.#want(state);
    this.#place(now, state, demand, out);
  }

  /** A run whose instance was gone before it began. Its program is still there, because it had a lease on it. */
  #again(now: number, { run, deadline }: { run: number; deadline: number }, out: PoolCommand[]): void {
    const state = this.#leases.get(run)?.owner;
    this.#settled(now, { run, sound: false, memoryBytes: 0 }, out);
    if (state !== undefined) this.#place(now, state, { run, deadline }, out);
  }

  /** Leases an instance to the run, or puts it in line. */
  #place(now: number, state: ProgramState, demand: { run: number; deadline: number }, out: PoolCommand[]): void {
    if (state.waiting.length === 0 && this.#canGrant(state)) {
      this.#grant(now, state, demand.run, out);
      return;
    }
    if (state.terms.whenFull === "reject" || this.#waiters.size >= this.#options.queue) {
      out.push({ kind: "refuse", run: demand.run, reason: this.#fullness(state) });
      return;
    }
    const waiter: Waiter = { run: demand.run, deadline: demand.deadline, place: this.#nextPlace++ };
    state.waiting.push(waiter);
    this.#waiters.set(demand.run, { state, waiter });
    this.#queued.add(state);
  }

  #warm(now: number, program: number, out: PoolCommand[]): void {
    const state = this.#programs.get(program);
    if (state === undefined || state.removed) return;
    if (!this.#hasRoom() && this.#idle > 0 && this.#waiters.size === 0) this.#reclaim(out);
    if (this.#hasRoom()) this.#prepare(this.#newInstance(now, state, "starting", true), out);
  }

  #prepare(instance: Instance, out: PoolCommand[]): void {
    instance.owner.starting++;
    out.push({ kind: "prepare", slot: instance.slot, generation: instance.generation, program: instance.owner.terms.program });
  }

  #fullness(state: ProgramState): "task-full" | "node-full" {
    return state.leased >= state.terms.concurrency ? "task-full" : "node-full";
  }

  /** Whether a run of the program could be leased an instance now. */
  #canGrant(state: ProgramState): boolean {
    if (state.leased >= state.terms.concurrency) return false;
    return state.idle.length > 0 || state.shared.size > 0 || this.#hasRoom() || this.#idle > 0;
  }

  /** Leases an instance to the run; `#canGrant` has said that there is one. */
  #grant(now: number, state: ProgramState, run: number, out: PoolCommand[]): void {
    const ready = state.idle.at(-1);
    if (ready !== undefined) {
      this.#takeIdle(ready);
      this.#lease(state, ready, run, "own/ready", out);
      return;
    }
    if (state.shared.size > 0 && (!this.#hasRoom() || state.instances >= this.#options.parallelism)) {
      this.#lease(state, leastBusy(state.shared), run, "own/ready", out);
      return;
    }
    if (!this.#hasRoom()) this.#reclaim(out);
    this.#lease(state, this.#newInstance(now, state, "busy"), run, "own/linked", out);
  }

  #hasRoom(): boolean {
    return this.#occupied < this.#options.capacity;
  }

  /** Makes room: of the instances that lie idle, the one that has done so longest goes. */
  #reclaim(out: PoolCommand[]): void {
    let longest: Instance | undefined;
    for (const { idle } of this.#programs.values()) {
      const first = idle[0];
      if (first !== undefined && (longest === undefined || first.idleSince < longest.idleSince)) longest = first;
    }
    if (longest === undefined) return;
    this.#takeIdle(longest);
    this.#end(longest, out);
  }

  #lease(state: ProgramState, instance: Instance, run: number, rung: Rung, out: PoolCommand[]): void {
    const { reuse } = state.terms;
    instance.state = "busy";
    instance.active++;
    instance.served++;
    state.leased++;
    state.granted++;
    this.#leases.set(run, instance);
    const last = instance.served >= reuse.maxRequests;
    if (!last && instance.active < reuse.maxConcurrent) state.shared.add(instance);
    else state.shared.delete(instance);
    out.push({ kind: "grant", run, slot: instance.slot, generation: instance.generation, last, rung });
  }

  #settled(now: number, lease: { run: number; sound: boolean; memoryBytes: number }, out: PoolCommand[]): void {
    const instance = this.#leases.get(lease.run);
    if (instance === undefined) return;
    this.#leases.delete(lease.run);
    const state = instance.owner;
    state.leased--;
    instance.active--;
    if (instance.state === "busy") this.#afterRun(now, state, instance, lease, out);
  }

  /** What becomes of an instance when one of its runs has ended. */
  #afterRun(
    now: number,
    state: ProgramState,
    instance: Instance,
    lease: { sound: boolean; memoryBytes: number },
    out: PoolCommand[],
  ): void {
    const { reuse } = state.terms;
    const spent = instance.served >= reuse.maxRequests;
    if (!lease.sound || lease.memoryBytes > reuse.maxMemory || now - instance.born >= reuse.maxAge || state.removed || spent) {
      state.shared.delete(instance);
      if (instance.active > 0) {
        // The others on it finish; it takes no more.
        instance.served = Number.POSITIVE_INFINITY;
        return;
      }
      // The engine retires a spent instance by itself: its last lease said so.
      if (spent && lease.sound && Number.isFinite(instance.served)) this.#ended(instance);
      else this.#end(instance, out);
      return;
    }
    if (instance.active === 0) {
      state.shared.delete(instance);
      this.#putIdle(now, instance);
    } else {
      state.shared.add(instance);
    }
  }

  #ready(now: number, slot: number, generation: number, out: PoolCommand[]): void {
    const instance = this.#instance(slot, generation);
    if (instance === undefined || instance.state !== "starting") return;
    const state = instance.owner;
    state.starting--;
    if (state.removed) {
      this.#end(instance, out);
      return;
    }
    this.#putIdle(now, instance);
    this.#want(state);
  }

  #gone(slot: number, generation: number, failed: boolean): void {
    const instance = this.#instance(slot, generation);
    if (instance === undefined) return;
    const state = instance.owner;
    if (instance.state === "starting") state.starting--;
    if (instance.state === "idle") this.#takeIdle(instance);
    if (instance.state !== "ending") this.#ended(instance);
    this.#ending--;
    this.#slots[slot] = undefined;
    this.#free.push(slot);
    if (failed) state.failing = true;
    this.#want(state);
  }

  #withdraw(run: number): void {
    const entry = this.#waiters.get(run);
    if (entry === undefined) return;
    remove(entry.state.waiting, entry.waiter);
    this.#leftLine(entry.state, run);
  }

  #tick(now: number, out: PoolCommand[]): void {
    for (const { state, waiter } of this.#waiters.values()) {
      if (waiter.deadline > now) continue;
      remove(state.waiting, waiter);
      this.#leftLine(state, waiter.run);
      out.push({ kind: "refuse", run: waiter.run, reason: this.#fullness(state) });
    }
    if (this.#mortalIdle === 0) return;
    for (const state of this.#programs.values()) {
      for (const instance of state.idle.filter((instance) => expiry(instance) <= now)) {
        this.#takeIdle(instance);
        this.#end(instance, out);
      }
    }
  }

  #leftLine(state: ProgramState, run: number): void {
    this.#waiters.delete(run);
    if (state.waiting.length === 0) this.#queued.delete(state);
  }

  /** Grants what can be granted. */
  #serve(now: number, out: PoolCommand[]): void {
    for (let state = this.#firstInLine(); state !== undefined; state = this.#firstInLine()) {
      const { run } = state.waiting.shift() as Waiter;
      this.#leftLine(state, run);
      this.#grant(now, state, run, out);
    }
  }

  /** The program of the run that has waited longest of those that need not wait any more. */
  #firstInLine(): ProgramState | undefined {
    let first: ProgramState | undefined;
    for (const state of this.#queued) {
      if (this.#canGrant(state) && (first === undefined || placeOf(state) < placeOf(first))) first = state;
    }
    return first;
  }

  /** Notes that the program has fewer ready instances than it should. */
  #want(state: ProgramState): void {
    if (isShort(state)) this.#short.add(state);
  }

  /** Makes instances ahead of demand, where there is room that no run waits for. */
  #refill(now: number, out: PoolCommand[]): void {
    for (const state of this.#short) {
      while (isShort(state)) {
        if (!this.#hasRoom()) return;
        this.#prepare(this.#newInstance(now, state, "starting"), out);
      }
      this.#short.delete(state);
    }
  }

  #forget(out: PoolCommand[]): void {
    for (const state of this.#leaving) {
      if (state.instances > 0 || state.leased > 0 || state.waiting.length > 0) continue;
      this.#leaving.delete(state);
      this.#programs.delete(state.terms.program);
      out.push({ kind: "forget", program: state.terms.program });
    }
  }

  #newInstance(now: number, owner: ProgramState, state: InstanceState, warmed = false): Instance {
    const slot = this.#free.pop() ?? this.#slots.length;
    const generation = (this.#generations[slot] ?? 0) + 1;
    this.#generations[slot] = generation;
    const instance: Instance = { slot, generation, owner, state, active: 0, served: 0, born: now, idleSince: now, warmed };
    this.#slots[slot] = instance;
    this.#occupied++;
    owner.instances++;
    return instance;
  }

  #putIdle(now: number, instance: Instance): void {
    instance.state = "idle";
    instance.idleSince = now;
    instance.owner.idle.push(instance);
    this.#idle++;
    if (isMortal(instance)) this.#mortalIdle++;
  }

  #takeIdle(instance: Instance): void {
    remove(instance.owner.idle, instance);
    this.#idle--;
    if (isMortal(instance)) this.#mortalIdle--;
    this.#want(instance.owner);
  }

  #instance(slot: number, generation: number): Instance | undefined {
    const instance = this.#slots[slot];
    return instance?.generation === generation ? instance : undefined;
  }

  #end(instance: Instance, out: PoolCommand[]): void {
    this.#ended(instance);
    out.push({ kind: "retire", slot: instance.slot, generation: instance.generation });
  }

  /** It is on its way out and takes up no capacity any more; its slot is free once the engine says `retired`. */
  #ended(instance: Instance): void {
    instance.state = "ending";
    instance.owner.shared.delete(instance);
    instance.owner.instances--;
    this.#occupied--;
    this.#ending++;
  }
}

function expiry(instance: Instance): number {
  const { reuse } = instance.owner.terms;
  return isMortal(instance) ? Math.min(instance.idleSince + reuse.maxIdle, instance.born + reuse.maxAge) : Number.POSITIVE_INFINITY;
}

/** An instance kept ready that was never used is not a used one: `maxIdle` is not about it, and nothing of it has aged. */
function isMortal({ served, warmed }: Instance): boolean {
  return served > 0 || warmed;
}

function placeOf(state: ProgramState): number {
  return (state.waiting[0] as Waiter).place;
}

function isShort({ removed, failing, idle, starting, terms }: ProgramState): boolean {
  return !removed && !failing && starting < STARTING_AT_ONCE && idle.length + starting < terms.ready;
}

function leastBusy(shared: ReadonlySet<Instance>): Instance {
  let best: Instance | undefined;
  for (const instance of shared) if (best === undefined || instance.active < best.active) best = instance;
  return best as Instance;
}

function remove<T>(list: T[], item: T): void {
  const index = list.lastIndexOf(item);
  if (index >= 0) list.splice(index, 1);
}
