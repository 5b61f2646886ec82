/**
 * What stands beside the pool on a simulated node: it hears of runs, tells the pool what to expect, and sees what that does.
 *
 * Instances are named by their slot: one that was prepared has it until it ends.
 */
import type { Pool, PoolEvent } from "../../src/pool/pool.js";
import type { Scene } from "./policy.js";

/** The node, for what stands beside its pool. */
export interface NodeAt {
  readonly scene: Scene;
  readonly pool: Pool;
  tell(now: number, event: PoolEvent): void;
}

export interface Granted {
  /** Index into the trace. */
  readonly run: number;
  readonly program: number;
  /** Undefined: its instance was made for it. */
  readonly slot: number | undefined;
  /** Milliseconds from its arrival until the guest's first instruction. */
  readonly waited: number;
}

export interface Beside {
  nextWake(): number;
  tick(now: number): void;
  /** After the pool was told of it, as on a node. */
  arrived(now: number, run: number): void;
  /** An instance is being made ahead of any run. */
  prepared(now: number, program: number, slot: number): void;
  granted(now: number, granted: Granted): void;
  ended(now: number, slot: number): void;
  /** A program is being linked, ahead of any run or not, and is let go. */
  linking(now: number, program: number, isAhead: boolean): void;
  lowered(now: number, program: number): void;
}

export type MakeBeside = (node: NodeAt) => Beside;

/** Only sees: how long each run waited. */
export class Watching implements Beside {
  /** By run, in milliseconds; NaN: it never began. */
  readonly waits: Float64Array;

  constructor({ scene }: NodeAt) {
    this.waits = new Float64Array(scene.trace.length).fill(Number.NaN);
  }

  nextWake(): number {
    return Number.POSITIVE_INFINITY;
  }

  granted(_now: number, { run, waited }: Granted): void {
    this.waits[run] = waited;
  }

  tick(_now: number): void {}
  arrived(_now: number, _run: number): void {}
  prepared(_now: number, _program: number, _slot: number): void {}
  ended(_now: number, _slot: number): void {}
  linking(_now: number, _program: number, _isAhead: boolean): void {}
  lowered(_now: number, _program: number): void {}
}
