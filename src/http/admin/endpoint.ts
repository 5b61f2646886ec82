/**
 * One route of the admin API: checked, answered and described from one declaration.
 *
 * In order: the key, the path, the preconditions, the query, what `before` looks at, a turn, the body, the handler. Whoever shows
 * no key learns nothing from what comes after, and a body is read only then. OpenAPIHono's own validators are not used:
 * they read bodies without a limit, and its problems would not be ours.
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { ProblemError, type Problem } from "../../base/problem.js";
import type { Control, RefusedChange } from "../../control/control.js";
import { whoIs } from "../../tenants/access.js";
import { withoutKeys } from "../../tenants/audit.js";
import { ANONYMOUS, type Caller } from "../../tenants/tenant.js";
import type { PlaneEnv } from "../planes.js";
import { invalid, invalidBy, refusal } from "./answers.js";
import type { Body } from "./bodies.js";
import { revisionAsked, unlessKnown, type Conditions } from "./conditions.js";
import { problem } from "./schemas.js";
import type { Turns } from "./turns.js";

export type AdminApp = OpenAPIHono<PlaneEnv>;
export type Method = "get" | "post" | "put" | "patch" | "delete";

/** The names in a path such as `/v1/tenants/{tenant}`. */
type NamesOf<P extends string> = P extends `${string}{${infer Name}}${infer Rest}` ? Name | NamesOf<Rest> : never;

/** A request that may be answered. */
export interface Call<P extends string, Q, B> {
  readonly c: Context<PlaneEnv>;
  readonly caller: Caller;
  readonly params: Readonly<Record<NamesOf<P>, string>>;
  readonly query: Q;
  readonly body: B;
  /** From `If-Match`; 0 from `If-None-Match: *`. */
  readonly ifRevision: number | undefined;
  /** Whether the key holds still; for answers that take long. */
  readonly holds: () => boolean;
}

/** What a route answers when all is well. */
export interface Success {
  readonly status: 200 | 201 | 202 | 204 | 503;
  readonly description: string;
  readonly type?: string;
  readonly schema?: z.ZodType;
}

export interface Endpoint<P extends string, Q, B> {
  readonly method: Method;
  /** As OpenAPI writes it. */
  readonly path: P;
  readonly tag: string;
  readonly summary: string;
  /** Left out: a query is refused. */
  readonly query?: z.ZodObject & z.ZodType<Q>;
  readonly body?: Body<B>;
  readonly conditions?: Conditions;
  readonly success: readonly Success[];
  /** Throws for what need not wait for the body. */
  readonly before?: (call: Omit<Call<P, Q, B>, "body">) => void;
  /** Held from before the body is read until the answer is there. */
  readonly turns?: Turns;
  /** False: needs none. */
  readonly key?: boolean;
}

/** Adds routes to an app, and remembers them for 405. */
export interface Routes {
  readonly add: <P extends string, Q = Record<string, never>, B = undefined>(
    endpoint: Endpoint<P, Q, B>,
    handler: (call: Call<P, Q, B>) => Response | Promise<Response>,
  ) => void;
  /** After the last route: other methods of known paths get 405 and the list. */
  readonly close: () => void;
}

/** `refused` is told of every change that is not made. */
export function routesOf(app: AdminApp, control: Control, refused: (change: RefusedChange) => void = () => {}): Routes {
  const methods = new Map<string, string[]>();
  return {
    add(endpoint, handler) {
      const path = endpoint.path.replaceAll(/\{(\w+)\}/g, ":$1");
      methods.set(path, [...(methods.get(path) ?? []), endpoint.method.toUpperCase()]);
      describe(app, endpoint);
      app.on(endpoint.method.toUpperCase(), path, async (c) => {
        let caller: Caller = ANONYMOUS;
        let leave: (() => void) | undefined;
        try {
          const head = headOf(c, control, endpoint);
          ({ caller } = head);
          endpoint.before?.(head);
          leave = await endpoint.turns?.enter(ownerOf(caller));
          const body = (await endpoint.body?.read(c)) as never;
          const answer = await handler({ ...head, body });
          return endpoint.method === "get" ? unlessKnown(answer, c.req.header("if-none-match")) : answer;
        } catch (error) {
          if (error instanceof ProblemError && endpoint.method !== "get") refused(refusedChange(c, caller, error.problem));
          throw error;
        } finally {
          leave?.();
        }
      });
    },
    close() {
      for (const [path, known] of methods) {
        const allow = known.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method])).join(", ");
        app.all(path, (c) =>
          refusal(
            { code: "request/method-not-allowed", detail: `${c.req.method.slice(0, 40)} is not supported here; ${allow} is.` },
            { Allow: allow },
          ),
        );
      }
    },
  };
}

/** Characters of what came from outside. */
const MOST_TOLD = 500;

function refusedChange({ req }: Context<PlaneEnv>, caller: Caller, { code, detail }: Problem): RefusedChange {
  const told = (text: string): string => withoutKeys(text).slice(0, MOST_TOLD);
  return {
    who: whoIs(caller),
    method: req.method,
    path: told(req.path),
    cause: code,
    detail: detail === undefined ? undefined : told(detail),
  };
}

function headOf<P extends string, Q, B>(c: Context<PlaneEnv>, control: Control, endpoint: Endpoint<P, Q, B>): Omit<Call<P, Q, B>, "body"> {
  const key = endpoint.key === false ? undefined : keyOf(c);
  return {
    c,
    caller: key === undefined ? ANONYMOUS : identify(control, key),
    params: paramsOf(c) as Record<NamesOf<P>, string>,
    // A GET's If-None-Match is about its answer.
    ifRevision: endpoint.method === "get" ? undefined : revisionAsked((name) => c.req.header(name), endpoint.conditions ?? "none"),
    query: queryOf(c, endpoint.query),
    holds: () => key === undefined || control.identify(key) !== undefined,
  };
}

/** The key as it was sent; throws `request/unauthorized` when there is none. */
function keyOf(c: Context<PlaneEnv>): string {
  const own = c.req.header("pilotlight-key");
  const bearer = /^Bearer +(\S+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
  const key = own ?? bearer;
  if (key !== undefined) return key;
  throw new ProblemError("request/unauthorized", "Send a key as Authorization: Bearer pl_… or as Pilotlight-Key: pl_….");
}

function identify(control: Control, key: string): Caller {
  const caller = control.identify(key);
  if (caller !== undefined) return caller;
  throw new ProblemError("request/unauthorized", "The key is none of this node's: it was never issued, was revoked, or has expired.");
}

function ownerOf(caller: Caller): string {
  // A tenant's name never holds a colon.
  return caller.kind === "key" && caller.key.tenant !== undefined ? caller.key.tenant : ":node";
}

function paramsOf(c: Context<PlaneEnv>): Record<string, string> {
  try {
    // Hono leaves alone what it cannot decode: then one name would have two forms.
    decodeURIComponent(c.req.path);
  } catch {
    throw new ProblemError("request/malformed", "The path is not percent-encoded UTF-8; write a percent sign as %25.");
  }
  return c.req.param() as Record<string, string>;
}

function queryOf<Q>(c: Context<PlaneEnv>, schema: z.ZodType<Q> | undefined): Q {
  const query: Record<string, string> = {};
  for (const [name, values] of Object.entries(c.req.queries())) {
    if (values.length > 1) throw invalid([{ field: name, message: "is there more than once" }]);
    query[name] = values[0] as string;
  }
  const result = (schema ?? nothing).safeParse(query);
  if (!result.success) throw invalidBy(result.error, "query");
  return result.data as Q;
}

const nothing = z.strictObject({});

const ETAG = { ETag: { description: "The revision, in quotes", schema: { type: "string" as const } } };
const IF_MATCH = { name: "If-Match", in: "header", schema: { type: "string" }, description: "The ETag that must hold still, else 412" };
const IF_ABSENT = {
  name: "If-None-Match",
  in: "header",
  schema: { type: "string" },
  description: "`*`: only when there is none yet, else 412",
};
const IF_KNOWN = { name: "If-None-Match", in: "header", schema: { type: "string" }, description: "ETags: 304 when it is one of these" };
const CHANGE_CONDITIONS = { none: [], match: [IF_MATCH], "match-or-absent": [IF_MATCH, IF_ABSENT] };
const READ_CONDITIONS = { none: [], match: [IF_KNOWN], "match-or-absent": [IF_KNOWN] };

/** Puts the route into the document. */
export function describe<P extends string, Q, B>(app: AdminApp, endpoint: Endpoint<P, Q, B>): void {
  const { method, path, tag, summary, body, query, conditions = "none", key = true } = endpoint;
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name as string);
  const parameters = method === "get" ? READ_CONDITIONS[conditions] : CHANGE_CONDITIONS[conditions];
  app.openAPIRegistry.registerPath({
    method,
    path,
    tags: [tag],
    summary,
    operationId: operationId(method, path),
    security: key ? [{ bearer: [] }, { header: [] }] : [],
    request: {
      ...(names.length === 0 ? {} : { params: z.object(Object.fromEntries(names.map((name) => [name, z.string()]))) }),
      ...(query === undefined ? {} : { query }),
      ...(body === undefined ? {} : { body: { content: body.content, required: body.required } }),
    },
    ...(parameters.length === 0 ? {} : { parameters: parameters as never }),
    responses: Object.fromEntries([
      ...(parameters.includes(IF_KNOWN) ? [[304, { description: "It is still what the client has" }]] : []),
      ...endpoint.success.map((success) => [success.status, describeSuccess(success, conditions !== "none" && method !== "delete")]),
      ...problemStatuses({ method, path, hasBody: body !== undefined, conditions, key }).map(([status, description]) => [
        status,
        describeProblem(description),
      ]),
      ["default", describeProblem("Anything else that went wrong; `docs/problems.md` lists all there is")],
    ]) as Record<string, { description: string }>,
  });
}

function describeSuccess({ description, schema, type = "application/json" }: Success, tagged: boolean): object {
  return {
    description,
    ...(tagged ? { headers: ETAG } : {}),
    ...(schema === undefined ? {} : { content: { [type]: { schema } } }),
  };
}

function describeProblem(description: string): object {
  return { description, content: { "application/problem+json": { schema: problem } } };
}

interface Kind {
  readonly method: Method;
  readonly path: string;
  readonly hasBody: boolean;
  readonly conditions: Conditions;
  readonly key: boolean;
}

/** The problems to reckon with. */
function problemStatuses({ method, path, hasBody, conditions, key }: Kind): [number, string][] {
  if (!key) return [];
  const changes = method !== "get";
  const all: [number, string, boolean][] = [
    [401, "No key, or one that does not hold", true],
    [403, "The key may not do this", true],
    [404, "There is no such thing, or it is somebody else's", path.includes("{")],
    [408, "The body did not come in time", hasBody],
    [409, "This contradicts what is there", changes],
    [412, "It has changed since it was read", conditions !== "none" && changes],
    [413, "The body is larger than allowed; the detail names the limit", hasBody],
    [415, "The body is of another type", hasBody],
    [422, "What was sent is not valid; `errors` names the fields", true],
    [429, "The tenant has as much of this as it may", changes],
    [507, "The node cannot store this", changes],
  ];
  return all.flatMap(([status, description, applies]) => (applies ? [[status, description] as [number, string]] : []));
}

/** `put /v1/tenants/{tenant}/secrets/{name}` → `putTenantsTenantSecretsName`. */
function operationId(method: string, path: string): string {
  const words = path.replace(/^\/v1/, "").match(/[a-zA-Z]+/g) ?? [];
  return method + words.map((word) => (word[0] as string).toUpperCase() + word.slice(1)).join("");
}
