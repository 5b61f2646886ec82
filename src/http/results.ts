/** Answers of runs that were done later, for those who come for them. */
import { isOver, type Job, type JobResult } from "../deferral/job.js";
import { pairs, problemResponse } from "./problem-reply.js";

/** Seconds until it is worth asking again. */
const AGAIN = 1;
/** It is for whoever asked; a cache between would give it to others. */
const PRIVATE = ["Cache-Control", "no-store"];
/** Fields that the connection decides, or we do. */
const OURS: ReadonlySet<string> = new Set(["content-length", "transfer-encoding", "connection", "pilotlight-run", "cache-control"]);

/** The answer as its client would have had it; a problem where there is none, or none yet. */
export function resultResponse(job: Job, result: JobResult | undefined): Response {
  const ours = ["Pilotlight-Run", job.id];
  if (!isOver(job.state)) {
    const due = job.state === "waiting" ? `It waits, and is due at ${new Date(job.dueAt).toISOString()}.` : "It runs.";
    return problemResponse({ code: "request/run-not-over", detail: due, retryAfter: AGAIN }, [...ours, "Retry-After", String(AGAIN)]);
  }
  if (result?.status !== undefined) {
    const fields = (result.headers ?? []).filter((_, i, all) => !OURS.has((all[i - (i % 2)] as string).toLowerCase()));
    const body = BODILESS.has(result.status) || result.body === undefined ? null : Uint8Array.from(result.body);
    return new Response(body, { status: result.status, headers: pairs([...fields, ...ours, ...PRIVATE]) });
  }
  if (job.state === "done") {
    const headers = pairs(["Content-Type", "application/json", ...(result?.headers ?? []), ...ours, ...PRIVATE]);
    return result?.json === undefined ? new Response(null, { status: 204, headers }) : new Response(result.json, { headers });
  }
  const { code, detail } = job.fault ?? { code: "request/cancelled" as const, detail: undefined };
  return problemResponse({ code, detail }, ours);
}

const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);
