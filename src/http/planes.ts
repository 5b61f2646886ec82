/**
 * The Hono apps of the two planes: what they answer themselves, and where guests begin.
 *
 * The handlers know neither Node nor the pipeline; they take small ports, and a front hands in the handler that
 * leads to guests. Routes match the path as it is on the wire: `/%2D/livez` and `/a/../-/livez` are a guest's.
 */
import type { HttpBindings } from "@hono/node-server";
import { OpenAPIHono } from "@hono/zod-openapi";
import { Hono, type Context } from "hono";
import { newRunId } from "../base/ids.js";
import type { ProblemCode } from "../base/problem.js";
import type { Control, RefusedChange } from "../control/control.js";
import { addAdminApi } from "./admin/admin.js";
import { bearerKey } from "../invoke/stages/identify.js";
import { withoutCell } from "../invoke/run.js";
import { addCalls, type CallsPort } from "./calls.js";
import { parseTarget, pathOf } from "./mapping.js";
import type { Job, JobResult } from "../deferral/job.js";
import { addPretriggers, type PretriggersPort } from "./pretriggers.js";
import { resultResponse } from "./results.js";
import { problemResponse } from "./problem-reply.js";

/** Node's request and response, there when Node's server is the front. */
export interface PlaneEnv {
  readonly Bindings: Partial<HttpBindings>;
}

/** Leads a request to a guest. */
export type GuestHandler = (c: Context<PlaneEnv>) => Response | Promise<Response>;

/** An app, and which of its paths it answers itself. */
export interface Plane {
  readonly app: Hono<PlaneEnv>;
  /** True for paths that never reach a guest. */
  owns(path: string): boolean;
}

/** Live and ended runs, as `GET` and `DELETE /-/runs/<id>` show them. */
export interface RunsPort {
  /** The JSON document of a run; undefined when the id is not known, or the run is not for whoever shows this key. */
  get(id: string, key: string | undefined): { readonly ended: boolean } | undefined;
  /** The job that the run is, and its answer once there is one; undefined: it answered whoever asked. For those who may `get` it. */
  result(id: string, key: string | undefined): { readonly job: Job; readonly result: JobResult | undefined } | undefined;
  /** Asks a run that goes on, or waits, to end. */
  cancel(id: string): Promise<void>;
}

export interface HealthPort {
  /** Why this node should get no requests, in words for its operator; empty when it should. */
  reasons(): readonly string[];
}

interface PlaneOptions {
  readonly health: HealthPort;
  /** Told of errors that should not have happened; the client gets `platform/internal` without their text. */
  readonly report?: (error: unknown) => void;
}

export interface DataPlaneOptions extends PlaneOptions {
  readonly runs: RunsPort;
  readonly guest: GuestHandler;
  readonly calls: CallsPort;
  readonly pretriggers: PretriggersPort;
  /** False where `/-/` is the guest's too (`serve FILE`). */
  readonly reserveOwn: boolean;
}

/**
 * `/-/…` is ours, and so is `/-`, which Hono counts in with it; everything else is a guest's. No route here may need
 * more than Hono's RegExpRouter: with one that does, Hono takes a slower router for all of them.
 */
export function dataPlane(options: DataPlaneOptions): Plane {
  const owns = options.reserveOwn ? (path: string): boolean => path.startsWith("/-/") || path === "/-" : () => false;
  const app = guarded(new Hono<PlaneEnv>(BY_WIRE_PATH), options, owns);
  if (options.reserveOwn) {
    route(app, "/-/livez", { GET: live });
    // Reasons are the operator's: they are on the admin plane.
    route(app, "/-/readyz", { GET: (c) => ready(c, options.health.reasons(), false) });
    route(app, "/-/runs/:id", {
      GET: (c) => {
        const run = options.runs.get(param(c), keyIn(c));
        return run === undefined ? unknownRun(c) : json(withoutCell(run), 200);
      },
      DELETE: async (c) => {
        const run = options.runs.get(param(c), keyIn(c));
        if (run === undefined) return unknownRun(c);
        if (run.ended) return json(withoutCell(run), 200);
        await options.runs.cancel(param(c));
        return json(withoutCell(options.runs.get(param(c), keyIn(c)) ?? run), 202);
      },
    });
    route(app, "/-/runs/:id/result", {
      GET: (c) => {
        if (options.runs.get(param(c), keyIn(c)) === undefined) return unknownRun(c);
        const found = options.runs.result(param(c), keyIn(c));
        if (found !== undefined) return resultResponse(found.job, found.result);
        return problem(c, "request/run-not-found", "No result is kept of this run: the answer went to whoever made the request.");
      },
    });
    addCalls(app, options.calls, keyIn);
    addPretriggers(app, options.pretriggers, keyIn);
    app.all("/-/*", notHere);
  }
  app.all("*", options.guest);
  return { app, owns };
}

export interface AdminPlaneOptions extends PlaneOptions {
  /** The metrics in Prometheus' text format. */
  readonly metrics: () => Promise<string>;
  /** Left out: the plane is health and metrics alone. */
  readonly control?: Control;
  /** The largest component that is taken, in bytes; 100 MiB. */
  readonly uploadBytes?: number;
  /** True where others than this machine reach the plane: `/metrics` then takes a key of the node with `read`. */
  readonly metricsNeedKey?: boolean;
  /** Told of every change that somebody asked for and that is not made. */
  readonly refused?: (change: RefusedChange) => void;
  /** The JSON Schema of a manifest, for `/schemas/pilotlight.json`; made from the manifest's own schema when left out. */
  readonly manifestSchema?: object;
}

/** Health with its reasons, metrics, and with a control plane the admin API (`admin/admin.ts`). */
export function adminPlane(options: AdminPlaneOptions): Plane {
  const { control, health, metrics } = options;
  const owns = (): boolean => true;
  const app = guarded(new OpenAPIHono<PlaneEnv>(BY_WIRE_PATH), options, owns);
  if (control !== undefined) addAdminApi(app, { ...options, control });
  route(app, "/livez", { GET: live });
  route(app, "/readyz", { GET: (c) => ready(c, health.reasons(), true) });
  if (control === undefined) {
    route(app, "/metrics", {
      GET: async () => new Response(await metrics(), { headers: { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" } }),
    });
  }
  app.all("*", notHere);
  return { app, owns };
}

/** Routes see the path as it was sent. */
const BY_WIRE_PATH = {
  getPath: (request: Request, env?: { readonly env?: unknown }): string =>
    wirePath((env?.env as PlaneEnv["Bindings"] | undefined)?.incoming?.url ?? request.url),
};

function guarded<A extends Hono<PlaneEnv>>(app: A, options: PlaneOptions, owns: Plane["owns"]): A {
  app.onError((error, c) => {
    // What the way to a guest throws is for whoever called the front: a client that left, most of all.
    if (!owns(c.req.path)) throw error;
    options.report?.(error);
    return problem(c, "platform/internal", undefined);
  });
  return app;
}

/** The path of a request target or URL, nothing decoded. */
function wirePath(url: string): string {
  return pathOf(url.charCodeAt(0) === 47 ? url : (parseTarget(url)?.target ?? "/"));
}

/** Adds a resource; other methods get 405 and the list of these. */
function route(app: Hono<PlaneEnv>, path: string, methods: Partial<Record<"GET" | "DELETE", GuestHandler>>): void {
  for (const [method, handler] of Object.entries(methods)) app.on(method, path, handler);
  const allow = Object.keys(methods)
    .flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method]))
    .join(", ");
  app.all(path, (c) => problem(c, "request/method-not-allowed", `${c.req.method} is not supported here; ${allow} is.`, ["Allow", allow]));
}

function live(): Response {
  return new Response("live\n", { headers: { "Content-Type": "text/plain; charset=utf-8", "Pilotlight-Run": newRunId() } });
}

/** A report, not an error: the same document whether the node is ready or not. */
function ready(_c: Context<PlaneEnv>, reasons: readonly string[], tell: boolean): Response {
  const isReady = reasons.length === 0;
  return json(tell ? { ready: isReady, reasons } : { ready: isReady }, isReady ? 200 : 503);
}

function param(c: Context<PlaneEnv>): string {
  return c.req.param("id") as string;
}

/** The key that a request shows. */
function keyIn(c: Context<PlaneEnv>): string | undefined {
  return c.req.header("pilotlight-key")?.trim() ?? bearerKey(c.req.header("authorization") ?? "");
}

function unknownRun(c: Context<PlaneEnv>): Response {
  return problem(c, "request/run-not-found", `No run ${JSON.stringify(param(c))} is known here; ended runs are kept for a while only.`);
}

function notHere(c: Context<PlaneEnv>): Response {
  return problem(c, "request/not-found", `Nothing of Pilotlight answers at ${c.req.path}.`);
}

function problem(_c: Context<PlaneEnv>, code: ProblemCode, detail: string | undefined, headers: readonly string[] = []): Response {
  return problemResponse({ code, detail }, headers);
}

function json(value: unknown, status: number): Response {
  return new Response(`${JSON.stringify(value)}\n`, {
    status,
    headers: { "Content-Type": "application/json", "Cache-Control": "no-store", "Pilotlight-Run": newRunId() },
  });
}
