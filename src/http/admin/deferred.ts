/** Runs that answer later: listed, looked into, called off, run again; and queues, which are sent to. */
import type { Control } from "../../control/control.js";
import { document } from "./answers.js";
import { bytesBody, optionalJsonBody } from "./bodies.js";
import type { Routes } from "./endpoint.js";
import * as schemas from "./schemas.js";
import { listed } from "./tenants.js";

const MESSAGE_BYTES = 256 * 1024;
const deferredPage = schemas.pageOf(schemas.deferred, "DeferredPage");

export function addDeferred(routes: Routes, control: Control): void {
  addRuns(routes, control);
  addQueues(routes, control);
}

function addRuns({ add }: Routes, control: Control): void {
  const path = "/v1/tenants/{tenant}/deferred";
  const tag = "Deferred";
  const one = { status: 200, description: "It", schema: schemas.deferredDetail } as const;
  add(
    {
      method: "get",
      path,
      tag,
      summary: "Runs that answer later, those that are kept: the latest first",
      query: schemas.deferredQuery,
      success: [{ status: 200, description: "A page of them", schema: deferredPage }],
    },
    ({ caller, params, query: { limit, cursor, dead, ...query } }) =>
      document(deferredPage, listed(control.deferred(caller, params.tenant, { ...query, dead: dead && true }, { limit, cursor }))),
  );
  add(
    {
      method: "post",
      path: `${path}/redrive`,
      tag,
      summary: "Has dead letters wait again, at most 1000 of them",
      body: optionalJsonBody(schemas.redriveInput),
      success: [{ status: 200, description: "How many do", schema: schemas.redriven }],
    },
    async ({ caller, params, body }) => document(schemas.redriven, await control.redriveAll(caller, params.tenant, body)),
  );
  add(
    { method: "get", path: `${path}/{run}`, tag, summary: "One of them, with why it starts when it does", success: [one] },
    ({ caller, params }) => document(schemas.deferredDetail, control.deferredRun(caller, params.tenant, params.run)),
  );
  add(
    { method: "delete", path: `${path}/{run}`, tag, summary: "Calls it off, while it waits or runs", success: [one] },
    async ({ caller, params }) => document(schemas.deferredDetail, await control.cancelDeferred(caller, params.tenant, params.run)),
  );
  add(
    {
      method: "post",
      path: `${path}/{run}/redrive`,
      tag,
      summary: "Has what failed, was interrupted or called off wait again",
      body: optionalJsonBody(schemas.nothing),
      success: [one],
    },
    async ({ caller, params }) => document(schemas.deferredDetail, await control.redrive(caller, params.tenant, params.run)),
  );
}

function addQueues({ add }: Routes, control: Control): void {
  const path = "/v1/tenants/{tenant}/queues";
  const tag = "Queues";
  add(
    {
      method: "get",
      path,
      tag,
      summary: "Queues that tasks of the tenant take from",
      success: [{ status: 200, description: "All of them", schema: schemas.queues }],
    },
    ({ caller, params }) => document(schemas.queues, { items: [...control.queues(caller, params.tenant)] }),
  );
  add(
    {
      method: "post",
      path: `${path}/{queue}/messages`,
      tag,
      summary: "Sends a message; the same Idempotency-Key has it taken once",
      body: bytesBody(MESSAGE_BYTES, "A message"),
      success: [{ status: 202, description: "It is written down, and becomes a run", schema: schemas.deferred }],
      before: ({ caller, params }) => control.maySend(caller, params.tenant),
    },
    async ({ c, caller, params, body }) => {
      const message = { body, type: c.req.header("content-type"), key: c.req.header("idempotency-key") };
      return document(schemas.deferred, await control.send(caller, params.tenant, params.queue, message), { status: 202 });
    },
  );
}
