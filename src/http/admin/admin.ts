/**
 * The admin API: `Control` over HTTP, under `/v1`, and its description.
 *
 * Nothing is decided here about who may do what: each route hands the caller to `Control`, which throws problems. This
 * folder checks the form of what comes, says what is wrong with it, and lets nothing out that the schemas do not list.
 */
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { z } from "@hono/zod-openapi";
import { newRunId } from "../../base/ids.js";
import { ProblemError } from "../../base/problem.js";
import type { Control, RefusedChange } from "../../control/control.js";
import { manifestSchema } from "../../tasks/manifest.js";
import type { Caller } from "../../tenants/tenant.js";
import { COMMON_HEADERS, refusal } from "./answers.js";
import { addCapabilities } from "./capabilities.js";
import { addCapacity, addCells, addDraining } from "./capacity.js";
import { addSecrets, addStores } from "./data.js";
import { DOCS_PAGE, DOCS_POLICY } from "./docs-page.js";
import { routesOf, type AdminApp, type Routes } from "./endpoint.js";
import { addSidecars } from "./sidecars.js";
import { addLogs } from "./logs.js";
import { describeHealth, openApi } from "./open-api.js";
import { addDeferred } from "./deferred.js";
import { addPretriggers } from "./pretriggers.js";
import { addRecords } from "./records.js";
import { addAliases, addTasks, addVersions } from "./tasks.js";
import { addAudit, addKeys, addTenants, addWhoami } from "./tenants.js";
import { addUsage } from "./usage.js";

export interface AdminApiOptions {
  readonly control: Control;
  /** The metrics in Prometheus' text format. */
  readonly metrics: () => Promise<string>;
  /** The largest component that is taken; 100 MiB. */
  readonly uploadBytes?: number;
  /** True where others than this machine reach the plane: metrics then take a key of the node with `read`. */
  readonly metricsNeedKey?: boolean;
  /** The JSON Schema of a manifest; made from `manifestSchema` when left out. */
  readonly manifestSchema?: object;
  readonly report?: (error: unknown) => void;
  /** Told of every change that somebody asked for and that is not made. */
  readonly refused?: (change: RefusedChange) => void;
}

const UPLOAD_BYTES = 100 * 1024 * 1024;

/** Adds everything but `/livez`, `/readyz` and the answer to unknown paths, and describes these two, too. */
export function addAdminApi(app: AdminApp, options: AdminApiOptions): void {
  const { control, uploadBytes = UPLOAD_BYTES, metricsNeedKey = false } = options;
  app.use("*", async (c, next) => {
    await next();
    if (c.res === RESPONSE_ALREADY_SENT) return;
    for (const [name, value] of Object.entries(COMMON_HEADERS)) c.res.headers.set(name, value);
  });
  app.onError((error, c) => {
    if (error instanceof ProblemError) {
      // The front has told the client already that its request broke off.
      if (c.env.outgoing?.headersSent === true) return RESPONSE_ALREADY_SENT;
      if (error.problem.code.startsWith("platform/")) options.report?.(error);
      return refusal(error.problem);
    }
    options.report?.(error);
    return refusal({ code: "platform/internal", detail: undefined });
  });

  const routes = routesOf(app, control, options.refused);
  describeHealth(app);
  addMetrics(routes, options.metrics, metricsNeedKey);
  addDescriptions(
    routes,
    options,
    once(() => openApi(app, control.whoami({ kind: "operator", name: "openapi" }).version)),
  );
  addWhoami(routes, control);
  addTenants(routes, control);
  addKeys(routes, control);
  addTasks(routes, control);
  addVersions(routes, control, uploadBytes);
  addAliases(routes, control);
  addSecrets(routes, control);
  addStores(routes, control);
  addCells(routes, control);
  addCapacity(routes, control);
  addDraining(routes, control);
  addLogs(routes, control);
  addAudit(routes, control);
  addUsage(routes, control);
  addCapabilities(routes, control);
  addSidecars(routes, control);
  addRecords(routes, control);
  addDeferred(routes, control);
  addPretriggers(routes, control);
  routes.close();
}

function addMetrics({ add }: Routes, metrics: () => Promise<string>, needKey: boolean): void {
  add(
    {
      method: "get",
      path: "/metrics",
      tag: "Node",
      key: needKey,
      summary: "Metrics in Prometheus' text format",
      // A scraper may be configured to send parameters.
      query: z.looseObject({}),
      success: [{ status: 200, description: "The metrics", type: "text/plain", schema: z.string() }],
    },
    async ({ caller }) => {
      if (needKey) checkReader(caller);
      return text("text/plain; version=0.0.4; charset=utf-8", await metrics());
    },
  );
}

/** Metrics name every tenant's tasks: a tenant's key does not open them. */
function checkReader(caller: Caller): void {
  if (caller.kind === "operator") return;
  if (caller.kind === "key" && caller.key.tenant === undefined && caller.may.has("read")) return;
  throw new ProblemError("request/forbidden", "Metrics are the node's: this takes a key of the node with the scope read.");
}

/** What describes the API and the manifest; without a key, so that an editor or a browser can read it. */
function addDescriptions({ add }: Routes, options: AdminApiOptions, api: () => string): void {
  const get = { method: "get", tag: "Node", key: false } as const;
  const anything = z.record(z.string(), z.unknown());
  const schema = once(() =>
    JSON.stringify(options.manifestSchema ?? z.toJSONSchema(manifestSchema, { io: "input", unrepresentable: "any" })),
  );
  add(
    {
      ...get,
      path: "/openapi.json",
      summary: "This document",
      success: [{ status: 200, description: "OpenAPI 3.1", schema: anything }],
    },
    () => text("application/json", api()),
  );
  add(
    {
      ...get,
      path: "/docs",
      summary: "This document as a page",
      success: [{ status: 200, description: "A page that asks this node alone", type: "text/html", schema: z.string() }],
    },
    () => text("text/html; charset=utf-8", DOCS_PAGE, { "Content-Security-Policy": DOCS_POLICY }),
  );
  add(
    {
      ...get,
      path: "/schemas/pilotlight.json",
      summary: "The JSON Schema of a manifest",
      success: [{ status: 200, description: "JSON Schema", type: "application/schema+json", schema: anything }],
    },
    () => text("application/schema+json", schema()),
  );
}

function text(type: string, body: string, more: Readonly<Record<string, string>> = {}): Response {
  return new Response(body, { headers: { "Content-Type": type, "Pilotlight-Run": newRunId(), ...more } });
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
