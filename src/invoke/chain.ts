/** The chain of runs that wait for one: who called whom. */
import { PROBLEMS, type Problem } from "../base/problem.js";
import type { Wanted } from "./choosing.js";
import type { Identity } from "../engine/sidecars.js";
import type { Run } from "./run.js";

/** Calls from the first run of a chain to the last. */
const DEEPEST = 8;
/** What is called has this much longer than its caller: so it is the caller of which it is said that it was late. */
const LATE_MS = 100;

/** The problem with one call more from this run, if there is one. `what` is called. */
export function tooDeep(caller: Run, what: string): Problem | undefined {
  if (caller.depth < DEEPEST) return undefined;
  const detail = `${what} would be the call number ${caller.depth + 1} of a chain; ${DEEPEST} are the most: ${chainText(caller)}.`;
  return { code: "call/too-deep", detail };
}

/** When a run ends at the latest that this one calls, in milliseconds on the pipeline's clock. */
export function endOfCalled(caller: Run): number {
  return endOf(caller) + LATE_MS;
}

/**
 * By whose rights a run calls, and whom not. The chain's beginning says what may be called, so that no task in between is
 * talked into lending its own rights.
 */
export function fromChain(caller: Run): Pick<Wanted, "authority" | "chain" | "chainText"> {
  return {
    authority: { kind: "tenant", tenant: rootOf(caller).task.tenant },
    chain: chainOf(caller),
    chainText: () => chainText(caller),
  };
}

export function textOf({ code, detail }: Problem): string {
  return detail ?? `${PROBLEMS[code].title}.`;
}

/** When a run's time is over, in milliseconds on the pipeline's clock: it owes an answer, or all of its work. */
function endOf(run: Run): number {
  const { timeout, duration } = run.task.version.manifest.limits;
  const own = run.headAt !== undefined || run.origin.kind === "command" ? duration : timeout;
  return Math.min(run.admittedAt + own, run.descent.until ?? Number.POSITIVE_INFINITY);
}

/** The run that began the chain. */
export function rootOf(run: Run): Run {
  let root = run;
  while (root.descent.parent !== undefined) root = root.descent.parent;
  return root;
}

/**
 * Whom guards have found to be calling, as the run may know it: nobody, where a run of the chain is of a task whose answers do not
 * depend on that, and so may be given to others.
 */
export function identityOf(run: Run): Identity | undefined {
  let root = run;
  for (let each: Run | undefined = run; each !== undefined; each = each.descent.parent) {
    if (each.task.version.manifest.idempotent?.shared === true) return undefined;
    root = each;
  }
  return root.identity;
}

/** Keys of the tasks that wait for this run's calls, its own too. */
export function chainOf(run: Run): Set<string> {
  const keys = new Set<string>();
  for (let each: Run | undefined = run; each !== undefined; each = each.descent.parent) keys.add(each.task.key);
  return keys;
}

/** `a → b → c`, the first caller first. */
export function chainText(run: Run): string {
  const names: string[] = [];
  for (let each: Run | undefined = run; each !== undefined; each = each.descent.parent) names.unshift(each.task.name);
  return names.join(" → ");
}
