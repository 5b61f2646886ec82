/** Sidecars through a whole runtime: guards that decide on requests, observers that are told, and what happens when they fail. */
import { readFileSync } from "node:fs";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { Random } from "../../bench/soak/support/random.js";
import { buildGuest } from "../../src/guests/build.js";
import type { ManifestInput } from "../../src/tasks/manifest.js";
import { tempDir } from "../support/files.js";
import { guestPath } from "../support/guests.js";
import { problemOf, startRuntime, type StartedRuntime } from "../support/runtime.js";
import { until } from "../support/until.js";

const CALC = "demo:math/calc";
const EXAMPLE = fileURLToPath(new URL("../../examples/guard/", import.meta.url));

/** Does as the header `x-guard` says; without it, lets pass whom `x-user` names. */
const GUARD = `
import { log } from "wasi:logging/logging@0.1.0-draft";
const value = (head, name) => {
  const field = head.headers.find(([key]) => key.toLowerCase() === name);
  return field && String.fromCharCode(...field[1]);
};
export const guard = {
  check(call, head) {
    log("info", "guard", [call.task, call.tenant, head.method, head.pathWithQuery, value(head, "pilotlight-key")].join(" "));
    switch (value(head, "x-guard")) {
      case "trap": throw new Error("broken");
      case "loop": for (;;);
      case "refuse":
        throw { status: 401, headers: [["WWW-Authenticate", bytes("Basic")], ["Content-Length", bytes("5")], ["X Y", bytes("no")]], reason: "who are you" };
      case "strange": throw { status: 200, headers: [], reason: "" };
      default: {
        const subject = value(head, "x-user");
        return subject && { subject, claims: [["by", "x-user"]] };
      }
    }
  },
};
const bytes = (text) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
export const respond = {
  head(call, status, headers) {
    if (call.task === "doomed") throw new Error("broken");
    return [status === 418 ? 200 : status, [...headers, ["X-Frame-Options", bytes("DENY")], ["X-Bad", bytes("a\\r\\nb")], ["Pilotlight-Run", bytes("lie")]]];
  },
};
export const observer = {
  ended(call, ending, status, nanoseconds) {
    log("info", "observer", [call.task, ending, status ?? "-", nanoseconds > 0].join(" "));
  },
};
`;
const WORLD = `package test:guard;
world guarding {
  import wasi:logging/logging@0.1.0-draft;
  export pilotlight:sidecar/guard@0.1.0;
  export pilotlight:sidecar/respond@0.1.0;
  export pilotlight:sidecar/observer@0.1.0;
}`;

/** Says who is calling, as far as it is told; and what another says of it. */
const TOLD = `
import { caller } from "pilotlight:task/identity@0.1.0";
const told = () => { const it = caller(); return it && it.subject + " " + JSON.stringify(it.claims); };
`;
const INNER = `${TOLD} export const next = { who: told };`;
const OUTER = `${TOLD} import { who as theirs } from "test:who/next@1.0.0"; export const who = { who: told, through: () => theirs() };`;
const WHO = `package test:who@1.0.0;
interface next { who: func() -> option<string>; }
interface who { who: func() -> option<string>; through: func() -> option<string>; }
world inner { import pilotlight:task/identity@0.1.0; export next; }
world outer { import pilotlight:task/identity@0.1.0; import next; export who; }`;

let guard: Buffer;
let inner: Buffer;
let outer: Buffer;

async function built(world: string, wit: string, source: string): Promise<Buffer> {
  const folder = tempDir();
  const manifest = { name: world, component: "built.wasm", build: { source: "index.js", wit: "world.wit", world } };
  await writeFile(join(folder, "pilotlight.json"), JSON.stringify(manifest));
  await writeFile(join(folder, "world.wit"), wit);
  await writeFile(join(folder, "index.js"), source);
  await buildGuest(folder);
  return readFile(join(folder, "built.wasm"));
}

beforeAll(async () => {
  guard = await built("guarding", WORLD, GUARD);
  inner = await built("inner", WHO, INNER);
  outer = await built("outer", WHO, OUTER);
}, 60_000);

const task = (name: string, guest: string, more: Partial<ManifestInput> = {}) => ({
  manifest: { name, ...more },
  component: readFileSync(guestPath(guest)),
});

/** A node with the guard, and with these tasks beside it. */
async function guarded(...tasks: ReturnType<typeof task>[]): Promise<StartedRuntime> {
  return startRuntime([{ manifest: { name: "guard", routes: [], limits: { cpu: "100ms" } }, component: guard }, ...tasks]);
}

const said = (node: StartedRuntime, context: string): string[] =>
  node.log.lines.filter((line) => line["context"] === context).map((line) => String(line["text"]));

const ran = (node: StartedRuntime, name: string): number =>
  node.log.lines.filter(({ msg, task: of, capacity }) => msg === "run" && of === name && capacity !== undefined).length;

describe("a guard", () => {
  it("lets a request pass, and the log knows whom it found", async () => {
    const node = await guarded(task("hello", "hello-p3", { sidecars: [{ use: "guard" }] }));
    const response = await node.get("/hello?a=1", { headers: { "x-user": "ada", "pilotlight-explain": "1" } });
    expect(response.status).toBe(200);
    expect(response.headers.get("server-timing")).toMatch(/sidecar-guard;dur=[\d.]+/);
    const run = response.headers.get("pilotlight-run");
    await until("the run is logged", () => node.log.lines.some((line) => line["run"] === run && line.msg === "run"));
    expect(node.log.lines.find((line) => line["run"] === run && line.msg === "run")).toMatchObject({ task: "hello", subject: "ada" });
    expect(said(node, "guard")).toEqual(["hello default GET /hello?a=1 "]);
    await node.idle();
  });

  it("answers instead of the task, which does not run: with its status, its headers and its reason", async () => {
    const node = await guarded(task("hello", "hello-p3", { sidecars: [{ use: "guard" }] }));
    const response = await node.get("/hello", { headers: { "x-guard": "refuse" } });
    expect(response.headers.get("www-authenticate")).toBe("Basic");
    expect(await problemOf(response)).toEqual({ status: 401, code: "sidecar/refused", detail: "who are you" });
    expect(await problemOf(await node.get("/hello", { headers: { "x-guard": "strange" } }))).toMatchObject({ status: 403 });
    expect(ran(node, "hello")).toBe(0);
    await node.idle();
  });

  it("that fails closes the task, unless its manifest says open; which it was, and why, only the log says", async () => {
    const node = await guarded(
      task("shut", "hello-p3", { sidecars: [{ use: "guard" }] }),
      task("open", "hello-p3", { sidecars: [{ use: "guard", onFailure: "open" }] }),
    );
    for (const how of ["trap", "loop"]) {
      const response = await node.get("/shut", { headers: { "x-guard": how } });
      expect(response.headers.get("retry-after")).toBe("1");
      expect(await problemOf(response)).toEqual({ status: 503, code: "sidecar/failed", detail: undefined });
      expect((await node.get("/open", { headers: { "x-guard": how } })).status).toBe(200);
    }
    const causes = node.log.lines.filter(({ msg, task: of }) => msg === "run" && of === "shut").map((line) => line["cause"]);
    expect(causes).toEqual([
      expect.stringMatching(/^the sidecar guard failed: /),
      expect.stringMatching(/^the sidecar guard failed: cpu: /),
    ]);
    expect(node.log.lines.filter(({ msg }) => String(msg).startsWith("the sidecar guard failed: "))).toHaveLength(2);
    await node.idle();
  });

  it("stands before typed calls too, and before those by capability; not before calls of guests", async () => {
    const node = await guarded(
      task("calc", "calc", { provides: [CALC], sidecars: [{ use: "guard" }] }),
      task("relay", "relay", { uses: { [CALC]: { task: "calc" } } }),
    );
    const post = async (path: string, headers = {}): Promise<Response> =>
      node.get(`/-/${path}`, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: "[1, 2]" });
    expect(await (await post(`tasks/calc/${CALC}/add`)).json()).toBe(3);
    expect(await (await post(`call/${CALC}/add`)).json()).toBe(3);
    expect(said(node, "guard")).toEqual([`calc default POST /-/tasks/calc/${CALC}/add `, `calc default POST /-/call/${CALC}/add `]);
    const refused = await post(`call/${CALC}/add`, { "x-guard": "refuse" });
    expect(refused.headers.get("www-authenticate")).toBe("Basic");
    expect(await problemOf(refused)).toMatchObject({ status: 401, code: "sidecar/refused" });
    expect(await (await post("tasks/relay/demo:app/relay/add", { "x-guard": "refuse" })).json()).toBe(3);
    await node.idle();
  });

  it("is called only for requests with its header, where the manifest says so", async () => {
    const node = await guarded(task("hello", "hello-p3", { sidecars: [{ use: "guard", when: { header: "X-Guard" } }] }));
    expect((await node.get("/hello")).status).toBe(200);
    expect(said(node, "guard")).toEqual([]);
    expect((await node.get("/hello", { headers: { "x-guard": "refuse" } })).status).toBe(401);
    await node.idle();
  });

  it("does not see a key of ours, and does not outlive its client", async () => {
    const node = await guarded(task("hello", "hello-p3", { sidecars: [{ use: "guard" }] }));
    await node.get("/hello", { headers: { "pilotlight-key": "pl_x" } });
    const client = new AbortController();
    const asked = node.get("/hello", { headers: { "x-guard": "loop" }, signal: client.signal });
    await until("the guard runs", () => node.runtime.stats().engine.runs === 1);
    client.abort();
    await expect(asked).rejects.toThrow();
    await node.idle();
    expect(said(node, "guard")[0]).toBe("hello default GET /hello ");
    expect(ran(node, "hello")).toBe(1);
  });
});

describe("what responds", () => {
  it("changes the head of every answer: of the task's, of a refusal's and of a problem's; the body stays", async () => {
    const node = await guarded(
      task("hello", "hello-p3", { sidecars: [{ use: "guard" }] }),
      task("behave", "behave-p3", { routes: ["/trap", "/big", "/echo", "/status"], sidecars: [{ use: "guard" }] }),
    );
    const plain = await startRuntime([task("hello", "hello-p3")]);
    const own = await (await plain.get("/hello")).text();
    for (const [path, init, status] of [
      ["/hello", {}, 200],
      ["/hello", { headers: { "x-guard": "refuse" } }, 401],
      ["/hello", { headers: { "x-guard": "trap" } }, 503],
      ["/trap", {}, 500],
    ] as const) {
      const response = await node.get(path, init);
      expect([path, response.status, response.headers.get("x-frame-options")]).toEqual([path, status, "DENY"]);
      expect(response.headers.get("x-bad")).toBeNull();
      expect(response.headers.get("pilotlight-run")).toMatch(/^[0-9a-f]{32}$/);
      const body = await response.text();
      if (status === 200) expect(body).toBe(own);
      else expect(JSON.parse(body)).toMatchObject({ status });
    }
    const big = await node.get("/big?bytes=1000000");
    expect([big.headers.get("x-frame-options"), (await big.arrayBuffer()).byteLength]).toEqual(["DENY", 1_000_000]);
    await node.idle();
  });
});

describe("what responds and fails", () => {
  it.each([
    ["closed", 503],
    ["open", 200],
  ] as const)("%s answers %d", async (onFailure, status) => {
    const node = await guarded(task("doomed", "hello-p3", { sidecars: [{ use: "guard", onFailure }] }));
    const response = await node.get("/doomed");
    expect(response.status).toBe(status);
    if (status === 503) expect(await problemOf(response)).toMatchObject({ code: "sidecar/failed" });
    else await response.text();
    await node.idle();
  });
});

describe("who is calling", () => {
  it("is told to the task, and to what it calls; nobody is, where no guard has said so", async () => {
    const node = await guarded();
    const NEXT = "test:who/next@1.0.0";
    await node.runtime.deploy({ manifest: { name: "inner" }, component: inner });
    await node.runtime.deploy({
      manifest: { name: "outer", sidecars: [{ use: "guard" }], uses: { [NEXT]: { task: "inner" } } },
      component: outer,
    });
    const ask = async (path: string, headers = {}): Promise<unknown> =>
      (
        await node.get(`/-/tasks/${path}`, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: "[]" })
      ).json();
    expect(await ask("outer/test:who/who@1.0.0/who", { "x-user": "ada" })).toBe('ada [["by","x-user"]]');
    expect(await ask("outer/test:who/who@1.0.0/through", { "x-user": "ada" })).toBe('ada [["by","x-user"]]');
    expect(await ask("outer/test:who/who@1.0.0/who")).toBeNull();
    expect(await ask(`inner/${NEXT}/who`, { "x-user": "ada" })).toBeNull();
    await node.idle();
  });
});

describe("an observer", () => {
  it("is told of every ending, of what was refused and of what crashed", async () => {
    const node = await guarded(
      task("hello", "hello-p3", { sidecars: [{ use: "guard" }] }),
      task("behave", "behave-p3", { routes: ["/trap"], sidecars: [{ use: "guard" }] }),
    );
    await node.get("/hello");
    await node.get("/hello", { headers: { "x-guard": "refuse" } });
    await node.get("/trap");
    await until("all are told", () => said(node, "observer").length === 3);
    expect(said(node, "observer").sort()).toEqual(["behave trap - true", "hello ok 200 true", "hello refused - true"]);
    await node.idle();
  });
});

it("of many requests by chance each is decided on alone, runs only if it may, and is told of once", { timeout: 60_000 }, async () => {
  const node = await guarded(task("hello", "hello-p3", { sidecars: [{ use: "guard" }] }));
  const random = new Random(20261126, 1);
  const counts = { total: 0, passed: 0, left: 0 };
  const one = async (): Promise<void> => {
    counts.total++;
    const how = random.pick(["", "", "", "refuse", "strange", "trap", "leave"]);
    const client = new AbortController();
    const asked = node.get("/hello", { headers: how === "" || how === "leave" ? {} : { "x-guard": how }, signal: client.signal });
    if (how === "leave") {
      counts.left++;
      setTimeout(() => client.abort(), random.below(4));
      await asked.then((response) => response.arrayBuffer()).catch(() => {});
      return;
    }
    const response = await asked;
    await response.arrayBuffer();
    expect([how, response.status]).toEqual([how, { "": 200, refuse: 401, strange: 403, trap: 503 }[how]]);
    if (how === "") counts.passed++;
  };
  for (let round = 0; round < 15; round++) await Promise.all(Array.from({ length: 12 }, one));
  await node.idle();
  const endings = (): number => node.log.lines.filter((line) => line["context"] === "observer").length;
  // Who leaves before the node knows of the request was never there.
  await until("all are told", () => endings() >= counts.total - counts.left);
  await node.idle();
  const runs = node.log.lines.filter(({ msg, task: of }) => msg === "run" && of === "hello");
  expect(endings()).toBe(runs.length);
  expect(runs.filter(({ capacity }) => capacity !== undefined).length).toBeGreaterThanOrEqual(counts.passed);
  expect(runs.filter(({ capacity }) => capacity !== undefined).length).toBeLessThanOrEqual(counts.passed + counts.left);
});

describe("the example", () => {
  it("greets whom its guard knows, and asks others who they are", async () => {
    const folder = tempDir();
    await cp(EXAMPLE, folder, { recursive: true });
    await buildGuest(join(folder, "auth"));
    const manifest = (name: string): ManifestInput =>
      JSON.parse(readFileSync(join(EXAMPLE, name, "pilotlight.json"), "utf8")) as ManifestInput;
    const node = await startRuntime([
      { manifest: manifest("auth"), component: readFileSync(join(folder, "auth", "auth.wasm")) },
      { manifest: manifest("greeter"), component: readFileSync(join(EXAMPLE, "..", "rust-hello", "rust-hello.wasm")) },
    ]);
    const stranger = await node.get("/rust-hello");
    expect(stranger.headers.get("www-authenticate")).toBe('Basic realm="example"');
    expect(await problemOf(stranger)).toEqual({ status: 401, code: "sidecar/refused", detail: "Show a user and a password." });
    const basic = (text: string): RequestInit => ({ headers: { authorization: `Basic ${btoa(text)}` } });
    for (const wrong of ["ada:hopper", "ada", ":", "nobody:lovelace", "constructor:x"])
      expect((await node.get("/rust-hello", basic(wrong))).status).toBe(401);
    const known = await node.get("/rust-hello", basic("ada:lovelace"));
    expect([known.status, await known.text()]).toEqual([200, expect.stringMatching(/\S/)]);
    await until("the log says who", () => node.log.lines.some((line) => line["task"] === "greeter" && line["subject"] === "ada"));
  });
});

describe("a deploy", () => {
  it("is refused where a sidecar is not there, or is none", async () => {
    const node = await guarded(task("calc", "calc"));
    await expect(node.runtime.deploy(task("a", "hello-p3", { sidecars: [{ use: "nobody" }] }))).rejects.toThrow(
      "sidecars.0.use: there is no task nobody, and none of the sidecars that Pilotlight ships has that name; deploy it first",
    );
    await expect(node.runtime.deploy(task("a", "hello-p3", { sidecars: [{ use: "calc" }] }))).rejects.toThrow(
      /sidecars\.0\.use: the task calc is no sidecar of this one: it exports none of pilotlight:sidecar\/guard@0\.1\.0, .*, but demo:math\/calc$/m,
    );
  });

  it("of a task without its sidecar goes first: a sidecar that is used is not deleted", async () => {
    const node = await guarded(task("hello", "hello-p3", { sidecars: [{ use: "guard" }] }));
    await expect(node.runtime.remove("guard")).rejects.toThrow('The task guard is named in "uses" or "sidecars" by hello');
    await node.runtime.deploy(task("hello", "hello-p3"));
    expect(await node.runtime.remove("guard")).toBe(true);
  });
});
