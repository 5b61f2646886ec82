/** Calls over HTTP, up to the port: which function a path means, what a body may be, and how an answer is told. */
import { Packr, Unpackr } from "msgpackr";
import { describe, expect, it } from "vitest";
import { ProblemError } from "../../src/base/problem.js";
import type { Asking, CallAnswer, CallRefusal, CallRequest, CallsPort, CallTarget } from "../../src/http/calls.js";
import { dataPlane } from "../../src/http/planes.js";
import { callable, type Callable } from "../../src/wit/callable.js";

const CALC = "demo:math/calc@1.2.0";
const RUN = ["Pilotlight-Run", "0123456789abcdef0123456789abcdef"];

function func(name: string, parameters: Readonly<Record<string, string>>, result?: string, iface = CALC): Callable {
  const given = Object.entries(parameters).map(([each, type]) => ({ name: each, type }));
  return callable(iface, { name, async: false, parameters: given, result }) as Callable;
}

const ADD = func("add", { a: "u32", b: "u32" }, "u32");
const FUNCTIONS = [ADD, func("divide", { a: "u64" }, "result<list<u8>, string>"), func("ready", {}, undefined, "")];

/** What a port was asked, and answers that a test gives. */
class FakePort implements CallsPort {
  readonly described: (readonly [CallTarget, Asking])[] = [];
  readonly called: CallRequest[] = [];
  json: string | undefined = "3";
  refusal: CallRefusal | undefined;
  callable = ADD;
  /** The arguments of the last call. */
  given: string | undefined;

  async describe(target: CallTarget, asking: Asking): Promise<readonly Callable[]> {
    this.described.push([target, asking]);
    if (asking.key === "wrong") throw new ProblemError("request/unauthorized", "This key is not known.");
    return FUNCTIONS;
  }

  async call(request: CallRequest): Promise<CallAnswer | CallRefusal> {
    this.called.push(request);
    try {
      this.given = request.arguments(this.callable);
    } catch (error) {
      if (error instanceof ProblemError) return { problem: error.problem, headers: RUN };
      throw error;
    }
    return this.refusal ?? { callable: this.callable, json: this.json, headers: RUN };
  }
}

type Body = string | Uint8Array<ArrayBuffer>;

interface Plane {
  readonly port: FakePort;
  readonly post: (path: string, body?: Body, headers?: Record<string, string>) => Promise<Response>;
  readonly ask: (method: string, path: string, headers?: Record<string, string>) => Promise<Response>;
}

function appOf(calls: CallsPort): ReturnType<typeof dataPlane>["app"] {
  const guest = (): Response => new Response("a guest's");
  return dataPlane({
    calls,
    guest,
    pretriggers: { hear: () => ({ key: "" }) },
    runs: { get: () => undefined, result: () => undefined, cancel: async () => {} },
    health: { reasons: () => [] },
    reserveOwn: true,
  }).app;
}

function plane(port = new FakePort()): Plane {
  const app = appOf(port);
  const send = async (method: string, path: string, headers: Record<string, string>, body?: Body): Promise<Response> =>
    app.request(path, { method, headers, ...(body !== undefined && { body }) });
  return {
    port,
    post: (path, body, headers = {}) => send("POST", path, { "content-type": "application/json", ...headers }, body),
    ask: (method, path, headers = {}) => send(method, path, headers),
  };
}

const AT = `/-/tasks/calc/${CALC}/add`;
const pack = (value: unknown): Uint8Array<ArrayBuffer> => new Uint8Array(new Packr({ useRecords: false }).pack(value));

async function told(response: Response): Promise<readonly [status: number, code: string, detail: string | undefined]> {
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  const { type, detail } = (await response.json()) as { type: string; detail?: string };
  return [response.status, type.replace("https://pilotlight.dev/problems/", ""), detail];
}

describe("a path", () => {
  const task = (name: string, tenant?: string): CallTarget => ({ kind: "task", task: name, tenant });
  const capability = (name: string): CallTarget => ({ kind: "capability", capability: name });

  it.each<[string, CallTarget, string, string]>([
    ["/-/tasks/calc/demo:math/calc@1.2.0/add", task("calc"), CALC, "add"],
    ["/-/tasks/calc/demo%3Amath/calc%401.2.0/add", task("calc"), CALC, "add"],
    ["/-/tasks/calc/demo:math/calc/add", task("calc"), "demo:math/calc", "add"],
    ["/-/tasks/calc/demo:math/calc@0.3.0-rc.1/add", task("calc"), "demo:math/calc@0.3.0-rc.1", "add"],
    ["/-/tasks/calc/ready", task("calc"), "", "ready"],
    ["/-/tasks/calc/ready?tenant=acme", task("calc", "acme"), "", "ready"],
    ["/-/call/demo:math/calc@1.2.0/add", capability(CALC), CALC, "add"],
    ["/-/call/demo%3amath/calc/add?tenant=acme", capability("demo:math/calc"), "demo:math/calc", "add"],
  ])("%s", async (path, target, iface, name) => {
    const { port, post } = plane();
    expect((await post(path, "[1, 2]")).status).toBe(200);
    expect(port.called).toMatchObject([{ target, interface: iface, function: name }]);
  });

  it.each([
    "/-/tasks/calc",
    "/-/tasks/calc/",
    "/-/tasks/calc/demo:math/calc",
    "/-/tasks/calc/demo:math/calc/add/more",
    "/-/tasks/calc/demo:math//add",
    "/-/tasks/calc/%zz",
    "/-/call/add",
    "/-/call/demo:math/calc",
    "/-/call/demo:math/calc/add/more",
  ])("%s means no function, and nothing is called", async (path) => {
    const { port, post } = plane();
    const [status, code, detail] = await told(await post(path, "[]"));
    expect([status, code]).toEqual([404, "request/not-found"]);
    expect(detail).toContain("a function is called at /-/tasks/TASK/INTERFACE/FUNCTION or /-/call/CAPABILITY/FUNCTION");
    expect(port.called).toEqual([]);
  });

  it("is answered with what may be done there for other methods", async () => {
    const { ask } = plane();
    for (const method of ["GET", "PUT", "DELETE"]) {
      const response = await ask(method, AT);
      expect(response.headers.get("allow")).toBe("POST, OPTIONS");
      expect(await told(response)).toEqual([405, "request/method-not-allowed", `${method} is not supported here; POST, OPTIONS is.`]);
    }
  });
});

describe("a body", () => {
  it("of JSON goes to the engine as it is, with its size", async () => {
    const { port, post } = plane();
    await post(AT, '{"a": 1, "b": "ü"}');
    expect(port.given).toBe('{"a": 1, "b": "ü"}');
    expect(port.called[0]?.bytes).toBe(19);
  });

  it("of MessagePack becomes JSON by the types of the function", async () => {
    const port = new FakePort();
    port.callable = func("f", { x: "list<u8>", n: "u64" });
    await plane(port).post(AT, pack([Buffer.from([1]), 2n ** 63n]), { "content-type": "application/msgpack" });
    expect(port.given).toBe('["AQ==","9223372036854775808"]');
  });

  it("that is empty, or not there, means no arguments, in either type", async () => {
    const { port, post, ask } = plane();
    for (const headers of [{}, { "content-type": "application/msgpack" }]) {
      await post(AT, "", headers);
      expect(port.given).toBe("[]");
    }
    expect((await ask("POST", AT)).status).toBe(200);
    expect(port.given).toBe("[]");
  });

  it("may say more of its type than the type", async () => {
    const { port, post } = plane();
    expect((await post(AT, "[1]", { "content-type": "Application/JSON; charset=utf-8" })).status).toBe(200);
    expect(port.given).toBe("[1]");
  });

  it("of another type is refused, and nothing is called", async () => {
    const { port, post } = plane();
    const detail = "Arguments are sent as application/json or application/msgpack, not as text/plain.";
    expect(await told(await post(AT, "1", { "content-type": "text/plain" }))).toEqual([415, "request/unsupported-media-type", detail]);
    expect(port.called).toEqual([]);
  });

  it("that is not UTF-8, or no MessagePack, is refused once the function is known", async () => {
    const { post } = plane();
    const wrong = new Uint8Array([0x5b, 0x22, 0xff, 0x22, 0x5d]);
    const notText = "The body is not UTF-8, which JSON is written in.";
    expect(await told(await post(AT, wrong))).toEqual([400, "request/invalid-argument", notText]);
    const packed = await post(AT, new Uint8Array([0x92, 1]), { "content-type": "application/msgpack" });
    expect(await told(packed)).toEqual([
      400,
      "request/invalid-argument",
      "The body cannot be read as MessagePack: it ends within a value.",
    ]);
  });

  it("that is large is read only of whoever may call something there", async () => {
    const { port, post } = plane();
    const large = (key: string): Promise<Response> =>
      post(AT, JSON.stringify(["x".repeat(70_000)]), { "pilotlight-key": key, "content-length": "70004" });
    expect(await told(await large("wrong"))).toEqual([401, "request/unauthorized", "This key is not known."]);
    expect(port.called).toEqual([]);
    expect((await large("right")).status).toBe(200);
    expect(port.called).toHaveLength(1);
  });

  it("of more than 100 MiB is read no further", async () => {
    const { port, ask } = plane();
    let read = 0;
    const endless = new ReadableStream({ pull: (controller) => (read++, controller.enqueue(new Uint8Array(2 ** 20))) });
    const response = await appOf(port).request(AT, { method: "POST", body: endless, duplex: "half" });
    expect(await told(response)).toEqual([413, "request/body-too-large", "The body may come to 104857600 bytes."]);
    expect(read).toBeLessThan(110);
    expect(port.called).toEqual([]);
    expect((await ask("GET", "/-/livez")).status).toBe(200);
  });
});

describe("what else of a request", () => {
  it("goes along: its key in either header, its headers by name, and whether its client has left", async () => {
    const { port, post } = plane();
    await post(AT, "[]", { "pilotlight-key": " pl_a ", traceparent: "00-1", "Pilotlight-Prefer": "time" });
    await post(AT, "[]", { authorization: "Bearer pl_b" });
    const [first, second] = port.called;
    expect([first?.key, second?.key]).toEqual(["pl_a", "pl_b"]);
    expect(["traceparent", "pilotlight-prefer", "x-request-id"].map((name) => first?.header(name))).toEqual(["00-1", "time", undefined]);
    expect(first?.waiter.hasLeft()).toBe(false);
  });
});

describe("an answer", () => {
  it("is JSON with the run's id, and not to be kept", async () => {
    const response = await plane().post(AT, "[1, 2]");
    expect(await response.text()).toBe("3\n");
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "application/json",
      "cache-control": "no-store",
      "pilotlight-run": RUN[1],
    });
  });

  it.each([
    ["application/msgpack", true],
    ["application/json;q=0.5, application/msgpack", true],
    ["application/json, application/msgpack;q=0.1", false],
    ["*/*", false],
    ["text/html", false],
  ])("is of the type that Accept: %s asks for", async (accept, packed) => {
    const port = new FakePort();
    port.json = "4294967296";
    port.callable = func("f", {}, "u64");
    const response = await plane(port).post(AT, "[]", { accept });
    expect(response.headers.get("content-type")).toBe(packed ? "application/msgpack" : "application/json");
    const bytes = Buffer.from(await response.arrayBuffer());
    expect(packed ? new Unpackr({ int64AsType: "bigint" }).unpack(bytes) : bytes.toString()).toEqual(
      packed ? 4_294_967_296n : "4294967296\n",
    );
  });

  it("of a function that returns nothing is null", async () => {
    const port = new FakePort();
    port.json = undefined;
    port.callable = func("f", {});
    const { post } = plane(port);
    const response = await post(AT, "[]");
    expect([response.status, await response.text()]).toEqual([200, "null\n"]);
    const packed = await post(AT, "[]", { accept: "application/msgpack" });
    expect([...new Uint8Array(await packed.arrayBuffer())]).toEqual([0xc0]);
  });

  it("of a result is its ok value, or a problem with its error value, in JSON whatever was asked for", async () => {
    const port = new FakePort();
    port.callable = func("f", {}, "result<list<u8>, u64>");
    const { post } = plane(port);
    port.json = '{"tag":"ok","val":"AQ=="}';
    expect(await (await post(AT, "[]")).text()).toBe('"AQ=="\n');
    port.json = '{"tag":"err","val":"18446744073709551615"}';
    const response = await post(AT, "[]", { accept: "application/msgpack" });
    expect([response.status, response.headers.get("content-type")]).toEqual([422, "application/problem+json"]);
    expect(await response.json()).toEqual({
      type: "https://pilotlight.dev/problems/call/error",
      title: "The function answered with an error value",
      status: 422,
      error: "18446744073709551615",
      run: RUN[1],
    });
  });

  it("of a result without values is null either way", async () => {
    const port = new FakePort();
    port.callable = func("f", {}, "result");
    const { post } = plane(port);
    port.json = '{"tag":"ok"}';
    expect(await (await post(AT, "[]")).json()).toBeNull();
    port.json = '{"tag":"err"}';
    expect(await (await post(AT, "[]")).json()).toMatchObject({ status: 422, error: null });
  });

  it("that is the port's refusal is told as it is", async () => {
    const port = new FakePort();
    port.refusal = { problem: { code: "call/no-function", detail: "There is none." }, headers: [...RUN, "Retry-After", "3"] };
    const response = await plane(port).post(AT, "[]");
    expect([response.headers.get("pilotlight-run"), response.headers.get("retry-after")]).toEqual([RUN[1], "3"]);
    expect(await told(response)).toEqual([404, "call/no-function", "There is none."]);
  });
});

describe("OPTIONS", () => {
  it("says what a function takes and gives", async () => {
    const response = await plane().ask("OPTIONS", `/-/tasks/calc/${CALC}/divide`);
    expect(response.headers.get("allow")).toBe("POST, OPTIONS");
    expect(await response.json()).toEqual({
      interface: CALC,
      function: "divide",
      async: false,
      wit: "func(a: u64) -> result<list<u8>, string>",
      parameters: expect.objectContaining({ type: "array", minItems: 1, $schema: "https://json-schema.org/draft/2020-12/schema" }),
      parametersByName: expect.objectContaining({ type: "object", required: ["a"] }),
      result: expect.objectContaining({ type: "string", contentEncoding: "base64" }),
      error: expect.objectContaining({ type: "string" }),
    });
  });

  it.each([
    ["demo:math/calc", 200],
    ["demo:math/calc@1.0.0", 200],
    ["demo:math/calc@1.3.0", 404],
    ["demo:math/calc@2.0.0", 404],
    ["demo:math/other", 404],
  ])("finds %s as a call would: %i", async (iface, status) => {
    expect((await plane().ask("OPTIONS", `/-/tasks/calc/${iface}/add`)).status).toBe(status);
  });

  it("names what there is where there is no such function", async () => {
    expect(await told(await plane().ask("OPTIONS", "/-/tasks/calc/nope"))).toEqual([
      404,
      "call/no-function",
      `There is no function nope; there are ${CALC}#add, ${CALC}#divide, ready.`,
    ]);
  });
});

describe("openapi.json", () => {
  it("lists all functions of a task with their schemas", async () => {
    const { port, ask } = plane();
    const response = await ask("GET", "/-/tasks/calc/openapi.json?tenant=acme", { "pilotlight-key": "pl_a" });
    expect(response.status).toBe(200);
    const document = (await response.json()) as { paths: Record<string, { post: { responses: object } }> };
    expect(document).toMatchObject({ openapi: "3.1.0", info: { title: "calc" } });
    expect(Object.keys(document.paths)).toEqual([AT, `/-/tasks/calc/${CALC}/divide`, "/-/tasks/calc/ready"]);
    expect(document.paths[AT]).toMatchObject({
      post: {
        operationId: `${CALC}#add`,
        summary: "func(a: u32, b: u32) -> u32",
        requestBody: { content: { "application/json": { schema: { anyOf: [{ minItems: 2 }, { required: ["a", "b"] }] } } } },
      },
    });
    const answers = Object.values(document.paths).map(({ post }) => Object.keys(post.responses));
    expect(answers).toEqual([
      ["200", "default"],
      ["200", "422", "default"],
      ["200", "default"],
    ]);
    expect(port.described).toMatchObject([[{ kind: "task", task: "calc", tenant: "acme" }, { key: "pl_a" }]]);
  });

  it("is nobody's without a task, or of whoever may not call it", async () => {
    const { ask } = plane();
    expect((await ask("GET", "/-/tasks/calc/more/openapi.json")).status).toBe(404);
    expect(await told(await ask("GET", "/-/tasks/calc/openapi.json", { "pilotlight-key": "wrong" }))).toEqual([
      401,
      "request/unauthorized",
      "This key is not known.",
    ]);
  });
});
