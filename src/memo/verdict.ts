/** How an answer of an idempotent task came about, and `Cache-Status` (RFC 9211), which tells. */

export interface Verdict {
  /**
   * `hit`: from a record. `collapsed`: from the run of an equal request that was under way. `miss`: there was no record. `stale`:
   * what it had read has changed, or its time was over. `forced`: the request wanted it run. `bypass`: records were left out of it.
   */
  readonly kind: "hit" | "collapsed" | "miss" | "stale" | "forced" | "bypass";
  /** Why, in a word or two that everybody may see: `expired`, `kv`, `body`. */
  readonly reason?: string | undefined;
  /** Names what has changed, for those who may see the insides of runs. */
  readonly what?: string | undefined;
  /** The run whose answer it is. */
  readonly recalls?: string | undefined;
  /** Seconds that the record holds on, if nothing changes. */
  readonly ttl?: number | undefined;
}

const FORWARDED = { collapsed: "miss", miss: "miss", stale: "stale", forced: "request", bypass: "bypass" } as const;

/** `obstacle`: why the run leaves no record, as far as is known when its answer begins. */
export function cacheStatus({ kind, reason, what, recalls, ttl }: Verdict, obstacle: string | undefined, insides: boolean): string {
  const details = [(insides && what) || reason, obstacle, recalls && `run ${recalls}`].filter((text) => text !== undefined && text !== "");
  let status = kind === "hit" ? "pilotlight; hit" : `pilotlight; fwd=${FORWARDED[kind]}`;
  if (kind === "collapsed") status += "; collapsed";
  if (ttl !== undefined) status += `; ttl=${ttl}`;
  if (details.length > 0) status += `; detail=${quoted(details.join("; "))}`;
  return status;
}

const LONGEST = 200;

/** A string of structured fields (RFC 8941), cut where it gets too long. What is no visible ASCII reads `?`. */
function quoted(text: string): string {
  const short = text.length > LONGEST ? `${text.slice(0, LONGEST - 3)}...` : text;
  return `"${short.replace(/[^ -~]/g, "?").replace(/["\\]/g, "\\$&")}"`;
}
