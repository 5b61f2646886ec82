/** What crosses to the guest, and what of ours is added to its answer. */
import type { HeaderList } from "../../base/headers.js";
import type { Decision } from "../../dispatch/select.js";
import type { Run } from "../run.js";
import { bearerKey } from "./identify.js";

/** Fields that are about the call to us, not for the guest: a key must not reach it, and a lie in one must not help. */
const OURS: ReadonlySet<string> = new Set([
  "pilotlight-key",
  "pilotlight-explain",
  "pilotlight-debug",
  "pilotlight-prefer",
  "pilotlight-run",
  "pilotlight-not-after",
]);

/** The request's fields without ours. Hop-by-hop fields are out already. */
export function withoutOurs(headers: HeaderList): HeaderList {
  let clean = true;
  for (let i = 0; i < headers.length && clean; i += 2) clean = !isOurs(headers[i] as string, headers[i + 1] as string);
  if (clean) return headers;
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (!isOurs(headers[i] as string, headers[i + 1] as string)) kept.push(headers[i] as string, headers[i + 1] as string);
  }
  return kept;
}

function isOurs(name: string, value: string): boolean {
  if (name.length < 13 || name.length > 20) return false;
  const lower = name.toLowerCase();
  return lower === "authorization" ? bearerKey(value) !== undefined : OURS.has(lower);
}

/** The answer's fields with the run id, and with the timing if the caller asked for it. A run id of the guest's own is dropped. */
export function withOurs(headers: HeaderList, run: Run, explain: boolean): HeaderList {
  const out: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (name.length === 14 && name.toLowerCase() === "pilotlight-run") continue;
    out.push(name, headers[i + 1] as string);
  }
  out.push("Pilotlight-Run", run.id);
  if (explain) out.push("Server-Timing", serverTiming(run));
  return out;
}

/** Where the time went until the answer began. */
export function serverTiming(run: Run): string {
  const granted = run.grantedAt ?? run.admittedAt;
  const entries = [
    `capacity;desc="${run.rung ?? "none"}"`,
    `pool;desc="${run.pool ?? "none"}"`,
    `queue;dur=${milliseconds(granted - run.admittedAt)}`,
    `start;dur=${milliseconds((run.startNanoseconds || run.usage.startNanoseconds) / 1e6)}`,
    `run;dur=${milliseconds((run.headAt ?? run.settledAt ?? granted) - granted)}`,
  ];
  for (const [name, milliseconds_] of run.sidecarTimes) entries.push(`sidecar-${name};dur=${milliseconds(milliseconds_)}`);
  const { pick } = run.descent;
  if (pick !== undefined) entries.push(`pick;desc=${quoted(pickText(run.task.name, pick))}`);
  if (run.why.length > 0) entries.push(`why;desc=${quoted(run.why.join("; "))}`);
  return entries.join(", ");
}

/** `resize-fast exec=1.2ms start=0.02ms`: the task, and what was expected of it. */
function pickText(task: string, { considered, why }: Decision): string {
  const own = considered.find(({ provider }) => provider === task) ?? considered[0];
  const costs = own === undefined ? "" : ` exec=${short(own.execMs)}ms start=${short(own.startMs + own.queueMs)}ms`;
  return `${task}${costs}; ${why}`;
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
