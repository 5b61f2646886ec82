/** What was used, and what settings look like beside it. */
import type { Control } from "../../control/control.js";
import { document } from "./answers.js";
import type { Routes } from "./endpoint.js";
import * as schemas from "./schemas.js";
import { listed } from "./tenants.js";

const usagePage = schemas.pageOf(schemas.usage, "UsagePage");

export function addUsage({ add }: Routes, control: Control): void {
  const shown = {
    tag: "Usage",
    query: schemas.usageQuery,
    success: [{ status: 200, description: "A page of it", schema: usagePage }],
  } as const;
  add(
    { ...shown, method: "get", path: "/v1/usage", summary: "What the key's tenant used; with a key of the node, what all did" },
    async ({ caller, query: { limit, cursor, ...query } }) =>
      document(usagePage, listed(await control.usage(caller, undefined, query, { limit, cursor }))),
  );
  add(
    { ...shown, method: "get", path: "/v1/tenants/{tenant}/usage", summary: "What a tenant used" },
    async ({ caller, params, query: { limit, cursor, ...query } }) =>
      document(usagePage, listed(await control.usage(caller, params.tenant, query, { limit, cursor }))),
  );
  add(
    {
      method: "get",
      path: "/v1/tenants/{tenant}/advice",
      tag: "Usage",
      summary: "What manifests and terms say, set against what was used; nothing is changed",
      query: schemas.adviceQuery,
      success: [{ status: 200, description: "One for each field", schema: schemas.advices }],
    },
    async ({ caller, params, query }) => document(schemas.advices, { items: await control.advice(caller, params.tenant, query) }),
  );
}
