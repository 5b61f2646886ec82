/** What stands beside one run: its sidecars, and what of them is still under way. */
import type { RequestHead } from "../engine/sidecars.js";
import type { Unit } from "../sidecars/keeper.js";
import type { SidecarEntry } from "../sidecars/plan.js";
import type { Task } from "../tasks/task.js";
import type { Standing } from "./sidecar-runs.js";

/** A request as its sidecars see it. */
export interface BesideRequest {
  head(): RequestHead;
  /** A field by its name in lower case; what only holders of `debug` may ask for, for those alone. */
  header(name: string, task: Task): string | undefined;
  /**
   * The body, for transforms: whole, if it comes to no more than so many bytes. `"long"`: it is longer, and stays as it is;
   * `"too-long"`: so it has turned out to be, and what has come of it is lost. With `must`, it is never `"long"`.
   */
  body(most: number, must: boolean, told: (body: Uint8Array | "long" | "too-long") => void): void;
}

/** A request as transforms have left it. */
export interface Transformed {
  readonly head: RequestHead;
  /** Undefined: the body was none of theirs. */
  readonly body: Uint8Array | undefined;
}

/** One of the moves that a run and its sidecars make together. */
export interface Move {
  /** `main`, or the sidecar's name. */
  readonly of: string;
  readonly move: "start" | "pause" | "resume" | "stop";
  /** ISO 8601. */
  readonly at: string;
  /** How long it took; undefined: it goes on. */
  ms: number | undefined;
  /** What went wrong with it. */
  failed: string | undefined;
}

export interface BesideOne {
  readonly entry: SidecarEntry;
  unit: Unit<Standing> | undefined;
  /** A call of the run has come to it. */
  used: boolean;
}

export class Beside {
  readonly ones: BesideOne[];
  /** The run has not been ordered yet: guards and transforms have not all spoken. */
  isDeciding = true;
  cancelled = false;
  /** Sidecars are to serve its imports once it begins. */
  isBound = false;
  transformed: Transformed | undefined;
  /** Questions that are not answered yet. */
  asking = 0;
  /** The run has settled, and those that observe it have been told. */
  isOver = false;
  isReleased = false;

  constructor(entries: readonly SidecarEntry[]) {
    this.ones = entries.map((entry) => ({ entry, unit: undefined, used: false }));
  }

  /** Those that export the interface, in their order, whether they stand now or not. */
  having(iface: string): BesideOne[] {
    return this.ones.filter((one) => exports(one, iface));
  }

  has(iface: string): boolean {
    for (const one of this.ones) if (exports(one, iface)) return true;
    return false;
  }
}

function exports({ unit }: BesideOne, iface: string): boolean {
  return unit !== undefined && unit.of.exports?.has(iface) === true;
}

export function isUp({ unit }: BesideOne): boolean {
  return unit?.isUp === true;
}
