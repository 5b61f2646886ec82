/** What is foreseen and announced: looked at, told, forgotten. */
import type { Control } from "../../control/control.js";
import { document, done } from "./answers.js";
import { jsonBody } from "./bodies.js";
import type { Routes } from "./endpoint.js";
import * as schemas from "./schemas.js";

export function addPretriggers({ add }: Routes, control: Control): void {
  const path = "/v1/tenants/{tenant}/pretriggers";
  const tag = "Pre-triggers";
  add(
    {
      method: "get",
      path,
      tag,
      summary: "Which runs follow what, what is announced, what is prepared",
      success: [{ status: 200, description: "All of it", schema: schemas.pretriggers }],
    },
    ({ caller, params }) => document(schemas.pretriggers, control.pretriggers(caller, params.tenant)),
  );
  add(
    {
      method: "post",
      path,
      tag,
      summary: "Announces runs of a task, or tells of a signal",
      body: jsonBody(schemas.said),
      success: [{ status: 202, description: "It is taken", schema: schemas.heard }],
    },
    ({ caller, params, body }) => document(schemas.heard, control.announce(caller, params.tenant, body), { status: 202 }),
  );
  add(
    {
      method: "delete",
      path,
      tag,
      summary: "Forgets what was learnt; announcements stay",
      query: schemas.causeQuery,
      success: [{ status: 204, description: "It is forgotten" }],
    },
    async ({ caller, params, query: { cause } }) => {
      await control.resetPretriggers(caller, params.tenant, cause);
      return done();
    },
  );
}
