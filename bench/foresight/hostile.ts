/** Tenants that announce as much as they may of what never comes. */
import type { Said } from "../sim/foreseeing.js";
import type { TraceTask } from "../sim/trace.js";

const TASKS = 4;
/** Keys that a tenant announces with: as many as may be pending, so that most of them are believed. */
const SENDERS = 256;
const EVERY_MS = 1000;
const COUNT = 64;
const WINDOW_MS = 60_000;

/** They have tasks, and nobody ever asks for those. */
export function hostileTasks(tenants: number): TraceTask[] {
  return Array.from({ length: tenants * TASKS }, (_, n) => ({
    tenant: `hostile-${Math.floor(n / TASKS) + 1}`,
    name: `task-${(n % TASKS) + 1}`,
    component: "javascript",
  }));
}

/** One announcement a second of each tenant, by another key each time: all that may be announced at once. */
export function hostileSaid(tenants: number, from: number, until: number): Said[] {
  const said: Said[] = [];
  for (let time = from, n = 0; time < until; time += EVERY_MS, n++) {
    for (let tenant = 1; tenant <= tenants; tenant++) {
      const task = `task-${(n % TASKS) + 1}`;
      const sender = `key-${n % SENDERS}`;
      said.push({ time, said: { tenant: `hostile-${tenant}`, task, count: COUNT, start: time, window: WINDOW_MS, sender } });
    }
  }
  return said;
}
