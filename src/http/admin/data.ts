/** Secrets, stores and their entries. No answer ever holds a secret's value. */
import type { Control, StoreView } from "../../control/control.js";
import { document, done } from "./answers.js";
import { bytesBody, ENTRY_BYTES, jsonBody } from "./bodies.js";
import type { Routes } from "./endpoint.js";
import { newRunId } from "../../base/ids.js";
import * as schemas from "./schemas.js";
import { listed } from "./tenants.js";

const secretPage = schemas.pageOf(schemas.secret, "SecretPage");
const storePage = schemas.pageOf(schemas.store, "StorePage");
const entryPage = schemas.pageOf(schemas.entry, "EntryPage");

export function addSecrets({ add }: Routes, control: Control): void {
  add(
    {
      method: "get",
      path: "/v1/tenants/{tenant}/secrets",
      tag: "Secrets",
      summary: "The names of the secrets, and which tasks get them",
      query: schemas.page,
      success: [{ status: 200, description: "A page of them, without values", schema: secretPage }],
    },
    ({ caller, params, query }) => document(secretPage, listed(control.secrets(caller, params.tenant, query))),
  );
  add(
    {
      method: "put",
      path: "/v1/tenants/{tenant}/secrets/{name}",
      tag: "Secrets",
      summary: "Sets a secret",
      body: jsonBody(schemas.secretInput),
      success: [{ status: 200, description: "It is set; its value is not told", schema: schemas.secret }],
    },
    async ({ caller, params, body }) => document(schemas.secret, await control.putSecret(caller, params.tenant, params.name, body.value)),
  );
  add(
    {
      method: "delete",
      path: "/v1/tenants/{tenant}/secrets/{name}",
      tag: "Secrets",
      summary: "Deletes a secret that no live version asks for",
      success: [{ status: 204, description: "It is gone" }],
    },
    async ({ caller, params }) => {
      await control.deleteSecret(caller, params.tenant, params.name);
      return done();
    },
  );
}

export function addStores({ add }: Routes, control: Control): void {
  add(
    {
      method: "get",
      path: "/v1/tenants/{tenant}/stores",
      tag: "Stores",
      summary: "The stores that hold something",
      query: schemas.page,
      success: [{ status: 200, description: "A page of them", schema: storePage }],
    },
    ({ caller, params, query }) => document(storePage, listed(pageOf(control.stores(caller, params.tenant), query))),
  );
  add(
    {
      method: "get",
      path: "/v1/tenants/{tenant}/stores/{store}/entries",
      tag: "Stores",
      summary: "The keys of a store",
      query: schemas.prefixedPage,
      success: [{ status: 200, description: "A page of them, without values", schema: entryPage }],
    },
    ({ caller, params, query: { prefix, ...page } }) =>
      document(entryPage, listed(control.entries(caller, params.tenant, params.store, prefix ?? "", page))),
  );
  addEntry({ add }, control);
}

function addEntry({ add }: Pick<Routes, "add">, control: Control): void {
  const path = "/v1/tenants/{tenant}/stores/{store}/entries/{key}";
  const raw = { status: 200, description: "The value, as it is", type: "application/octet-stream", schema: schemas.bytes } as const;
  add({ method: "get", path, tag: "Stores", summary: "A value", conditions: "match", success: [raw] }, ({ caller, params }) => {
    const { value, revision } = control.entry(caller, params.tenant, params.store, params.key);
    const headers = {
      "Content-Type": "application/octet-stream",
      // What somebody stored is never a page of ours.
      "Content-Disposition": "attachment",
      "Content-Length": String(value.byteLength),
      ETag: `"${revision}"`,
      "Pilotlight-Run": newRunId(),
    };
    return new Response(new Uint8Array(value), { headers });
  });
  add(
    {
      method: "put",
      path,
      tag: "Stores",
      summary: "Sets a value",
      body: bytesBody(ENTRY_BYTES, "A value"),
      conditions: "match-or-absent",
      success: [{ status: 204, description: "It is set; the ETag is its new revision" }],
      before: ({ caller, params }) => void control.stores(caller, params.tenant),
    },
    async ({ caller, params, body, ifRevision }) => {
      const revision = await control.putEntry(caller, params.tenant, params.store, params.key, body, ifRevision);
      return done({ revision });
    },
  );
  add(
    {
      method: "delete",
      path,
      tag: "Stores",
      summary: "Deletes an entry",
      conditions: "match",
      success: [{ status: 204, description: "It is gone" }],
    },
    async ({ caller, params, ifRevision }) => {
      await control.deleteEntry(caller, params.tenant, params.store, params.key, ifRevision);
      return done();
    },
  );
}

/** A tenant has few stores: the port gives them all. The cursor is the last name. */
function pageOf(
  stores: readonly StoreView[],
  { limit = 100, cursor = "" }: { limit?: number | undefined; cursor?: string | undefined },
): {
  items: StoreView[];
  next: string | undefined;
} {
  const rest = [...stores].filter(({ name }) => name > cursor).sort((a, b) => (a.name < b.name ? -1 : 1));
  const items = rest.slice(0, limit);
  return { items, next: rest.length > limit ? items.at(-1)?.name : undefined };
}
