/**
 * Calls of functions over HTTP: `/-/tasks/<task>/[<interface>/]<function>` and `/-/call/<capability>/<function>`.
 *
 * `POST` calls, `OPTIONS` says what the function takes and gives as JSON Schema, and `GET …/openapi.json` lists all of a
 * task's. Bodies are JSON or MessagePack; a problem is always JSON. What is called, and by whom, the port decides.
 */
import { isUtf8 } from "node:buffer";
import type { Context, Hono } from "hono";
import { accepts } from "hono/accepts";
import { ProblemError, type Problem } from "../base/problem.js";
import type { HeaderList } from "../base/headers.js";
import type { Waiter } from "../invoke/waiter.js";
import { notCallable } from "../invoke/typed-calls.js";
import type { RequestHead } from "../engine/sidecars.js";
import type { Callable, Uncallable } from "../wit/callable.js";
import { argumentsFromMsgpack, resultToMsgpack } from "../wit/binary.js";
import { isServedBy, parseInterfaceName } from "../wit/capability.js";
import { argumentsSchema, errorSchema, namedArgumentsSchema, resultSchema } from "../wit/json-schema.js";
import type { PlaneEnv } from "./planes.js";
import { pairs, problemResponse } from "./problem-reply.js";
import { answer, bodyOf, headerOf, headOf, waiterOf } from "./whole.js";

export type CallTarget =
  /** `tenant`: for a key of the node, whose task it is. */
  | { readonly kind: "task"; readonly task: string; readonly tenant: string | undefined }
  | { readonly kind: "capability"; readonly capability: string };

/** Who asks, and what of the request goes along. */
export interface Asking {
  readonly key: string | undefined;
  readonly header: (name: string) => string | undefined;
}

export interface CallRequest extends Asking {
  readonly target: CallTarget;
  readonly interface: string;
  readonly function: string;
  /** The arguments as the engine's JSON, once the function is known. Throws `request/invalid-argument`. */
  arguments(callable: Callable): string;
  readonly bytes: number;
  readonly waiter: Waiter;
  /** The request as sidecars see it. */
  readonly requestHead: () => RequestHead;
}

export interface CallAnswer {
  readonly callable: Callable;
  /** The engine's JSON of the result; undefined: the function returns nothing. */
  readonly json: string | undefined;
  /** It is done later: what whoever asked is told instead. */
  readonly accepted?: { readonly headers: HeaderList; readonly body: Uint8Array } | undefined;
  /** Ours: the run, and the timing if it was asked for. */
  readonly headers: HeaderList;
}

/** A call that came to nothing, for whoever asked. */
export interface CallRefusal {
  readonly problem: Problem;
  readonly headers: HeaderList;
}

export interface CallsPort {
  /** What can be called there. Throws a `ProblemError`. */
  describe(target: CallTarget, asking: Asking): Promise<readonly (Callable | Uncallable)[]>;
  /** Never rejects for what went wrong with the call. */
  call(request: CallRequest): Promise<CallAnswer | CallRefusal>;
}

const JSON_TYPE = "application/json";
const MSGPACK = "application/msgpack";
/** The most that is read before the task is known, whose own limit holds then. */
const MOST_BYTES = 100 * 2 ** 20;
/** What is read of anybody. */
const SMALL_BYTES = 64 * 2 ** 10;
const ALLOW = "POST, OPTIONS";

/** Adds the paths. `keyIn` is the key that a request shows. */
export function addCalls(app: Hono<PlaneEnv>, port: CallsPort, keyIn: (c: Context<PlaneEnv>) => string | undefined): void {
  const handle = (c: Context<PlaneEnv>): Promise<Response> =>
    answered(async () => {
      const path = c.req.path;
      const asking: Asking = { key: keyIn(c), header: (name) => headerOf(c, name) };
      if (path.startsWith("/-/tasks/") && path.endsWith("/openapi.json") && (c.req.method === "GET" || c.req.method === "HEAD"))
        return openApi(port, path, c.req.query("tenant"), asking);
      const named = parsePath(path, c.req.query("tenant"));
      if (named === undefined) throw new ProblemError("request/not-found", `Nothing of Pilotlight answers at ${path}; ${PATHS}.`);
      if (c.req.method === "OPTIONS") return describe(port, named, asking);
      if (c.req.method === "POST") return call(c, port, named, asking);
      const detail = `${c.req.method} is not supported here; ${ALLOW} is.`;
      return problemResponse({ code: "request/method-not-allowed", detail }, ["Allow", ALLOW]);
    });
  app.all("/-/tasks/*", handle);
  app.all("/-/call/*", handle);
}

const PATHS = "a function is called at /-/tasks/TASK/INTERFACE/FUNCTION or /-/call/CAPABILITY/FUNCTION";

interface Named {
  readonly target: CallTarget;
  readonly interface: string;
  readonly function: string;
}

/** `/-/tasks/calc/demo:math/calc@1.0.0/add`; a function of the world has no interface. */
function parsePath(path: string, tenant: string | undefined): Named | undefined {
  const parts = path
    .split("/")
    .slice(2)
    .map((part) => decoded(part));
  const [kind, ...rest] = parts;
  if (rest.some((part) => part === undefined || part === "")) return undefined;
  const names = rest as string[];
  const name = names.at(-1) as string;
  if (kind === "call") {
    const capability = names.slice(0, -1).join("/");
    return names.length === 3 ? { target: { kind: "capability", capability }, interface: capability, function: name } : undefined;
  }
  const [task] = names;
  if (task === undefined || (names.length !== 2 && names.length !== 4)) return undefined;
  return { target: { kind: "task", task, tenant }, interface: names.slice(1, -1).join("/"), function: name };
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

async function describe(port: CallsPort, named: Named, asking: Asking): Promise<Response> {
  const functions = await port.describe(named.target, asking);
  const found = functions.find((each) => each.name === named.function && isOf(each, named.interface));
  if (found === undefined) {
    const names = functions.filter(isCallable).map((each) => nameOf(each.interface, each.name));
    const there = names.length === 0 ? "nothing can be called there" : `there are ${names.join(", ")}`;
    throw new ProblemError("call/no-function", `There is no function ${nameOf(named.interface, named.function)}; ${there}.`);
  }
  if (!isCallable(found)) throw notCallable(found);
  return json({ ...schemaOf(found) }, ["Allow", ALLOW]);
}

function isCallable(described: Callable | Uncallable): described is Callable {
  return !("refused" in described);
}

/** As a call finds its export: of exactly that name, or of a version that serves it. */
function isOf(callable: Callable | Uncallable, iface: string): boolean {
  if (callable.interface === iface) return true;
  const wanted = parseInterfaceName(iface);
  return wanted !== undefined && isServedBy(wanted, parseInterfaceName(callable.interface));
}

/** A function of the world has its name alone. */
function nameOf(iface: string, name: string): string {
  return iface === "" ? name : `${iface}#${name}`;
}

function schemaOf(callable: Callable): Record<string, unknown> {
  return {
    interface: callable.interface,
    function: callable.name,
    async: callable.async,
    wit: callable.text,
    parameters: argumentsSchema(callable),
    parametersByName: namedArgumentsSchema(callable),
    result: resultSchema(callable),
    error: errorSchema(callable),
  };
}

async function openApi(port: CallsPort, path: string, tenant: string | undefined, asking: Asking): Promise<Response> {
  const task = decoded(path.split("/")[3] ?? "");
  if (task === undefined || path.split("/").length !== 5)
    throw new ProblemError("request/not-found", `Nothing answers at ${path}; ${PATHS}.`);
  const functions = await port.describe({ kind: "task", task, tenant }, asking);
  const paths = functions.filter(isCallable).map((each) => {
    const at = `/-/tasks/${task}/${each.interface === "" ? "" : `${each.interface}/`}${each.name}`;
    return [at, { post: operation(each) }] as const;
  });
  return json({
    openapi: "3.1.0",
    info: { title: task, version: "1", description: `The functions of the task ${task} that can be called.` },
    paths: Object.fromEntries(paths),
  });
}

function operation(callable: Callable): Record<string, unknown> {
  const content = (schema: unknown): Record<string, unknown> => ({ [JSON_TYPE]: { schema }, [MSGPACK]: { schema } });
  const error = errorSchema(callable);
  const problem = { type: "object", properties: { type: { type: "string" }, error }, required: ["type"] };
  return {
    operationId: nameOf(callable.interface, callable.name),
    summary: callable.text,
    requestBody: { content: content({ anyOf: [argumentsSchema(callable), namedArgumentsSchema(callable)] }) },
    responses: {
      "200": { description: "The result", content: content(resultSchema(callable)) },
      ...(error !== undefined && {
        "422": { description: "The function's error", content: { "application/problem+json": { schema: problem } } },
      }),
      default: { description: "A problem (RFC 9457)" },
    },
  };
}

async function call(c: Context<PlaneEnv>, port: CallsPort, named: Named, asking: Asking): Promise<Response> {
  const type = (headerOf(c, "content-type") ?? JSON_TYPE).split(";")[0]?.trim().toLowerCase();
  if (type !== JSON_TYPE && type !== MSGPACK)
    throw new ProblemError("request/unsupported-media-type", `Arguments are sent as ${JSON_TYPE} or ${MSGPACK}, not as ${type}.`);
  // Only from whoever may call something there is much taken into memory.
  if (!(Number(headerOf(c, "content-length")) <= SMALL_BYTES)) await port.describe(named.target, asking);
  const body = await bodyOf(c, MOST_BYTES);
  const result = await port.call({
    ...named,
    ...asking,
    bytes: body.length,
    waiter: waiterOf(c),
    requestHead: () => headOf(c),
    arguments: (callable) => {
      if (body.length === 0) return "[]";
      return type === MSGPACK ? argumentsFromMsgpack(body, callable) : jsonText(body);
    },
  });
  if ("problem" in result) return problemResponse(result.problem, result.headers);
  const { callable, json: text = "null", headers, accepted } = result;
  if (accepted !== undefined) return answer(c, { status: 202, headers: accepted.headers, body: Buffer.from(accepted.body) });
  const value = ofResult(callable, text);
  if ("error" in value) return problemResponse({ code: "call/error", detail: undefined, error: value.error }, headers);
  const isPacked = wantsMsgpack(c);
  return answer(c, {
    status: 200,
    headers: [...headers, "Content-Type", isPacked ? MSGPACK : JSON_TYPE, "Cache-Control", "no-store"],
    body: isPacked ? resultToMsgpack(value.text, resultTypeOf(callable)) : `${value.text}\n`,
  });
}

/** Nearly nobody says so. */
function wantsMsgpack(c: Context<PlaneEnv>): boolean {
  if (headerOf(c, "accept")?.includes(MSGPACK) !== true) return false;
  return accepts(c, { header: "Accept", supports: [JSON_TYPE, MSGPACK], default: JSON_TYPE }) === MSGPACK;
}

function jsonText(body: Buffer): string {
  if (isUtf8(body)) return body.toString("utf8");
  throw new ProblemError("request/invalid-argument", "The body is not UTF-8, which JSON is written in.");
}

/** Of a function that returns a `result`, the ok value or the error; else what it returns. */
function ofResult({ result }: Callable, text: string): { readonly text: string } | { readonly error: unknown } {
  if (result?.kind !== "result") return { text };
  const { tag, val = null } = JSON.parse(text) as { readonly tag: "ok" | "err"; readonly val?: unknown };
  return tag === "ok" ? { text: JSON.stringify(val) } : { error: val };
}

function resultTypeOf({ result }: Callable): Callable["result"] {
  return result?.kind === "result" ? result.ok : result;
}

async function answered(work: () => Promise<Response>): Promise<Response> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ProblemError) return problemResponse(error.problem, []);
    throw error;
  }
}

function json(value: unknown, headers: HeaderList = []): Response {
  const all = [...headers, "Content-Type", JSON_TYPE, "Cache-Control", "no-store"];
  return new Response(`${JSON.stringify(value)}\n`, { headers: pairs(all) });
}
