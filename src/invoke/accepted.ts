/** What a client is told of a run that is done later: where its answer will be, and how far it is. */
import type { HeaderList } from "../base/headers.js";
import { isOver, type Job } from "../deferral/job.js";

/** A job as `GET /-/runs/<id>` shows it. Times are ISO 8601. */
export interface JobDocument {
  readonly id: string;
  readonly task: string | undefined;
  readonly capability: string | undefined;
  readonly version: string | undefined;
  readonly state: Job["state"];
  readonly ended: boolean;
  readonly acceptedAt: string;
  readonly dueAt: string | undefined;
  readonly notAfter: string | undefined;
  readonly startedAt: string | undefined;
  readonly endedAt: string | undefined;
  readonly starts: number;
  /** Of the answer. */
  readonly status: number | undefined;
  readonly fault: Job["fault"];
  readonly result: string;
}

export function jobDocument(job: Job): JobDocument {
  const { id, ranBy, capability, version, state, acceptedAt, dueAt, notAfter, startedAt, endedAt, starts, status, fault } = job;
  const task = ranBy ?? job.task;
  const due = state === "waiting" ? time(dueAt) : undefined;
  const times = {
    acceptedAt: time(acceptedAt) as string,
    dueAt: due,
    notAfter: time(notAfter),
    startedAt: time(startedAt),
    endedAt: time(endedAt),
  };
  return {
    id,
    task,
    capability,
    version,
    state,
    ended: isOver(state),
    ...times,
    starts,
    status,
    fault: fault && { code: fault.code, detail: fault.detail },
    result: `${locationOf(id)}/result`,
  };
}

function locationOf(id: string): string {
  return `/-/runs/${id}`;
}

/** The answer `202`. `isPreferred`: the request asked for it (RFC 7240, 3). */
export function acceptedAnswer(job: Job, isPreferred: boolean): { readonly headers: HeaderList; readonly body: Uint8Array } {
  const applied = isPreferred ? ["Preference-Applied", "respond-async"] : [];
  const headers = ["Content-Type", "application/json", "Location", locationOf(job.id), "Pilotlight-Run", job.id, ...applied];
  return { headers, body: Buffer.from(`${JSON.stringify(jobDocument(job))}\n`) };
}

function time(milliseconds: number | undefined): string | undefined {
  return milliseconds === undefined ? undefined : new Date(milliseconds).toISOString();
}
