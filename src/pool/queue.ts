// Placeholder of the lead while helper C writes the real one: overwrite me.
import type { Priority } from "./types.js";
export interface Waiter { readonly run: number; readonly tenant: string; readonly lane: number; readonly deadline: number; readonly priority: Priority; readonly cost: number; readonly since: number }
export class FairQueue {
  #l: Waiter[] = [];
  constructor(readonly o: { perTenant: number }) {}
  push(w: Waiter): boolean { if (this.sizeOf(w.tenant) >= this.o.perTenant) return false; this.#l.push(w); return true; }
  remove(run: number): Waiter | undefined { const i = this.#l.findIndex((w) => w.run === run); return i < 0 ? undefined : this.#l.splice(i, 1)[0]; }
  get size(): number { return this.#l.length; }
  sizeOf(t: string): number { return this.#l.filter((w) => w.tenant === t).length; }
  laneHead(lane: number): Waiter | undefined { return this.#l.find((w) => w.lane === lane); }
  setWeight(_t: string, _w: number): void {}
  take(can: (lane: number, head: Waiter) => boolean): Waiter | undefined { const seen = new Set<number>(); for (const w of this.#l) { if (seen.has(w.lane)) continue; seen.add(w.lane); if (can(w.lane, w)) return this.remove(w.run); } return undefined; }
  expire(now: number): Waiter[] { const e = this.#l.filter((w) => w.deadline <= now); this.#l = this.#l.filter((w) => w.deadline > now); return e; }
  nextDeadline(): number { return Math.min(Number.POSITIVE_INFINITY, ...this.#l.map((w) => w.deadline)); }
}
