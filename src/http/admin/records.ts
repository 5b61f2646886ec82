/** Records: what need not run again, what it has read, and letting go of it. */
import type { Control } from "../../control/control.js";
import { document } from "./answers.js";
import type { Routes } from "./endpoint.js";
import * as schemas from "./schemas.js";
import { listed } from "./tenants.js";

const recordPage = schemas.pageOf(schemas.record, "RecordPage");

export function addRecords({ add }: Routes, control: Control): void {
  const path = "/v1/tenants/{tenant}/records";
  const tag = "Records";
  add(
    {
      method: "get",
      path,
      tag,
      summary: "What idempotent tasks need not run again for, while nothing that they read has changed",
      query: schemas.recordQuery,
      success: [{ status: 200, description: "A page of it", schema: recordPage }],
    },
    ({ caller, params, query: { limit, cursor, ...query } }) =>
      document(recordPage, listed(control.records(caller, params.tenant, query, { limit, cursor }))),
  );
  add(
    {
      method: "get",
      path: `${path}/{key}`,
      tag,
      summary: "One of these, with what it has read; without the answer's body",
      success: [{ status: 200, description: "It, by its key or at least eight digits of that", schema: schemas.recordDetail }],
    },
    ({ caller, params }) => document(schemas.recordDetail, control.record(caller, params.tenant, params.key)),
  );
  add(
    {
      method: "delete",
      path,
      tag,
      summary: "Lets go of records, so that what they answered runs when it is next asked for",
      query: schemas.purgeQuery,
      success: [{ status: 200, description: "They are gone", schema: schemas.purged }],
    },
    async ({ caller, params, query: { all, ...query } }) =>
      document(schemas.purged, await control.purgeRecords(caller, params.tenant, { ...query, all: all !== undefined })),
  );
}
