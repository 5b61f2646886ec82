/**
 * Instances as the pool knows them: named by slot and generation, counted and charged in their cell and program.
 *
 * An instance that was let go is charged nothing any more, but its cell is not empty before the engine has said that
 * the instance is gone. Which is let go, and when, others decide.
 */
import { LEAST_BYTES } from "./learn.js";
import { remove, type Cell, type Changes, type Instance, type ProgramState, type Reserved } from "./state.js";
import type { PoolCommand } from "./types.js";

export class Instances {
  readonly #slots: (Instance | undefined)[] = [];
  readonly #generations: number[] = [];
  readonly #free: number[] = [];
  readonly #changes: Changes;
  #idle = 0;
  #busy = 0;
  #starting = 0;
  #ending = 0;
  /** In the lobby, for calls. */
  readonly reserve: Reserved = { instances: 0, bytes: 0 };

  constructor(changes: Changes) {
    this.#changes = changes;
  }

  counts(): { idle: number; busy: number; starting: number; ending: number } {
    return { idle: this.#idle, busy: this.#busy, starting: this.#starting, ending: this.#ending };
  }

  /** Instances that are not on their way out. */
  get living(): number {
    return this.#idle + this.#busy + this.#starting;
  }

  create(now: number, owner: ProgramState, cell: Cell | undefined, state: "starting" | "busy", charge: number, trial = false): Instance {
    const slot = this.#free.pop() ?? this.#slots.length;
    const generation = (this.#generations[slot] ?? 0) + 1;
    this.#generations[slot] = generation;
    const instance: Instance = {
      slot,
      generation,
      owner,
      cell,
      state,
      active: 0,
      served: 0,
      born: now,
      idleSince: now,
      charge: 0,
      trial,
    };
    this.#slots[slot] = instance;
    owner.instances++;
    owner.existing++;
    this.#enter(instance, state);
    this.charge(instance, charge);
    return instance;
  }

  /** The instance of that name, if it is there still. */
  get(slot: number, generation: number): Instance | undefined {
    const instance = this.#slots[slot];
    return instance?.generation === generation ? instance : undefined;
  }

  /** What it counts in its cell from now on. */
  charge(instance: Instance, bytes: number): void {
    const more = bytes - instance.charge;
    if (instance.cell !== undefined) instance.cell.charged += more;
    else if (!instance.trial) this.#reserve(instance.owner, more);
    instance.charge = bytes;
  }

  /** One that is charged something is there. */
  #reserve({ tenant }: ProgramState, bytes: number): void {
    for (const reserved of [this.reserve, tenant.reserve]) {
      reserved.bytes += bytes;
      reserved.instances += Math.sign(bytes);
    }
  }

  putIdle(now: number, instance: Instance): void {
    this.#leave(instance);
    this.#enter(instance, "idle");
    instance.idleSince = now;
    const { owner, cell } = instance;
    if (cell === undefined) return;
    this.#freed(owner, cell);
    owner.idleCount++;
    cell.idleInstances.add(instance);
    const idle = owner.idle.get(cell);
    if (idle === undefined) owner.idle.set(cell, [instance]);
    else idle.push(instance);
  }

  /** It is idle no more, and busy from now on. */
  occupy(instance: Instance): void {
    if (instance.state === "busy") return;
    this.#leave(instance);
    this.#enter(instance, "busy");
  }

  /** Lets it go. */
  end(now: number, instance: Instance, out: PoolCommand[]): void {
    this.ended(now, instance);
    out.push({ kind: "retire", slot: instance.slot, generation: instance.generation });
  }

  /** Lets all go that lie idle of a program. */
  endIdle(now: number, owner: ProgramState, out: PoolCommand[]): void {
    for (const idle of owner.idle.values()) for (const instance of idle.slice()) this.end(now, instance, out);
  }

  /** The engine lets it go by itself: its last run said so. */
  ended(now: number, instance: Instance): void {
    this.charge(instance, 0);
    this.#leave(instance);
    this.#enter(instance, "ending");
    instance.owner.shared.delete(instance);
    instance.owner.instances--;
    const { owner, cell } = instance;
    // An instance that goes ends the time in which something ran in its cell.
    if (cell !== undefined) cell.idleSince = now;
    this.#freed(owner, cell);
  }

  /** The engine says that it is there no more. */
  gone(now: number, instance: Instance): void {
    if (instance.state !== "ending") this.ended(now, instance);
    this.#leave(instance);
    instance.owner.existing--;
    // What nothing exists of may be let go.
    instance.owner.tenant.changes++;
    this.#slots[instance.slot] = undefined;
    this.#free.push(instance.slot);
  }

  /** There is room in the tenant's cell; when nothing runs in it any more, others may have the cell. */
  #freed(owner: ProgramState, cell: Cell | undefined): void {
    owner.tenant.changes++;
    if (cell === undefined || cell.busy + cell.starting === 0) this.#changes.count++;
  }

  #enter(instance: Instance, state: Instance["state"]): void {
    instance.state = state;
    this.#count(instance, 1);
  }

  #leave(instance: Instance): void {
    this.#count(instance, -1);
    if (instance.state === "starting") instance.owner.starting--;
    if (instance.state === "idle" && instance.cell !== undefined) this.#unlist(instance, instance.cell);
  }

  #unlist(instance: Instance, cell: Cell): void {
    const { owner } = instance;
    owner.idleCount--;
    cell.idleInstances.delete(instance);
    const idle = owner.idle.get(cell) as Instance[];
    if (idle.at(-1) === instance) idle.pop();
    else remove(idle, instance);
    if (idle.length === 0) owner.idle.delete(cell);
  }

  #count({ state, cell, owner }: Instance, sign: 1 | -1): void {
    switch (state) {
      case "idle":
        this.#idle += sign;
        if (cell !== undefined) cell.idle += sign;
        break;
      case "busy":
        this.#busy += sign;
        if (cell !== undefined) cell.busy += sign;
        break;
      case "starting":
        this.#starting += sign;
        if (sign > 0) owner.starting++;
        if (cell !== undefined) cell.starting += sign;
        break;
      case "ending":
        this.#ending += sign;
        if (cell !== undefined) cell.ending += sign;
        break;
    }
  }
}

/** What a running instance is charged: its limit over the over-commit, and at least what its version is known to take. */
export function ownCharge(owner: ProgramState, overcommit: number): number {
  return Math.max(LEAST_BYTES, Math.min(owner.memoryLimit, Math.max(owner.memoryPeak, owner.memoryLimit / overcommit)));
}

/**
 * The same with what it is likely to call, until it does: room that is there for a run and not for what it calls is of no use.
 * Never above its limit, so that it fits wherever it may run.
 */
export function runCharge(owner: ProgramState, overcommit: number): number {
  return Math.max(LEAST_BYTES, Math.min(owner.memoryLimit, ownCharge(owner, overcommit) + owner.calledBytes));
}

/** When an idle instance has been so for too long, or has grown too old; Infinity: it stays while it is wanted. */
export function expiry({ owner, served, idleSince, born }: Instance): number {
  // One that was never used is no used one: `maxIdle` is not about it, and nothing of it has aged.
  return served === 0 ? Number.POSITIVE_INFINITY : Math.min(idleSince + owner.reuse.maxIdle, born + owner.reuse.maxAge);
}
