/** What tasks provide, and what a call of each would take now. */
import type { Control } from "../../control/control.js";
import { document } from "./answers.js";
import type { Routes } from "./endpoint.js";
import * as schemas from "./schemas.js";
import { listed } from "./tenants.js";

const capabilityPage = schemas.pageOf(schemas.capability, "CapabilityPage");

export function addCapabilities({ add }: Routes, control: Control): void {
  const shown = {
    tag: "Capabilities",
    query: schemas.page,
    success: [{ status: 200, description: "A page of it", schema: capabilityPage }],
  } as const;
  add(
    { ...shown, method: "get", path: "/v1/capabilities", summary: "What the key's tenant may call; with a key of the node, all there is" },
    ({ caller, query }) => document(capabilityPage, listed(control.capabilities(caller, undefined, query))),
  );
  add(
    { ...shown, method: "get", path: "/v1/tenants/{tenant}/capabilities", summary: "What tasks of a tenant may call" },
    ({ caller, params, query }) => document(capabilityPage, listed(control.capabilities(caller, params.tenant, query))),
  );
}
