/** What the admin API says to what it cannot do: every way to ask wrongly, and its words. */
import { gzipSync } from "node:zlib";
import { describe, expect, it, vi } from "vitest";
import type { Context } from "hono";
import { ProblemError } from "../../../src/base/problem.js";
import { readBody } from "../../../src/http/admin/bodies.js";
import type { PlaneEnv } from "../../../src/http/planes.js";
import { openWire, parseAnswer, type RawAnswer } from "../../support/raw-http.js";
import { until } from "../../support/until.js";
import { expectProblem, startAdmin, uploadForm, type Client } from "./client.js";
import { FakeControl } from "./fake-control.js";

const MiB = 2 ** 20;
const VERSIONS = "tenants/default/tasks/hello/versions";
const MANIFEST = { name: "hello", component: "app.wasm" };
const COMPONENT = Buffer.from("\0asm");

async function start(options: Parameters<typeof startAdmin>[1] = {}): Promise<{ control: FakeControl; admin: Client }> {
  const control = new FakeControl();
  return { control, admin: await startAdmin(control, options, control.rootKey) };
}

/** Every method and path that the document lists, with something in place of the names. */
async function routes(admin: Client): Promise<{ method: string; path: string; needsKey: boolean }[]> {
  const { paths } = (await admin.ask("GET /openapi.json")).json as { paths: Record<string, Record<string, { security: unknown[] }>> };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { security }]) => ({
      method: method.toUpperCase(),
      path: path.replaceAll(/\{\w+\}/g, "x"),
      needsKey: security.length > 0,
    })),
  );
}

describe("a request without a key that holds", () => {
  it("is told so on every route under /v1, whatever else is wrong with it", async () => {
    const { admin } = await start();
    const known = await routes(admin);
    expect(known.filter(({ needsKey }) => needsKey).length).toBeGreaterThan(35);
    for (const { method, path, needsKey } of known) {
      expect([path, needsKey]).toEqual([path, path.startsWith("/v1/")]);
      if (!needsKey) continue;
      const none = await admin.ask(`${method} ${path}?nonsense=1`, { key: undefined });
      expectProblem(none, 401, "request/unauthorized", "Send a key as Authorization: Bearer pl_… or as Pilotlight-Key: pl_….");
      expect(none.headers.get("www-authenticate")).toBe("Bearer");
      const wrong = await admin.ask(`${method} ${path}`, { key: "pl_wrong" });
      const detail = "The key is none of this node's: it was never issued, was revoked, or has expired.";
      expectProblem(wrong, 401, "request/unauthorized", detail);
      expect(wrong.text).not.toContain("pl_wrong");
    }
  });

  it.each(["Basic cGw6", "Bearer", "Bearer a b", ""])("does not take %j for a key", async (authorization) => {
    const { admin } = await start();
    const headers: Record<string, string> = authorization === "" ? {} : { Authorization: authorization };
    expect((await admin.ask("GET whoami", { key: undefined, headers })).status).toBe(401);
  });

  it("has its body left unread", async () => {
    const { admin } = await start();
    const wire = await openWire(admin.port);
    wire.send(
      `POST /v1/${VERSIONS} HTTP/1.1`,
      "Host: a",
      "Content-Type: multipart/form-data; boundary=b",
      "Content-Length: 1000000",
      "",
      "",
    );
    await wire.until(/HTTP\/1\.1 401 /);
  });

  it("or that may too little is refused in Control's words", async () => {
    const { admin } = await start();
    const { text } = (await admin.ask("POST keys", { json: { scopes: ["invoke"] } })).json as { text: string };
    expectProblem(await admin.ask("GET tenants", { key: text }), 403, "request/forbidden", "This takes a key with the scope read.");
  });
});

describe("a path or a method that is not there", () => {
  it("is 404 for unknown paths", async () => {
    const { admin } = await start();
    for (const path of ["/v1/nope", "/v1", "/", "/v1/tenants/", "/v1/tenants/a/b/c", "/v1//tenants", "/V1/tenants"])
      expectProblem(await admin.ask(`GET ${path}`), 404, "request/not-found", `Nothing of Pilotlight answers at ${path}.`);
  });

  it("is 405 with the methods that there are, on every path", async () => {
    const { admin } = await start();
    const known = await routes(admin);
    for (const { path } of known) {
      const methods = known.filter((other) => other.path === path).flatMap(({ method }) => (method === "GET" ? ["GET", "HEAD"] : [method]));
      const answer = await admin.ask(`PROPFIND ${path}`);
      expectProblem(answer, 405, "request/method-not-allowed", `PROPFIND is not supported here; ${methods.join(", ")} is.`);
      expect(answer.headers.get("allow")).toBe(methods.join(", "));
    }
  });

  it("answers HEAD like GET, without a body", async () => {
    const { admin } = await start();
    const head = await admin.ask("HEAD tenants/default");
    expect([head.status, head.text, head.headers.get("etag")]).toEqual([200, "", '"1"']);
    expect((await admin.ask("HEAD tenants/nope")).status).toBe(404);
  });

  it("says so of a path that is not percent-encoded", async () => {
    const { admin } = await start();
    for (const path of ["tenants/%zz", "tenants/%ff"])
      expectProblem(
        await admin.ask(`GET ${path}`),
        400,
        "request/malformed",
        "The path is not percent-encoded UTF-8; write a percent sign as %25.",
      );
  });
});

describe("a JSON body", () => {
  it.each([
    ['{"name": ', "body: is not valid JSON"],
    ['{"name": s3cr3t}', "body: is not valid JSON"],
    ['{"name": "s3cr3t",}', "body: is not valid JSON, from character 18 on"],
    ["", "body: is not valid JSON"],
    ["\xff", "body: is not UTF-8"],
  ])("%j is refused without being quoted", async (body, detail) => {
    const { admin } = await start();
    const answer = await admin.ask("POST tenants", { body: Buffer.from(body, "latin1"), headers: { "Content-Type": "application/json" } });
    expect(answer.json.detail).toContain(detail);
    expectProblem(answer, 422, "request/invalid", answer.json.detail, [
      { path: "body", detail: answer.json.detail.slice("body: ".length) },
    ]);
    expect(answer.text).not.toContain("s3cr3t");
  });

  it("of another type, of none, or compressed, is 415", async () => {
    const { admin } = await start();
    const ask = (headers: Record<string, string>, body: Uint8Array = Buffer.from("{}")): ReturnType<Client["ask"]> =>
      admin.ask("POST tenants", { body, headers });
    const code = "request/unsupported-media-type";
    expectProblem(
      await ask({ "Content-Type": "text/plain" }),
      415,
      code,
      "The request's Content-Type is text/plain; this takes application/json.",
    );
    expectProblem(await ask({}), 415, code, "The request has no Content-Type; this takes application/json.");
    const gzip = { "Content-Type": "application/json", "Content-Encoding": "gzip" };
    const detail = "Content-Encoding is not supported here; send the body as it is.";
    expectProblem(await ask(gzip, gzipSync("{}")), 415, code, detail);
    expect((await ask({ "Content-Type": "Application/JSON; charset=utf-8" }, Buffer.from('{"name":"a"}'))).status).toBe(201);
    const optional = await admin.ask("POST keys/x/rotate", { body: Buffer.from("{}") });
    expectProblem(optional, 415, code, "The request has no Content-Type; this takes application/json.");
  });

  it("is told about each field that is wrong, by its path, all at once", async () => {
    const { admin } = await start();
    const answer = await admin.ask("POST tenants", { json: { hosts: ["a", 7], quotas: { tasks: "3", speed: 1 }, colour: "red" } });
    expectProblem(answer, 422, "request/invalid", answer.json.detail, [
      { path: "name", detail: "Invalid input: expected string, received undefined" },
      { path: "hosts[1]", detail: "Invalid input: expected string, received number" },
      { path: "quotas.tasks", detail: "Invalid input: expected number, received string" },
      { path: "quotas.speed", detail: "unknown field" },
      { path: "colour", detail: "unknown field" },
    ]);
    expect(answer.json.detail).toContain("quotas.speed: unknown field; colour: unknown field");
    const array = await admin.ask("POST tenants", { json: [] });
    expect(array.json.errors).toEqual([{ path: "body", detail: "Invalid input: expected object, received array" }]);
  });

  it("is told what Control finds wrong in the same form", async () => {
    const { admin } = await start();
    const detail = "expected a name of lower-case letters, digits and dashes";
    const answer = await admin.ask("POST tenants", { json: { name: "Ärger!" } });
    expectProblem(answer, 422, "request/invalid", `name: ${detail}`, [{ path: "name", detail }]);
  });

  it.each([
    ["POST keys", { scopes: ["root"] }, "scopes[0]"],
    ["POST keys", { scopes: ["read"], expires: "x" }, "expires"],
    ["POST keys/x/rotate", { graceSeconds: -1 }, "graceSeconds"],
    ["POST keys/x/rotate", { graceSeconds: 1e9 }, "graceSeconds"],
    ["PATCH tenants/default", { name: "other" }, "name"],
    ["PUT tenants/default/secrets/A", { value: 7 }, "value"],
    ["PUT tenants/default/tasks/hello/aliases/live", { targets: { v1: "90" } }, "targets.v1"],
    ["PUT tenants/default/tasks/hello/aliases/live", { targets: { v1: 90, "1": 10 } }, "targets.1"],
    ["POST tenants/default/tasks/hello/aliases/live/rollback", { to: 7 }, "to"],
  ])("%s %j is wrong in %s", async (line, json, path) => {
    const { admin } = await start();
    const answer = await admin.ask(line, { json });
    expect(answer.json.errors).toEqual([{ path, detail: expect.any(String) }]);
    expect(answer.status).toBe(422);
  });

  it("does not get a secret's value told back, however wrong it is", async () => {
    const { admin } = await start();
    for (const json of [{ value: ["s3cr3t"] }, { value: { s: "s3cr3t" } }, "s3cr3t", { value: "a", s: "s3cr3t" }]) {
      const answer = await admin.ask("PUT tenants/default/secrets/A", { json });
      expect([answer.status, answer.text.includes("s3cr3t")]).toEqual([422, false]);
    }
  });
});

describe("a query", () => {
  it.each([
    ["tenants?limit=0", "limit", "expected a whole number from 1 to 1000"],
    ["tenants?limit=1001", "limit", "expected a whole number from 1 to 1000"],
    ["tenants?limit=ten", "limit", "expected a whole number from 1 to 1000"],
    ["tenants?limit=1&limit=2", "limit", "is there more than once"],
    ["tenants?page=2", "page", "unknown field"],
    ["tenants?cursor=nonsense", "cursor", "expected what the page before gave as next"],
    ["tenants/default?x=1", "x", "unknown field"],
    ["tenants/default/logs?follow=yes", "follow", "expected 1, to go on with each line that comes, or 0"],
  ])("%s is wrong in %s", async (path, field, detail) => {
    const { admin } = await start();
    expectProblem(await admin.ask(`GET ${path}`), 422, "request/invalid", `${field}: ${detail}`, [{ path: field, detail }]);
  });
});

describe("a precondition", () => {
  it.each([
    ["PATCH tenants/default", { "If-Match": "7" }, "If-Match", 'expected one ETag as it was answered, such as "7" with its quotes'],
    ["PATCH tenants/default", { "If-Match": '"1", "2"' }, "If-Match", 'expected one ETag as it was answered, such as "7" with its quotes'],
    ["PATCH tenants/default", { "If-None-Match": "*" }, "If-None-Match", "not supported here; leave it out"],
    ["POST tenants", { "If-Match": '"1"' }, "If-Match", "not supported here; leave it out"],
    [
      "PUT tenants/default/stores/s/entries/k",
      { "If-None-Match": '"1"' },
      "If-None-Match",
      "expected *, for only when it is not there yet",
    ],
    [
      "PUT tenants/default/stores/s/entries/k",
      { "If-None-Match": "*", "If-Match": '"1"' },
      "If-None-Match",
      "cannot stand beside If-Match",
    ],
  ])("%s %j is not passed over", async (line, headers, path, detail) => {
    const { admin } = await start();
    const answer = await admin.ask(line, { json: {}, headers });
    expectProblem(answer, 422, "request/invalid", `${path}: ${detail}`, [{ path, detail }]);
  });

  it("of revision 0 never holds, and does not stand for absence", async () => {
    const { admin } = await start();
    const answer = await admin.ask("PUT tenants/default/stores/s/entries/k", { body: "v", headers: { "If-Match": '"0"' } });
    expectProblem(answer, 412, "request/changed-meanwhile", "Nothing has the revision 0.");
    expect((await admin.ask("GET tenants/default/stores/s/entries/k")).status).toBe(404);
  });
});

describe("a body that is too large", () => {
  it("is refused by what it announces, and by what comes when it announces nothing", async () => {
    const { admin } = await start();
    const json = { "Content-Type": "application/json" };
    const announced = await admin.ask("POST tenants", { body: new Uint8Array(MiB + 1), headers: json });
    const detail = `A JSON document may have ${MiB} bytes here; this one says that it has ${MiB + 1}.`;
    expectProblem(announced, 413, "request/body-too-large", detail);

    const wire = await openWire(admin.port);
    wire.send("POST /v1/tenants HTTP/1.1", "Host: a", `Authorization: Bearer ${await rootOf(admin)}`, "Content-Type: application/json");
    wire.send("", "Transfer-Encoding: chunked", "", (MiB + 2).toString(16), " ".repeat(MiB + 2));
    await wire.until(/HTTP\/1\.1 413 /);
    const { detail: streamed } = JSON.parse(await bodyOf(wire)) as { detail: string };
    expect(streamed).toBe(`A JSON document may have ${MiB} bytes here; this one has more.`);
  });

  it("names the limit of a value and of a component", async () => {
    const { admin } = await start({ uploadBytes: 1000 });
    const value = await admin.ask("PUT tenants/default/stores/s/entries/k", { body: new Uint8Array(8 * MiB + 1) });
    const code = "request/body-too-large";
    expectProblem(value, 413, code, `A value may have ${8 * MiB} bytes here; this one says that it has ${8 * MiB + 1}.`);
    const part = await admin.ask(`POST ${VERSIONS}`, { body: uploadForm(MANIFEST, new Uint8Array(1001)) });
    expectProblem(part, 413, code, "The part component may have 1000 bytes here; this one has 1001.");
    const whole = await admin.ask(`POST ${VERSIONS}`, { body: uploadForm(MANIFEST, new Uint8Array(2 * MiB)) });
    expect(whole.status).toBe(413);
    expect(whole.json.detail).toMatch(/^With a component of at most 1000 bytes, an upload may have \d+ bytes here; this one /);
    const manifest = await admin.ask(`POST ${VERSIONS}`, { body: uploadForm({ ...MANIFEST, x: "y".repeat(MiB) }, COMPONENT) });
    expect(manifest.json.detail).toMatch(/^The part manifest may have 1048576 bytes here; this one has \d+\.$/);
    expect((await admin.ask("GET tenants/default/tasks")).json.items).toEqual([]);
    expect((await admin.ask(`POST ${VERSIONS}`, { body: uploadForm(MANIFEST, new Uint8Array(1000)) })).status).toBe(201);
  });
});

describe("an upload", () => {
  const B = "xyz";
  const part = (name: string, body: string): string => `--${B}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${body}\r\n`;
  const whole = `${part("manifest", JSON.stringify(MANIFEST))}${part("component", "\0asm")}--${B}--\r\n`;
  const send = (admin: Client, body: string, type = `multipart/form-data; boundary=${B}`): ReturnType<Client["ask"]> =>
    admin.ask(`POST ${VERSIONS}`, { body: Buffer.from(body, "latin1"), headers: { "Content-Type": type } });

  it.each([
    ["a preamble and an epilogue", `for old readers\r\n${whole}and more`],
    ["blanks after boundaries", whole.replace(`--${B}\r\n`, `--${B} \t\r\n`)],
    ["other headers", whole.replace("Content-Disp", "Content-Type: application/wasm\r\ncontent-disp")],
  ])("may have %s", async (_, body) => {
    const { admin } = await start();
    const answer = await send(admin, body, `Multipart/Form-Data; charset=utf-8; boundary="${B}"`);
    expect([answer.status, answer.json.version]).toEqual([201, "v1"]);
    expect((await admin.ask(`GET ${VERSIONS}/v1`)).json.componentBytes).toBe(4);
  });

  it("keeps a component's bytes, line ends and dashes too", async () => {
    const { admin } = await start();
    const component = Buffer.from("\r\n--xy\r\n\r\n--\r\n\0\xff--xyz", "latin1");
    expect((await admin.ask(`POST ${VERSIONS}`, { body: uploadForm(MANIFEST, component) })).status).toBe(201);
    expect((await admin.ask(`GET ${VERSIONS}/v1`)).json.componentBytes).toBe(component.byteLength);
  });

  const cut = (bytes: number): string =>
    `it is cut short: ${bytes} bytes came and the closing boundary is not among them; nothing of it was kept`;
  it.each([
    ["", "body", `it holds no line with the boundary ${B}`],
    ["nothing of the kind", "body", `it holds no line with the boundary ${B}`],
    [whole.slice(0, -20), "body", cut(whole.length - 20)],
    [whole.slice(0, 40), "body", cut(40)],
    [whole.slice(0, -8), "body", cut(whole.length - 8)],
    [part("manifest", "{}") + whole, "body", "the part manifest is there twice"],
    [`--${B}\r\nX: y\r\n\r\n\r\n--${B}--`, "body", 'a part does not say Content-Disposition: form-data; name="…"'],
    [part("x", "") + whole, "x", "unknown part; there are manifest, component, alias"],
    [whole.replace('"manifest"', '"alias"'), "manifest", "expected a part of this name with the manifest as JSON"],
    [whole.replace('name="component"', 'name="alias"'), "component", "expected a part of this name with the component's bytes"],
    [whole.replace('{"name"', "{name"), "manifest", expect.stringMatching(/^is not valid JSON/)],
    [whole.replace('"hello"', '"other"'), "manifest.name", 'is "other" in the manifest and "hello" in the path'],
  ])("%j is wrong in %s", async (body, path, detail) => {
    const { admin } = await start();
    const answer = await send(admin, body);
    expect(answer.json).toMatchObject({ status: 422, errors: [{ path, detail }] });
    expect((await admin.ask("GET tenants/default/tasks")).json.items).toEqual([]);
  });

  it("needs its type and its boundary", async () => {
    const { admin } = await start();
    const json = await admin.ask(`POST ${VERSIONS}`, { json: MANIFEST });
    const detail = "The request's Content-Type is application/json; this takes multipart/form-data.";
    expectProblem(json, 415, "request/unsupported-media-type", detail);
    expect((await send(admin, whole, "multipart/form-data")).json.errors).toEqual([
      { path: "Content-Type", detail: "expected multipart/form-data with its boundary" },
    ]);
  });

  const head = (key: string, length: number): string[] => [
    `POST /v1/${VERSIONS} HTTP/1.1`,
    "Host: a",
    `Pilotlight-Key: ${key}`,
    `Content-Type: multipart/form-data; boundary=${B}`,
    `Content-Length: ${length}`,
    "",
  ];

  it("that ends before its Content-Length leaves nothing, and the client that waits is told", async () => {
    const printed = vi.spyOn(console, "error");
    const { control, admin } = await start();
    const wire = await openWire(admin.port);
    wire.send(...head(control.rootKey, whole.length + 100), whole);
    await vi.waitUntil(() => admin.connections() === 1);
    wire.socket.end();
    expect((await wire.all()).split("\r\n")[0]).toBe("HTTP/1.1 400 Bad Request");
    expect(JSON.parse(await bodyOf(wire))).toMatchObject({ type: "https://pilotlight.dev/problems/request/malformed" });
    expect(printed).not.toHaveBeenCalled();
    expect((await admin.ask("GET tenants/default/tasks")).json.items).toEqual([]);
    expect(admin.reported).toEqual([]);
  });

  it("whose client goes away leaves nothing, and gives its place back", async () => {
    const { control, admin } = await start();
    const wires = await Promise.all(Array.from({ length: 4 }, () => openWire(admin.port)));
    const begun = vi.spyOn(control, "tasks");
    for (const wire of wires) wire.send(...head(control.rootKey, 1000), whole.slice(0, 50));
    // Four are under way: the next one waits until one is through, however that is.
    await until("four deploys have begun", () => begun.mock.calls.length === 4);
    let through = false;
    const waiting = send(admin, whole).finally(() => (through = true));
    await until("the fifth has begun", () => begun.mock.calls.length === 5);
    await admin.ask("GET whoami");
    expect(through).toBe(false);
    wires[0]?.socket.destroy();
    expect((await waiting).status).toBe(201);
    for (const wire of wires) wire.socket.destroy();
    const all = await Promise.all(Array.from({ length: 8 }, () => send(admin, whole)));
    expect(all.map(({ status }) => status)).toEqual(all.map(() => 200));
    expect(admin.reported).toEqual([]);
  });

  it("longer than its Content-Length is not read on", async () => {
    const { control, admin } = await start();
    const wire = await openWire(admin.port);
    wire.send(...head(control.rootKey, 60), whole);
    await wire.until(/HTTP\/1\.1 422 [^]*cut short: 60 bytes came/);
    expect((await admin.ask("GET tenants/default/tasks")).json.items).toEqual([]);
  });
});

it("a body that goes silent is not waited for", async () => {
  vi.useFakeTimers();
  try {
    let given = false;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        if (!given) controller.enqueue(new Uint8Array(3));
        given = true;
        return new Promise(() => {});
      },
    });
    const c = { env: {}, req: { header: () => undefined, raw: { body } } } as unknown as Context<PlaneEnv>;
    const read = readBody(c, 10, "It").catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(30_001);
    const error = (await read) as ProblemError;
    expect(error.problem).toEqual({ code: "request/timeout", detail: "The body went silent for 30000 ms after 3 bytes." });
  } finally {
    vi.useRealTimers();
  }
});

describe("what goes wrong inside", () => {
  it("is told to the operator and not to the client", async () => {
    const { control, admin } = await start();
    const error = new TypeError("s3cr3t of /srv/state");
    control.fault = error;
    const answer = await admin.ask("GET whoami");
    expectProblem(answer, 500, "platform/internal", undefined);
    expect(answer.text).not.toContain("s3cr3t");
    expect(admin.reported).toEqual([error]);
  });

  it("of an answer that is not as described names the field and not the value", async () => {
    const { control, admin } = await start();
    control.whoami = () => ({ key: undefined, version: 7 as unknown as string, dataUrl: "s3cr3t" });
    expectProblem(await admin.ask("GET whoami"), 500, "platform/internal", undefined);
    expect((admin.reported[0] as Error).message).toBe(
      "an answer of the admin API does not fit its schema: version: Invalid input: expected string, received number",
    );
  });

  it("is a problem with its Retry-After where Control says one", async () => {
    const { control, admin } = await start();
    control.fault = new ProblemError("quota/requests", "Too many.", { retryAfter: 1.2 });
    const answer = await admin.ask("GET whoami");
    expectProblem(answer, 429, "quota/requests", "Too many.");
    expect(answer.headers.get("retry-after")).toBe("2");
    expect(admin.reported).toEqual([]);
    control.fault = new ProblemError("platform/storage", "The disk is full.", { cause: new Error("ENOSPC") });
    expectProblem(await admin.ask("GET whoami"), 507, "platform/storage", "The disk is full.");
    expect(admin.reported).toHaveLength(1);
  });
});

it("every answer may neither be kept, nor sniffed, nor framed", async () => {
  const { admin } = await start();
  const lines = ["GET whoami", "GET nope", "PUT whoami", "GET /livez", "GET /readyz", "GET /metrics", "GET /docs", "GET /openapi.json"];
  for (const line of [...lines, "GET /schemas/pilotlight.json", "GET tenants/default/logs", "POST tenants", "GET tenants/nope"]) {
    const { headers } = await admin.ask(line);
    const said = ["cache-control", "x-content-type-options", "x-frame-options", "referrer-policy"].map((name) => headers.get(name));
    expect([line, ...said]).toEqual([line, "no-store", "nosniff", "DENY", "no-referrer"]);
    expect([line, headers.get("pilotlight-run")]).toEqual([line, expect.stringMatching(/^[0-9a-f]{32}$/)]);
  }
});

describe("metrics", () => {
  it("need no key where only this machine asks, and may be asked with parameters", async () => {
    const { admin } = await start();
    const answer = await admin.ask("GET /metrics?module=a", { key: undefined });
    expect([answer.status, answer.text]).toEqual([200, "up 1\n"]);
    expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  });

  it("elsewhere take a key of the node with read, because they name everyone's tasks", async () => {
    const { admin } = await start({ metricsNeedKey: true });
    expect((await admin.ask("GET /metrics", { key: undefined })).status).toBe(401);
    expect((await admin.ask("GET /metrics")).text).toBe("up 1\n");
    const keyOf = async (path: string, scope: string): Promise<string> =>
      (await admin.ask(`POST ${path}`, { json: { scopes: [scope] } })).json.text as string;
    const detail = "Metrics are the node's: this takes a key of the node with the scope read.";
    for (const key of [await keyOf("tenants/default/keys", "admin"), await keyOf("keys", "invoke")])
      expectProblem(await admin.ask("GET /metrics", { key }), 403, "request/forbidden", detail);
    expect((await admin.ask("GET /metrics", { key: await keyOf("keys", "read") })).status).toBe(200);
  });
});

it("a plane without a control plane is health and metrics alone", async () => {
  const admin = await startAdmin(undefined);
  expect((await admin.ask("GET /livez")).text).toBe("live\n");
  expect((await admin.ask("GET /readyz")).json).toEqual({ ready: true, reasons: [] });
  expect((await admin.ask("GET /metrics")).text).toBe("up 1\n");
  for (const path of ["/v1/whoami", "/openapi.json", "/docs"]) expect((await admin.ask(`GET ${path}`)).status).toBe(404);
});

async function rootOf(admin: Client): Promise<string> {
  return (await admin.ask("POST keys", { json: { scopes: ["admin"] } })).json.text as string;
}

/** The body of the first answer, when it is whole. */
async function bodyOf(wire: { text: string }): Promise<string> {
  const answer: RawAnswer = await until("an answer is whole", () => parseAnswer(wire.text));
  return answer.body;
}
