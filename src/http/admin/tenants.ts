/** Tenants and keys; who the key is; what was done. */
import type { Control } from "../../control/control.js";
import { document, done } from "./answers.js";
import { jsonBody, optionalJsonBody } from "./bodies.js";
import type { Call, Routes } from "./endpoint.js";
import * as schemas from "./schemas.js";

const tenantPage = schemas.pageOf(schemas.tenant, "TenantPage");
const keyPage = schemas.pageOf(schemas.key, "KeyPage");
const auditPage = schemas.pageOf(schemas.auditEntry, "AuditPage");

export function addWhoami({ add }: Routes, control: Control): void {
  add(
    {
      method: "get",
      path: "/v1/whoami",
      tag: "Keys",
      summary: "Whose key this is, and what node this is",
      success: [{ status: 200, description: "The key and the node", schema: schemas.whoami }],
    },
    ({ caller }) => document(schemas.whoami, control.whoami(caller)),
  );
}

export function addTenants({ add }: Routes, control: Control): void {
  const shown = { status: 200, description: "The tenant", schema: schemas.tenant } as const;
  add(
    {
      method: "get",
      path: "/v1/tenants",
      tag: "Tenants",
      summary: "The tenants",
      query: schemas.page,
      success: [{ status: 200, description: "A page of them", schema: tenantPage }],
    },
    ({ caller, query }) => document(tenantPage, listed(control.tenants(caller, query))),
  );
  add(
    {
      method: "post",
      path: "/v1/tenants",
      tag: "Tenants",
      summary: "Makes a tenant",
      body: jsonBody(schemas.tenantInput),
      success: [{ status: 201, description: "It was made", schema: schemas.tenant }],
    },
    async ({ caller, body: { name, ...settings } }) => {
      const made = await control.createTenant(caller, name, settings);
      return document(schemas.tenant, made, { status: 201, revision: made.revision, location: pathTo("tenants", made.name) });
    },
  );
  add(
    {
      method: "get",
      path: "/v1/tenants/{tenant}",
      tag: "Tenants",
      summary: "A tenant and what it has used",
      conditions: "match",
      success: [shown],
    },
    ({ caller, params }) => {
      const tenant = control.tenant(caller, params.tenant);
      return document(schemas.tenant, tenant, { revision: tenant.revision });
    },
  );
  add(
    {
      method: "patch",
      path: "/v1/tenants/{tenant}",
      tag: "Tenants",
      summary: "Changes hosts, folders or quotas; what is left out stays",
      body: jsonBody(schemas.tenantSettings),
      conditions: "match",
      success: [shown],
    },
    async ({ caller, params, body, ifRevision }) => {
      const tenant = await control.updateTenant(caller, params.tenant, body, ifRevision);
      return document(schemas.tenant, tenant, { revision: tenant.revision });
    },
  );
  add(
    {
      method: "delete",
      path: "/v1/tenants/{tenant}",
      tag: "Tenants",
      summary: "Deletes a tenant with its tasks, keys, secrets and stores",
      conditions: "match",
      success: [{ status: 204, description: "It is gone" }],
    },
    async ({ caller, params, ifRevision }) => {
      await control.deleteTenant(caller, params.tenant, ifRevision);
      return done();
    },
  );
}

/** The same for the node's keys and for a tenant's. */
export function addKeys(routes: Routes, control: Control): void {
  addKeysAt(routes, control, "/v1/keys", () => undefined);
  addKeysAt(routes, control, "/v1/tenants/{tenant}/keys", ({ tenant }) => tenant);
}

function addKeysAt(
  { add }: Routes,
  control: Control,
  path: "/v1/keys" | "/v1/tenants/{tenant}/keys",
  tenantOf: (params: { readonly tenant?: string }) => string | undefined,
): void {
  const whose = path === "/v1/keys" ? "the node" : "a tenant";
  const issued = { status: 201, description: "The key, and its text, which is told this once", schema: schemas.issuedKey } as const;
  add(
    {
      method: "get",
      path,
      tag: "Keys",
      summary: `The keys of ${whose}`,
      query: schemas.page,
      success: [{ status: 200, description: "A page of them", schema: keyPage }],
    },
    ({ caller, params, query }) => document(keyPage, listed(control.keys(caller, tenantOf(params), query))),
  );
  add(
    { method: "post", path, tag: "Keys", summary: `Issues a key of ${whose}`, body: jsonBody(schemas.keyInput), success: [issued] },
    async ({ caller, params, body }) =>
      document(schemas.issuedKey, await control.issueKey(caller, tenantOf(params), body), { status: 201 }),
  );
  add(
    {
      method: "delete",
      path: `${path}/{id}`,
      tag: "Keys",
      summary: "Revokes a key",
      success: [{ status: 204, description: "It holds no longer" }],
    },
    async ({ caller, params }) => {
      await control.revokeKey(caller, tenantOf(params), params.id);
      return done();
    },
  );
  add(
    {
      method: "post",
      path: `${path}/{id}/rotate`,
      tag: "Keys",
      summary: "A new key with the same rights; the old one holds for a while",
      body: optionalJsonBody(schemas.rotateInput),
      success: [issued],
    },
    async ({ caller, params, body }) => {
      const made = await control.rotateKey(caller, tenantOf(params), params.id, body.graceSeconds * 1000);
      return document(schemas.issuedKey, made, { status: 201 });
    },
  );
}

export function addAudit({ add }: Routes, control: Control): void {
  const success = [{ status: 200, description: "A page, the newest first", schema: auditPage }] as const;
  add(
    { method: "get", path: "/v1/audit", tag: "Audit", summary: "What was done on the node", query: schemas.page, success },
    ({ caller, query }) => document(auditPage, listed(control.audit(caller, undefined, query))),
  );
  add(
    {
      method: "get",
      path: "/v1/tenants/{tenant}/audit",
      tag: "Audit",
      summary: "What was done to a tenant's things",
      query: schemas.page,
      success,
    },
    ({
      caller,
      params,
      query,
    }: Call<"/v1/tenants/{tenant}/audit", { limit?: number | undefined; cursor?: string | undefined }, undefined>) =>
      document(auditPage, listed(control.audit(caller, params.tenant, query))),
  );
}

/** A page as it is on the wire: `next` is there, and null at the end. */
export function listed({ items, next }: { readonly items: readonly unknown[]; readonly next: string | undefined }): object {
  return { items, next: next ?? null };
}

/** A path under `/v1`, each part encoded. */
export function pathTo(...parts: readonly string[]): string {
  return `/v1/${parts.map((part) => encodeURIComponent(part)).join("/")}`;
}
