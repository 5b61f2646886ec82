/**
 * The engine's side of a node, as far as it can tell whether it may obey: cells, instances and programs by their commands.
 *
 * It is honest about what is legal (native/core: an unused slot, a newer generation, an instance that is there, a cell that
 * is open). Anything else that is commanded is a violation.
 */
import type { PoolCommand, PoolProgram } from "../../../src/pool/types.js";
import { Violation } from "../support/steps.js";
import { Bag, type Bagged } from "./bag.js";

export interface EngineProgram {
  terms: PoolProgram;
  code: PoolProgram["code"];
  isRaising: boolean;
  isRemoved: boolean;
  isForgotten: boolean;
  /** What its linked form really holds. */
  bytes: number;
  /** Instances that the engine has, and those among them that the pool has not let go. */
  existing: number;
  living: number;
  /** Runs with a lease, and runs in line. */
  leased: number;
  waiting: number;
  /** Raises in a row that failed, and until when none is tried, in the model's time. */
  raiseFailures: number;
  raisePausedUntil: number;
}

export interface EngineCell {
  readonly id: number;
  /** Whose instances are in it, or were last. */
  tenant: string | undefined;
  existing: number;
  living: number;
}

export interface EngineInstance extends Bagged {
  readonly slot: number;
  readonly generation: number;
  readonly program: EngineProgram;
  /** Undefined: the lobby. */
  readonly cell: EngineCell | undefined;
  isStarting: boolean;
  /** It is gone, and the pool does not know that yet. */
  isLost: boolean;
  /** No run may be granted on it any more. */
  isClosed: boolean;
  /** The pool has let it go. */
  isReleased: boolean;
  /** The engine will announce its end. */
  isEnding: boolean;
  isGone: boolean;
  /** Runs on it, and those that the pool has given up and that go on. */
  runs: number;
  ghosts: number;
  served: number;
  /** In the model's time. */
  readonly born: number;
  /** The least that it can be charged in its cell. */
  charge: number;
}

/** Fails with what is wrong when something does not hold. */
export function check(holds: boolean, otherwise: () => string): asserts holds {
  if (!holds) throw new Violation(otherwise());
}

export class EngineModel {
  readonly programs = new Map<number, EngineProgram>();
  readonly cells = new Map<number, EngineCell>();
  readonly instances = new Bag<EngineInstance>();
  /** How often a cell has changed its tenant. */
  moved = 0;
  readonly #slots = new Map<number, EngineInstance>();
  readonly #generations = new Map<number, number>();
  #lastCell = 0;

  program(id: number): EngineProgram {
    const program = this.programs.get(id);
    check(program !== undefined && !program.isForgotten, () => `a command names program ${id}, which is not there`);
    return program;
  }

  /** The instance of that name; undefined when the slot is free or has another. */
  at(slot: number, generation: number): EngineInstance | undefined {
    const instance = this.#slots.get(slot);
    return instance?.generation === generation ? instance : undefined;
  }

  make(slot: number, generation: number, program: EngineProgram, cellId: number, isStarting: boolean, born: number): EngineInstance {
    check(!this.#slots.has(slot), () => `slot ${slot} is in use`);
    check(generation > (this.#generations.get(slot) ?? 0), () => `generation ${generation} of slot ${slot} was used before`);
    check(program.code === "linked", () => `an instance of program ${program.terms.program}, which is not linked`);
    const cell = this.#cellFor(cellId, program.terms.tenant);
    const instance: EngineInstance = {
      slot,
      generation,
      program,
      cell,
      isStarting,
      isLost: false,
      isClosed: false,
      isReleased: false,
      isEnding: false,
      isGone: false,
      runs: 0,
      ghosts: 0,
      served: 0,
      born,
      charge: 0,
      bagAt: 0,
    };
    this.#generations.set(slot, generation);
    this.#slots.set(slot, instance);
    this.instances.add(instance);
    program.existing++;
    program.living++;
    if (cell === undefined) return instance;
    cell.existing++;
    cell.living++;
    return instance;
  }

  /** A cell changes its tenant only when nothing of an instance is left in it. */
  #cellFor(id: number, tenant: string): EngineCell | undefined {
    if (id === 0) return undefined;
    const cell = this.cells.get(id);
    check(cell !== undefined, () => `an instance in cell ${id}, which is not there`);
    check(cell.existing === 0 || cell.tenant === tenant, () => `an instance of ${tenant} in cell ${id}, where ${cell.tenant} is`);
    if (cell.tenant !== undefined && cell.tenant !== tenant) this.moved++;
    cell.tenant = tenant;
    return cell;
  }

  /** The pool counts it no more. */
  release(instance: EngineInstance): void {
    instance.isClosed = true;
    if (instance.isReleased) return;
    instance.isReleased = true;
    instance.program.living--;
    if (instance.cell !== undefined) instance.cell.living--;
  }

  gone(instance: EngineInstance): void {
    this.release(instance);
    instance.isGone = true;
    instance.program.existing--;
    if (instance.cell !== undefined) instance.cell.existing--;
    this.#slots.delete(instance.slot);
    this.instances.remove(instance);
  }

  raise({ program: id }: PoolCommand & { kind: "raise" }): EngineProgram {
    const program = this.program(id);
    check(program.code !== "linked", () => `program ${id} is linked, and is to be linked`);
    check(!program.isRaising, () => `program ${id} is being linked, and is to be linked`);
    program.isRaising = true;
    return program;
  }

  lower({ program: id }: PoolCommand & { kind: "lower" }): void {
    const program = this.program(id);
    check(program.code === "linked", () => `program ${id} is not linked, and is to be let go`);
    check(program.existing === 0, () => `program ${id} is let go, with ${program.existing} instances there`);
    check(program.leased === 0, () => `program ${id} is let go, with ${program.leased} leases`);
    program.code = "compiled";
  }

  forget({ program: id }: PoolCommand & { kind: "forget" }): void {
    const program = this.program(id);
    check(program.isRemoved, () => `program ${id} is forgotten, and was not removed`);
    check(program.living === 0, () => `program ${id} is forgotten with ${program.living} instances`);
    check(program.leased + program.waiting === 0, () => `program ${id} is forgotten with runs`);
    check(!program.isRaising, () => `program ${id} is forgotten while it is linked`);
    program.isForgotten = true;
  }

  cell({ cell: id, bytes }: PoolCommand & { kind: "cell" }): void {
    check(bytes >= 0, () => `cell ${id} is to hold ${bytes} bytes`);
    if (this.cells.has(id)) return;
    check(id > this.#lastCell, () => `cell ${id} was there before`);
    this.#lastCell = id;
    this.cells.set(id, { id, tenant: undefined, existing: 0, living: 0 });
  }

  closeCell({ cell: id }: PoolCommand & { kind: "close-cell" }): void {
    const cell = this.cells.get(id);
    check(cell !== undefined, () => `cell ${id} is to be closed, and is not there`);
    check(cell.existing === 0, () => `cell ${id} is closed with ${cell.existing} instances in it`);
    this.cells.delete(id);
  }
}
