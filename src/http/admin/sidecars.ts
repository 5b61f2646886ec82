/** Sidecars that a tenant's manifests may name, and the moves of runs that have them. */
import { z } from "@hono/zod-openapi";
import type { Control } from "../../control/control.js";
import { document, done } from "./answers.js";
import { optionalJsonBody } from "./bodies.js";
import type { Routes } from "./endpoint.js";
import * as schemas from "./schemas.js";
import { listed } from "./tenants.js";

const sidecarPage = schemas.pageOf(schemas.sidecar, "SidecarPage");
const nothing = optionalJsonBody(z.strictObject({}));

export function addSidecars({ add }: Routes, control: Control): void {
  add(
    {
      method: "get",
      path: "/v1/tenants/{tenant}/sidecars",
      tag: "Sidecars",
      summary: "What a manifest of the tenant may name as a sidecar: those that come with Pilotlight, and its own",
      query: schemas.page,
      success: [{ status: 200, description: "A page of them", schema: sidecarPage }],
    },
    ({ caller, params, query }) => document(sidecarPage, listed(control.sidecars(caller, params.tenant, query))),
  );
  add(
    {
      method: "post",
      path: "/v1/tenants/{tenant}/runs/{run}/pause",
      tag: "Sidecars",
      summary: "A run goes no further until it is resumed, and its sidecars with it; its time goes on",
      body: nothing,
      success: [{ status: 204, description: "It goes no further" }],
    },
    ({ caller, params }) => {
      control.pauseRun(caller, params.tenant, params.run);
      return done();
    },
  );
  add(
    {
      method: "post",
      path: "/v1/tenants/{tenant}/runs/{run}/resume",
      tag: "Sidecars",
      summary: "A run goes on, after its sidecars",
      body: nothing,
      success: [{ status: 204, description: "It goes on" }],
    },
    ({ caller, params }) => {
      control.resumeRun(caller, params.tenant, params.run);
      return done();
    },
  );
}
