/**
 * What a run tells of itself to who may look into it: `Server-Timing` (W3C), one entry for each mechanism that had a part in it.
 *
 * docs/http.md lists the entries; people script against them.
 */
import type { HeaderList } from "../base/headers.js";
import type { Decision as Later } from "../deferral/decide.js";
import type { Decision } from "../dispatch/select.js";
import type { Run } from "./run.js";

const FIELD = "Server-Timing";

/** Where the time went until the answer began, and how the run came by all that it used. `later`: why it started when it did. */
export function serverTiming(run: Run, later?: Later): string {
  const granted = run.grantedAt ?? run.admittedAt;
  const entries = [
    `capacity;desc="${run.rung ?? "none"}"`,
    `pool;desc="${run.pool ?? "none"}"`,
    `queue;dur=${milliseconds(granted - run.admittedAt)}`,
    `start;dur=${milliseconds((run.startNanoseconds || run.usage.startNanoseconds) / 1e6)}`,
    `run;dur=${milliseconds((run.headAt ?? run.settledAt ?? granted) - granted)}`,
  ];
  if (run.rung !== undefined) entries.push(`instance;desc="${instanceOf(run)}"`);
  if (run.expected !== undefined) entries.push(`expected;desc="${run.expected ? "yes" : "no"}"`);
  entries.push(...sidecars(run));
  const { pick } = run.descent;
  if (pick !== undefined) entries.push(`pick;desc=${quoted(pickText(run.task.name, pick))}`);
  if (later !== undefined) entries.push(laterText(later));
  for (const called of run.called ?? []) entries.push(calledText(called));
  if (run.why.length > 0) entries.push(`why;desc=${quoted(run.why.join("; "))}`);
  return entries.join(", ");
}

/** The answer for who may not look into runs: without what `serverTiming` said of it. A guest's own field stays. */
export function unexplained<T extends { readonly headers?: HeaderList }>(answer: T): T {
  const { headers = [] } = answer;
  const at = headers.findLastIndex((each, i) => i % 2 === 0 && each === FIELD && headers[i + 1]?.startsWith("capacity;desc=") === true);
  return at < 0 ? answer : { ...answer, headers: headers.toSpliced(at, 2) };
}

/** Of a request that was taken to be run later: who let it in, and when it starts. */
export function acceptedTiming(run: Run, later: Later | undefined): string {
  return [...sidecars(run), later === undefined ? 'deferral;desc="now: whoever asked waits for it"' : laterText(later)].join(", ");
}

function sidecars({ sidecarTimes }: Run): string[] {
  const entries: string[] = [];
  for (const [name, taken] of sidecarTimes) entries.push(`sidecar-${name};dur=${milliseconds(taken)}`);
  return entries;
}

/** What of others' requests the instance may have seen. */
function instanceOf({ task }: Run): string {
  return task.version.manifest.reuse.maxRequests === 1 ? "clean" : "shared";
}

/** `resize-fast exec=1.2ms start=0.02ms`: the task, and what was expected of it. */
function pickText(task: string, { considered, why }: Decision): string {
  const own = considered.find(({ provider }) => provider === task) ?? considered[0];
  const costs = own === undefined ? "" : ` exec=${short(own.execMs)}ms start=${short(own.startMs + own.queueMs)}ms`;
  return `${task}${costs}; ${why}`;
}

/** `now: nothing else goes on; cost=0`, or the time that is better, with both figures. */
function laterText({ start, why, now, best }: Later): string {
  const costs = best === undefined ? `cost=${short(now.cost)}` : `cost=${short(now.cost)} best=${short(best.cost)}`;
  return `deferral;desc=${quoted(`${start === "now" ? "now" : new Date(start.at).toISOString()}: ${why}; ${costs}`)}`;
}

/** A run that it called: who took the call and why, and how that came by its answer. */
function calledText(run: Run): string {
  const { rung, expected, memo, task, admittedAt, settledAt } = run;
  const { pick } = run.descent;
  const told = [pick === undefined ? task.name : pickText(task.name, pick)];
  if (rung !== undefined) told.push(rung, instanceOf(run));
  if (expected === true) told.push("expected");
  if (memo !== undefined) told.push(`record ${memo.verdict.kind}`);
  const taken = settledAt === undefined ? "" : `;dur=${milliseconds(settledAt - admittedAt)}`;
  return `call${taken};desc=${quoted(told.join("; "))}`;
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}

/** The longest reason that a header tells. */
const LONGEST_WHY = 200;

/** A quoted string as HTTP has it (RFC 9110, 5.6.4), cut where it gets too long. What is no visible ASCII reads `?`. */
function quoted(text: string): string {
  const short = text.length > LONGEST_WHY ? `${text.slice(0, LONGEST_WHY - 3)}...` : text;
  return `"${short.replace(/[^ -~]/g, "?").replace(/["\\]/g, "\\$&")}"`;
}

function milliseconds(value: number): string {
  return value.toFixed(3);
}
