/**
 * What a manifest and a tenant's terms say, set against what was used: `pilotlight usage --advise`.
 *
 * Pure functions from figures to suggestions with the figures that speak for them; nothing is ever changed here. Below
 * a hundred runs nothing is suggested: what a task does rarely may not have happened yet.
 */
import { durationText, shareText, sizeText } from "../base/units.js";
import type { AdviceView } from "../control/control.js";
import type { SubPoolSettings } from "../pool/types.js";
import { effectiveCapacity } from "../tasks/capacity.js";
import type { Manifest } from "../tasks/manifest.js";
import type { CapacityTerms } from "../tenants/tenant.js";
import { Tally } from "./tally.js";
import type { UsageRow } from "./usage.js";

/** As much of a manifest as is set against what was used. */
export type Advised = Pick<Manifest, "name" | "limits" | "capacity" | "reuse">;
export type Used = Pick<UsageRow, "pool" | "term" | "tally">;

const ENOUGH = 100;
/** Of the most that was used. */
const HEADROOM = 1.25;
/** A smaller limit is worth it from a quarter less on; a larger one, once a tenth is all that was left. */
const WORTH = 0.75;
const TIGHT = 0.9;
/** Shares of runs: from here on they are many. */
const MANY = 0.05;
const MiB = 2 ** 20;
const GiB = 2 ** 30;

type Advice = Omit<AdviceView, "task">;

/** Of one task; `rows` are its rows of a time. One for each field, in the manifest's order. */
export function advise(manifest: Advised, terms: CapacityTerms, rows: readonly Used[]): AdviceView[] {
  const all = sumOf(rows);
  const advice = [
    onMemory(manifest, all),
    onTimeout(manifest, all),
    onConcurrency(manifest, all),
    onPool(manifest, terms, rows),
    onReady(manifest, all),
  ];
  return advice.map((one) => told(one, all, manifest.name));
}

/**
 * Of a tenant's dedicated cells; `tasks` are all of its tasks. Undefined: it has none. `cell` is one of them.
 */
export function adviseCells(
  terms: CapacityTerms,
  cell: Pick<SubPoolSettings, "cellBytes" | "cellSlots">,
  tasks: readonly { readonly manifest: Advised; readonly rows: readonly Used[] }[],
): AdviceView | undefined {
  if (terms.dedicated === 0) return undefined;
  const there = tasks.filter(({ manifest }) => effectiveCapacity(manifest.capacity, terms).pool === "dedicated");
  const rows = there.flatMap(({ rows }) => rows);
  return told(onCells(terms.dedicated, Math.max(1, cellsNeeded(cell, there)), rows), sumOf(rows), undefined);
}

function onCells(set: number, needed: number, rows: readonly Used[]): Advice {
  const field = "dedicated";
  const { count, asked, share, text } = overflowOf(rows);
  if (share > MANY) {
    // As if the cells served as many runs each as now; ten times as many at most, on the word of one time.
    const served = Math.max(asked - count, asked / 10);
    const suggested = Math.max(set + 1, Math.ceil((set * asked) / served));
    return { field, change: "raise", set, suggested, why: text };
  }
  const why = `${needed === 1 ? "one" : needed} would hold every task at its most runs at once; ${text}`;
  if (needed < set && count === 0) return { field, change: "lower", set, suggested: needed, why };
  return keep(field, set, why);
}

function onMemory({ limits }: Advised, { runs, maxMemory, memoryP95, overMemory }: Tally): Advice {
  const field = "limits.memory";
  const set = sizeText(limits.memory);
  const used = `95 % of ${ofRuns(runs)} took at most ${sizeText(memoryP95)}, and none more than ${sizeText(maxMemory)}`;
  if (overMemory > 0) {
    const why = `${overMemory} of ${ofRuns(runs)} ended at the limit`;
    return { field, change: "raise", set, suggested: sizeText(roundSize(limits.memory * HEADROOM)), why };
  }
  if (maxMemory === 0) return keep(field, set, "no run's memory is known");
  const suggested = roundSize(maxMemory * HEADROOM);
  if (maxMemory > limits.memory * TIGHT && suggested > limits.memory)
    return { field, change: "raise", set, suggested: sizeText(suggested), why: used };
  if (suggested <= limits.memory * WORTH) return { field, change: "lower", set, suggested: sizeText(suggested), why: used };
  return keep(field, set, used);
}

function onTimeout({ limits }: Advised, { runs, maxHeadMs, overTime }: Tally): Advice {
  const field = "limits.timeout";
  const set = durationText(limits.timeout);
  if (overTime > 0) {
    const why = `${overTime} of ${ofRuns(runs)} had no answer by then`;
    return { field, change: "raise", set, suggested: durationText(limits.timeout * 2), why };
  }
  return keep(
    field,
    set,
    maxHeadMs === 0 ? "no run began an answer" : `the slowest answer began after ${durationText(Math.ceil(maxHeadMs))}`,
  );
}

function onConcurrency({ limits }: Advised, all: Tally): Advice {
  const field = "limits.concurrency";
  const { concurrency } = limits;
  if (all.taskFull === 0) return keep(field, concurrency, `${all.peak} at once were the most; none was refused for it`);
  const why = `${all.taskFull} of ${all.count} were refused because so many were there`;
  return { field, change: "raise", set: concurrency, suggested: Math.ceil(concurrency * 1.5), why };
}

function onReady({ capacity, reuse }: Advised, all: Tally): Advice {
  const field = "capacity.ready";
  const { ready } = capacity;
  const needed = Math.ceil(all.peak / reuse.maxConcurrent);
  const instances = needed === 1 ? "one instance" : `${needed} instances`;
  const peak = `${all.peak} at once were the most, which takes ${instances}`;
  const cold = all.compiled + all.stored;
  const found = `${cold} of ${ofRuns(all.runs)} found the code not linked`;
  if (ready > needed) return { field, change: "lower", set: ready, suggested: needed, why: peak };
  if (ready === 0 && cold > all.runs * MANY) return { field, change: "raise", set: ready, suggested: 1, why: `${found}; ${peak}` };
  return keep(field, ready, `${peak}; ${found}`);
}

function onPool({ capacity }: Advised, terms: CapacityTerms, rows: readonly Used[]): Advice {
  const field = "capacity.pool";
  const { pool } = effectiveCapacity(capacity, terms);
  const { share, text } = overflowOf(rows);
  const other = pool === "variable" ? "shared" : terms.dedicated > 0 ? "dedicated" : undefined;
  // Where the tenant's own cells do not suffice, it is for `adviseCells` to say so.
  if (pool === "dedicated" || other === undefined || share <= MANY) return keep(field, pool, text);
  return { field, change: "other", set: pool, suggested: other, why: text };
}

/** Runs that their sub-pool had no room for at once: that waited, went to the shared one, or were refused. */
function overflowOf(rows: readonly Used[]): {
  readonly count: number;
  readonly asked: number;
  readonly share: number;
  readonly text: string;
} {
  const of = (term: Used["term"]): number => sumOf(rows.filter((row) => row.term === term)).runs;
  const all = sumOf(rows);
  // Whoever gave up had waited, too.
  const [waited, spilled] = [of("wait") + all.abandoned, of("spill")];
  const refused = all.tenantFull + all.nodeFull;
  const count = waited + spilled + refused;
  const share = all.count === 0 ? 0 : count / all.count;
  const text = `${waited} of ${all.count} waited (${durationText(Math.ceil(all.maxWaitMs))} at most), ${spilled} went to the shared sub-pool, ${refused} were refused for want of room: ${shareText(share)}`;
  return { count, asked: all.count, share, text };
}

/** Cells that every task's most runs at once fit in together, by bytes and by slots. */
function cellsNeeded(
  { cellBytes, cellSlots }: Pick<SubPoolSettings, "cellBytes" | "cellSlots">,
  tasks: readonly { readonly manifest: Advised; readonly rows: readonly Used[] }[],
): number {
  let bytes = 0;
  let slots = 0;
  for (const { manifest, rows } of tasks) {
    const { peak, runMs, gibSeconds, maxMemory } = sumOf(rows);
    const charged = runMs === 0 ? maxMemory : (gibSeconds * GiB) / (runMs / 1e3);
    const instances = Math.ceil(peak / manifest.reuse.maxConcurrent);
    bytes += instances * charged;
    slots += instances;
  }
  return Math.max(Math.ceil(bytes / cellBytes), Math.ceil(slots / cellSlots));
}

function sumOf(rows: readonly Used[]): Tally {
  const all = new Tally();
  for (const { tally } of rows) all.merge(tally);
  return all;
}

function keep(field: string, set: string | number, why: string): Advice {
  return { field, change: "keep", set, suggested: undefined, why };
}

/** The advice, if enough ran to give any. */
function told(advice: Advice, { runs, refused }: Tally, task: string | undefined): AdviceView {
  if (runs + refused >= ENOUGH) return { task, ...advice };
  const why = `not enough runs to tell: ${runs}, and from ${ENOUGH} on something can be said`;
  return { task, ...advice, change: "unknown", suggested: undefined, why };
}

function ofRuns(runs: number): string {
  return runs === 1 ? "1 run" : `${runs} runs`;
}

/** The next of 1, 1.5, 2, 3, 4, 6, 8, … MiB. */
function roundSize(bytes: number): number {
  const power = 2 ** Math.max(0, Math.ceil(Math.log2(bytes / MiB)));
  const between = power * 0.75;
  return (power > 1 && between * MiB >= bytes ? between : power) * MiB;
}
