/** The OpenAPI document of the admin plane, from what the routes declared. */
import { z } from "@hono/zod-openapi";
import { describe, type AdminApp } from "./endpoint.js";

const DESCRIPTION = `Tenants, keys, tasks, secrets, stores and logs of a Pilotlight node.

A key is sent as \`Authorization: Bearer pl_…\` or \`Pilotlight-Key: pl_…\`. What belongs to another tenant is answered like
what is not there. Lists come in pages: \`limit\`, and the \`next\` of one page is the \`cursor\` of the page after. An ETag is
the revision of what was read; with \`If-Match\` a change is made only if it is still that. Errors are problem documents
(RFC 9457); \`docs/problems.md\` lists them.`;

/** The routes that the plane has without a control plane, too. */
export function describeHealth(app: AdminApp): void {
  const ready = z.object({ ready: z.boolean(), reasons: z.array(z.string()) }).openapi("Ready");
  const get = { method: "get", tag: "Node", key: false } as const;
  describe(app, {
    ...get,
    path: "/livez",
    summary: "The process answers",
    success: [{ status: 200, description: "live", type: "text/plain", schema: z.string() }],
  });
  describe(app, {
    ...get,
    path: "/readyz",
    summary: "Whether the node should get requests, and why not",
    success: [
      { status: 200, description: "It should", schema: ready },
      { status: 503, description: "It should not; `reasons` say why", schema: ready },
    ],
  });
}

/** `version` is the node's. */
export function openApi(app: AdminApp, version: string): string {
  const { openAPIRegistry } = app;
  const key = "A key of the node or of a tenant, `pl_…`";
  openAPIRegistry.registerComponent("securitySchemes", "bearer", { type: "http", scheme: "bearer", description: key });
  openAPIRegistry.registerComponent("securitySchemes", "header", {
    type: "apiKey",
    in: "header",
    name: "Pilotlight-Key",
    description: key,
  });
  const document = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: { title: "Pilotlight admin API", version, description: DESCRIPTION },
    tags: [
      "Node",
      "Keys",
      "Tenants",
      "Tasks",
      "Versions",
      "Aliases",
      "Secrets",
      "Stores",
      "Capabilities",
      "Sidecars",
      "Records",
      "Deferred",
      "Queues",
      "Pre-triggers",
      "Capacity",
      "Logs",
      "Audit",
      "Usage",
    ].map((name) => ({ name })),
  });
  return JSON.stringify(document);
}
