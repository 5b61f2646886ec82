/** Cells, the node's capacity, and draining: the operator's part of the API. */
import { z } from "@hono/zod-openapi";
import type { Control } from "../../control/control.js";
import { document, done } from "./answers.js";
import { jsonBody, optionalJsonBody } from "./bodies.js";
import type { Routes } from "./endpoint.js";
import * as schemas from "./schemas.js";
import { listed } from "./tenants.js";

const cellPage = schemas.pageOf(schemas.cell, "CellPage");
/** What is said by the path alone. */
const nothing = optionalJsonBody(z.strictObject({}));

export function addCells({ add }: Routes, control: Control): void {
  add(
    {
      method: "get",
      path: "/v1/cells",
      tag: "Capacity",
      summary: "The cells: all of them for a key of the node, its own for a tenant's",
      query: schemas.page,
      success: [{ status: 200, description: "A page of them", schema: cellPage }],
    },
    ({ caller, query }) => document(cellPage, listed(control.cells(caller, query))),
  );
  add(
    {
      method: "post",
      path: "/v1/cells/{id}/drain",
      tag: "Capacity",
      summary: "A cell takes no more runs and is replaced once the last one has ended",
      body: nothing,
      success: [{ status: 204, description: "It is being drained" }],
    },
    async ({ caller, params }) => {
      await control.drainCell(caller, params.id);
      return done();
    },
  );
}

export function addCapacity({ add }: Routes, control: Control): void {
  const path = "/v1/capacity";
  const success = [{ status: 200, description: "What holds, and what is", schema: schemas.capacity }] as const;
  const show = (info: object): Response => document(schemas.capacity, info);
  add(
    { method: "get", path, tag: "Capacity", summary: "The node's capacity: settings, and what its cells hold now", success },
    ({ caller }) => show(control.capacity(caller)),
  );
  add(
    {
      method: "patch",
      path,
      tag: "Capacity",
      summary: "Changes settings of the running node, over its configuration and its restarts; what is left out stays",
      body: jsonBody(schemas.capacityChange),
      success,
    },
    async ({ caller, body }) => show(await control.setCapacity(caller, body)),
  );
  add(
    {
      method: "delete",
      path,
      tag: "Capacity",
      summary: "Takes back what was set on the running node: its configuration holds again",
      success: [{ status: 204, description: "The configuration holds" }],
    },
    async ({ caller }) => {
      await control.resetCapacity(caller);
      return done();
    },
  );
}

/** The same for the node and for one tenant. */
export function addDraining(routes: Routes, control: Control): void {
  addDrainingAt(routes, control, "/v1", "The node");
  addDrainingAt(routes, control, "/v1/tenants/{tenant}", "A tenant");
}

function addDrainingAt({ add }: Routes, control: Control, at: "/v1" | "/v1/tenants/{tenant}", who: string): void {
  const tenantOf = (params: { readonly tenant?: string }): string | undefined => params.tenant;
  add(
    {
      method: "post",
      path: `${at}/drain`,
      tag: "Capacity",
      summary: `${who} takes no more runs, until it is resumed or the node starts again; those that go on finish`,
      body: nothing,
      success: [{ status: 204, description: "It takes no more" }],
    },
    async ({ caller, params }) => {
      await control.drain(caller, tenantOf(params));
      return done();
    },
  );
  add(
    {
      method: "post",
      path: `${at}/resume`,
      tag: "Capacity",
      summary: `${who} takes runs again`,
      body: nothing,
      success: [{ status: 204, description: "It does" }],
    },
    async ({ caller, params }) => {
      await control.resume(caller, tenantOf(params));
      return done();
    },
  );
}
