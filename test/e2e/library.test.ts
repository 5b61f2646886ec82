/** Pilotlight as a library: `createRuntime`, and what it gives. */
import { readFileSync } from "node:fs";
import { Hono } from "hono";
import { describe, expect, it } from "vitest";
import { CallError, UserError, createRuntime, type Runtime, type RuntimeOptions } from "../../src/index.js";
import { atEnd } from "../support/cleanup.js";
import { tempDir } from "../support/files.js";
import { guestPath, guestTask } from "../support/guests.js";
import { LogCapture } from "../support/log.js";
import { nothingAhead, runOf } from "../support/runtime.js";
import { until } from "../support/until.js";

async function start(options: RuntimeOptions = {}): Promise<Runtime> {
  const runtime = await createRuntime({ instances: 16, capacity: nothingAhead(16), ...options });
  atEnd(() => runtime.close(1000));
  return runtime;
}

const request = (path: string, init?: RequestInit): Request => new Request(`http://host.test${path}`, init);

describe("deploy", () => {
  it("says what the task is: name, version, routes, and what its component imports and exports", async () => {
    const runtime = await start();
    const task = await runtime.deploy({ manifest: { name: "hello" }, component: readFileSync(guestPath("hello-p3")) });
    expect(task).toMatchObject({ name: "hello", routes: ["/hello/*"], component: { cached: false, runs: { http: "0.3" } } });
    expect(task.version).toBe("v1");
    expect(task.component.exports.map(({ name }) => name)).toContain("wasi:http/handler@0.3.0");
    expect(await (await runtime.fetch(request("/hello"))).text()).toBe("Hello, WASI!\n");
  });

  it("puts a new version in place: new requests are its, those that run finish where they began", async () => {
    const runtime = await start();
    await runtime.deploy(guestTask("behave-p2", { name: "task" }));
    const old = await runtime.fetch(request("/slow?pieces=3&ms=50"));
    await runtime.deploy(guestTask("hello-p2", { name: "task" }));
    expect(await (await runtime.fetch(request("/slow?pieces=3&ms=50"))).text()).toBe("Hello, WASI!\n");
    expect(await old.text()).toBe("data: 0\n\ndata: 1\n\ndata: 2\n\n");
    await until("the old program is gone", () => runtime.stats().engine.programs === 1 && runtime.stats().engine.instances === 0);
    expect(runtime.tasks().map(({ name, component }) => [name, component?.runs.http])).toEqual([["task", "0.2"]]);
  });

  it.each([
    [
      "a manifest that is none",
      { manifest: { name: "Bad", limits: { memory: "lots" } }, component: readFileSync(guestPath("hello-p2")) },
      /^the manifest of Bad is not a valid manifest:\n {2}name: .*\n {2}limits\.memory: /,
    ],
    ["bytes that are none", { manifest: { name: "x" }, component: Buffer.from("text") }, /^the component: this is not WebAssembly/],
    [
      "imports that nobody provides",
      guestTask("unmet", {}),
      /^unmet\.wasm: nothing provides these imports: demo:storage\/blobs@1\.2\.0 \(.*\); demo:mail\/outbox \(send, pending\)$/,
    ],
    [
      "a folder that is not there",
      guestTask("hello-p2", { name: "x", files: [{ host: "/nowhere", guest: "/" }] }),
      "the manifest of x is not a valid manifest:\n  files[0].host: there is no folder /nowhere",
    ],
    [
      "a route that another task has",
      guestTask("hello-p3", { name: "second", routes: ["/x", "/first"] }),
      "The task second has the route /first, which matches the same paths as /first of the task first; change one of them.",
    ],
  ])("refuses %s, and changes nothing", async (_title, deployment, message) => {
    const runtime = await start();
    await runtime.deploy(guestTask("hello-p2", { name: "first", routes: ["/first"] }));
    const refused = await runtime.deploy(deployment).catch((error: unknown) => error as UserError);
    expect(refused).toBeInstanceOf(UserError);
    expect((refused as UserError).message).toMatch(message);
    expect(runtime.tasks().map(({ name }) => name)).toEqual(["first"]);
    expect(runtime.stats().engine.programs).toBe(1);
    expect(await (await runtime.fetch(request("/first"))).text()).toBe("Hello, WASI!\n");
    expect((await runtime.fetch(request("/x"))).status).toBe(404);
  });

  it("finds compiled components of an earlier process in the data folder", async () => {
    const data = tempDir();
    const deploy = async (): Promise<boolean> => {
      const runtime = await start({ data });
      const { component } = await runtime.deploy(guestTask("hello-p2"));
      await runtime.close();
      return component.cached;
    };
    expect([await deploy(), await deploy()]).toEqual([false, true]);
  });

  it("remove takes a task away, and says whether there was one", async () => {
    const runtime = await start();
    await runtime.deploy(guestTask("hello-p2"));
    expect([await runtime.remove("hello-p2"), await runtime.remove("hello-p2")]).toEqual([true, false]);
    expect((await runtime.fetch(request("/"))).status).toBe(404);
    expect(runtime.stats().engine.programs).toBe(0);
  });
});

describe("call", () => {
  const calc = async (): Promise<(func: string, args?: readonly unknown[] | Record<string, unknown>) => Promise<unknown>> => {
    const runtime = await start();
    await runtime.deploy(guestTask("calc"));
    return (func, args) => runtime.call("calc", `demo:math/calc#${func}`, args);
  };

  it("takes and gives plain values of every kind", async () => {
    const call = await calc();
    expect(await call("add", [1, 2])).toBe(3);
    expect(await call("add", { b: 2, a: 40 })).toBe(42);
    expect(await call("stats", [[1, 2, 6]])).toEqual({ count: 3, mean: 3, min: 1, max: 6 });
    expect(await call("parse", ["k=-5;a,b!n"])).toEqual({ tag: "ok", val: { key: "k", value: -5, tags: ["a", "b"], note: "n" } });
    expect(await call("parse", ["nothing"])).toEqual({ tag: "err", val: "no = in the text" });
    expect(await call("area", [{ tag: "rectangle", val: [2, 3] }])).toBe(6);
    expect(await call("area", [{ tag: "nothing" }])).toBeNull();
    expect(
      await call("describe", [
        { tag: "circle", val: 1 },
        { unit: "light-year", style: ["bold", "under-line"], precision: 3 },
      ]),
    ).toBe("circle in light-year bold under-line to 3");
    expect(await call("toggle", [["italic"]])).toEqual(["bold", "under-line"]);
    expect(await call("next", ["foot"])).toBe("light-year");
    expect(await call("divide", [2n ** 64n - 1n, 2])).toEqual({ tag: "ok", val: ["9223372036854775807", 1] });
    expect(await call("reverse", [new Uint8Array([1, 2, 3])])).toBe("AwIB");
    expect(await call("touch")).toBeNull();
    expect(await call("check", [-1])).toEqual({ tag: "err", val: "foot" });
  });

  it.each([
    ["add", [1], "Missing argument b; the parameters are a, b."],
    ["add", ["x", 2], '$[0]: expected a whole number (u32), found "x".'],
    ["add", [-1, 2], "$[0]: -1 is out of range for u32, which goes from 0 to 4294967295."],
    ["nothing", [], "There is no function nothing in demo:math/calc."],
  ])("refuses arguments and functions that do not fit, and says what does (%s %j)", async (func, args, message) => {
    const call = await calc();
    const error = (await call(func, args).catch((reason: unknown) => reason)) as CallError;
    expect(error).toBeInstanceOf(CallError);
    expect([error.message, error.outcome.kind, error.problem.code]).toEqual([message, "refused", "request/invalid-argument"]);
  });

  it("that traps rejects with how it ended and the id of its run, and the next is answered", async () => {
    const call = await calc();
    const error = (await call("crash").catch((reason: unknown) => reason)) as CallError;
    expect(error).toBeInstanceOf(CallError);
    expect(error).toMatchObject({
      outcome: { kind: "trap" },
      problem: { code: "guest/trap" },
      run: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
    expect(error.message).toContain("unreachable");
    expect(await call("add", [1, 2])).toBe(3);
  });

  it("of a task that is not there names those that are", async () => {
    const runtime = await start();
    await expect(runtime.call("x", "f")).rejects.toThrow('there is no task "x"; none is deployed');
    await runtime.deploy(guestTask("calc"));
    await expect(runtime.call("x", "f")).rejects.toThrow('there is no task "x"; deployed are calc');
  });

  it("runs a command to its end and gives its exit status", async () => {
    const runtime = await start();
    await runtime.deploy({ ...guestTask("command-p3", { name: "tool" }), own: { arguments: ["tool", "exit", "7"] } });
    expect(await runtime.run("tool")).toBe(7);
  });
});

describe("imports that TypeScript provides", () => {
  const deployed = async (get: (key: string) => unknown): Promise<(key: string) => Promise<unknown>> => {
    const runtime = await start({ imports: { "demo:db/query": { get } } });
    await runtime.deploy(guestTask("ask", { routes: [] }));
    return (key) => runtime.call("ask", "demo:app/run#go", [key]);
  };

  it("are called with the guest's arguments, and may take their time", async () => {
    const call = await deployed(async (key) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return key === "sky" ? "blue" : null;
    });
    expect(await Promise.all([call("sky"), call("sea")])).toEqual(["sky is blue", "sea is unknown"]);
  });

  it.each([
    [
      "that throws",
      () => {
        throw new Error("the database is down");
      },
      "demo:db/query#get: the database is down",
    ],
    ["whose value does not fit", () => 5, "demo:db/query#get: result: expected a string, found 5"],
  ])("one %s ends the call that asked, with the reason", async (_title, get, message) => {
    const call = await deployed(get);
    await expect(call("x")).rejects.toMatchObject({ name: "CallError", message, outcome: { kind: "trap" } });
  });

  it("that the component needs and nobody gives are named when it is deployed", async () => {
    const runtime = await start();
    await expect(runtime.deploy(guestTask("ask"))).rejects.toThrow("ask.wasm: nothing provides these imports: demo:db/query (get)");
  });
});

describe("fetch", () => {
  it("mounts in a Hono app beside its own routes and middleware", async () => {
    const runtime = await start();
    await runtime.deploy(guestTask("echo-p2", { routes: ["/guest/*"] }));
    const app = new Hono();
    app.use(async (c, next) => {
      await next();
      c.res.headers.set("x-app", "1");
    });
    app.get("/own", (c) => c.text("own"));
    app.all("/guest/*", (c) => runtime.fetch(c.req.raw));
    expect(await (await app.request("/own")).text()).toBe("own");
    const response = await app.request("/guest/a?b", { method: "POST", body: "echoed", headers: { "content-type": "x/y" } });
    expect([await response.text(), response.headers.get("content-type"), response.headers.get("x-app")]).toEqual(["echoed", "x/y", "1"]);
    runOf(response);
    expect((await app.request("/elsewhere")).status).toBe(404);
  });

  it("answers paths of ours, and never explains: who calls is not known", async () => {
    const runtime = await start();
    await runtime.deploy(guestTask("hello-p2"));
    expect(await (await runtime.fetch(request("/-/livez"))).text()).toBe("live\n");
    const response = await runtime.fetch(request("/", { headers: { "Pilotlight-Explain": "1" } }));
    expect(response.headers.get("server-timing")).toBeNull();
    expect(runtime.runRecord(runOf(response))).toMatchObject({ task: "hello-p2" });
  });
});

describe("close", () => {
  it("lets runs finish, takes no more, and is the same end for all who ask", async () => {
    const runtime = await start();
    await runtime.deploy(guestTask("behave-p3"));
    const slow = await runtime.fetch(request("/slow?pieces=3&ms=50"));
    const closing = runtime.close();
    expect(runtime[Symbol.asyncDispose]()).toBe(closing);
    const refused = await runtime.fetch(request("/"));
    expect([refused.status, refused.headers.get("retry-after"), ((await refused.json()) as { type: string }).type]).toEqual([
      503,
      "1",
      "https://pilotlight.dev/problems/platform/draining",
    ]);
    expect(await (await runtime.fetch(request("/-/readyz"))).json()).toEqual({ ready: false });
    await expect(runtime.call("behave-p3", "f")).rejects.toThrow("the runtime is closed: it takes no more tasks and runs");
    await expect(runtime.deploy(guestTask("hello-p2", { routes: ["/h"] }))).rejects.toThrow("the runtime is closed");
    expect(await slow.text()).toBe("data: 0\n\ndata: 1\n\ndata: 2\n\n");
    await closing;
    expect(runtime.stats()).toMatchObject({ liveRuns: 0, engine: { instances: 0, runs: 0, guestBytes: 0 } });
  });

  it("ends what is left when its time is up, as cancelled", async () => {
    const log = new LogCapture();
    const runtime = await start({ log: "info", logTo: log });
    await runtime.deploy(guestTask("behave-p2"));
    const hanging = await runtime.fetch(request("/after-head-hang"));
    await runtime.close(50);
    await expect(hanging.text()).rejects.toThrow("broke off");
    expect(await log.run(runOf(hanging))).toMatchObject({ outcome: "cancelled" });
  });

  it("comes by itself at the end of an `await using`", async () => {
    let kept: Runtime | undefined;
    {
      await using runtime = await createRuntime({ instances: 2 });
      await runtime.deploy(guestTask("hello-p2"));
      expect(await (await runtime.fetch(request("/"))).text()).toBe("Hello, WASI!\n");
      kept = runtime;
    }
    expect((await kept.fetch(request("/"))).status).toBe(503);
  });
});

it("a data folder that cannot be written is named", async () => {
  const folder = tempDir({ taken: "a file" });
  await expect(createRuntime({ data: `${folder}/taken` })).rejects.toThrow(`the cache folder ${folder}/taken/compiled cannot be written`);
});
