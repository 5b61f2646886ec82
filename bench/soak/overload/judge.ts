/** Whether a node under more load than it can take did what it promises: what it serves stays fast, the rest is refused at once. */
import type { Streamed } from "../../support/streams.js";
import { percentile } from "../../support/statistics.js";

export interface Bounds {
  /** The 99th percentile of what is served, in times of the one without load. */
  readonly latency: number;
  /** Milliseconds that it may be above that: a crowd that comes at once is much of a short run, and little of a long one. */
  readonly latencyMs?: number;
  /** The 99th percentile of the time to a refusal, in milliseconds. */
  readonly refusalMs: number;
  /** What is served under load, as a share of what the node can. */
  readonly goodput: number;
}

export interface Measured {
  /** One request at a time. */
  readonly unloaded: Streamed;
  /** Served in a second when the client waits for answers: the best window. */
  readonly capacity: number;
  /** More than that, whatever comes back. */
  readonly loaded: Streamed;
}

/** The figures of a run. Milliseconds, and shares. */
export interface Figures {
  readonly unloadedP50: number;
  readonly unloadedP99: number;
  readonly servedP50: number;
  readonly servedP99: number;
  readonly refusedP50: number;
  readonly refusedP99: number;
  readonly served_p99_over_unloaded: number;
  readonly goodput: number;
  readonly refusedShare: number;
  /** How late the client itself sent what was due. */
  readonly clientP99: number;
}

export function figuresOf({ unloaded, capacity, loaded }: Measured): Figures {
  const unloadedP99 = at(unloaded.served, 99);
  const servedP99 = at(loaded.served, 99);
  return {
    unloadedP50: at(unloaded.served, 50),
    unloadedP99,
    servedP50: at(loaded.served, 50),
    servedP99,
    refusedP50: at(loaded.refused, 50),
    refusedP99: at(loaded.refused, 99),
    served_p99_over_unloaded: unloadedP99 > 0 ? servedP99 / unloadedP99 : Number.POSITIVE_INFINITY,
    goodput: loaded.served.length / loaded.seconds / capacity,
    refusedShare: loaded.refused.length / Math.max(1, loaded.requests),
    clientP99: at(loaded.late, 99),
  };
}

/** What was wrong, in words; empty when nothing was. */
export function judge(measured: Measured, bounds: Bounds): string[] {
  const { unloaded, loaded, capacity } = measured;
  const figures = figuresOf(measured);
  const faults = [...wrongAnswers("one at a time", unloaded), ...wrongAnswers("under load", loaded)];
  if (unloaded.refused.length > 0)
    faults.push(`${unloaded.refused.length} requests were refused that came one at a time (${codesText(unloaded)})`);
  const { latency, latencyMs = 0 } = bounds;
  if (loaded.served.length > 0 && figures.servedP99 > latency * figures.unloadedP99 + latencyMs)
    faults.push(
      `what was served took ${ms(figures.servedP99)} (p99), ${figures.served_p99_over_unloaded.toFixed(2)} times the ${ms(figures.unloadedP99)} without load; at most ${latency} times${latencyMs > 0 ? ` and ${latencyMs} ms` : ""}`,
    );
  if (figures.refusedP99 > bounds.refusalMs) faults.push(`refusals took ${ms(figures.refusedP99)} (p99); at most ${bounds.refusalMs} ms`);
  if (figures.goodput < bounds.goodput)
    faults.push(
      `${Math.round(loaded.served.length / loaded.seconds)} a second were served under load, ${percentText(figures.goodput)} of the ${Math.round(capacity)} that the node can; at least ${percentText(bounds.goodput)}`,
    );
  return faults;
}

/** Neither served nor an honest refusal; each kind is shown as it was seen first. */
export function wrongAnswers(when: string, { wrong, shown }: Streamed): string[] {
  const more = wrong - shown.length;
  return [...shown.map((what) => `${when}: ${what}`), ...(more > 0 ? [`${when}: ${more} more answers that were wrong`] : [])];
}

export function codesText({ codes }: Streamed): string {
  return Object.entries(codes)
    .map(([code, count]) => `${count} ${code}`)
    .join(", ");
}

export function percentText(share: number): string {
  return `${Math.round(100 * share)} %`;
}

export function ms(milliseconds: number): string {
  return `${milliseconds.toFixed(1)} ms`;
}

/** 0 where there is nothing. */
function at(values: readonly number[], percent: number): number {
  return values.length === 0 ? 0 : percentile(values, percent);
}
