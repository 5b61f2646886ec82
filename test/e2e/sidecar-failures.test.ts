/** What stands beside a run and fails, changes, hides or is replaced: what the client is told, and that nobody else is hurt. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { ManifestInput } from "../../src/tasks/manifest.js";
import { guestPath } from "../support/guests.js";
import { problemOf, runOf, startRuntime, type StartedRuntime } from "../support/runtime.js";
import { until } from "../support/until.js";

type Sidecar = NonNullable<ManifestInput["sidecars"]>[number];

const task = (name: string, guest: string, sidecars: readonly Sidecar[] = [], more: Partial<ManifestInput> = {}) => ({
  manifest: { name, sidecars: [...sidecars], ...more },
  component: readFileSync(guestPath(guest)),
});
const bystander = (more: Partial<ManifestInput> = {}) =>
  task("bystander", "bystander", [], { routes: [], limits: { memory: "16MiB", timeout: "500ms", cpu: "100ms" }, ...more });

const failures = (node: StartedRuntime): string[] =>
  node.log.lines.filter(({ msg }) => String(msg).startsWith("the sidecar bystander failed: ")).map(({ msg }) => String(msg));

const REASONS = { trap: /unreachable/, loop: /^.*cpu: /, grow: /memory: |unreachable/, hang: /head-time: / } as const;

describe.each(["request", "task"] as const)("a sidecar of the scope %s that fails", (scope) => {
  describe.each(Object.keys(REASONS) as (keyof typeof REASONS)[])("by %s", (how) => {
    it.each(["closed", "open"] as const)("in its guard, %s", async (onFailure) => {
      const node = await startRuntime([
        bystander({ sidecar: { idle: "1s" } }),
        task("hello", "hello-p3", [{ use: "bystander", scope, onFailure }]),
        task("other", "hello-p3"),
      ]);
      const asked = node.get("/hello", { headers: { "x-check": how } });
      // Others are served meanwhile.
      expect((await node.get("/other")).status).toBe(200);
      const answer = await asked;
      if (onFailure === "closed") {
        expect(await problemOf(answer)).toEqual({ status: 503, code: "sidecar/failed", detail: undefined });
        const cause = (await node.log.first({ run: runOf(answer), msg: "run" }))["cause"];
        expect(cause).toMatch(/^the sidecar bystander failed: /);
        expect(cause).toMatch(REASONS[how]);
      } else {
        expect([answer.status, await answer.text()]).toEqual([200, expect.stringContaining("Hello")]);
        expect(failures(node)[0]).toMatch(REASONS[how]);
      }
      // It is started anew.
      expect((await node.get("/hello")).status).toBe(200);
    });
  });

  it.each([
    ["request", "closed", 503],
    ["request", "open", 200],
    ["head", "closed", 503],
    ["head", "open", 200],
    ["lines", "open", 200],
    ["ended", "closed", 200],
    ["stop", "closed", 200],
  ] as const)("in %s, %s, answers %d", async (func, onFailure, status) => {
    const node = await startRuntime([
      bystander({ sidecar: { idle: "100ms" } }),
      task("main", "logger-p3", [{ use: "bystander", scope, onFailure, config: { [func]: "trap" } }]),
    ]);
    const answer = await node.get("/main");
    expect(answer.status).toBe(status);
    if (status === 503) expect(await problemOf(answer)).toMatchObject({ code: "sidecar/failed" });
    else await answer.text();
    const traps = (): unknown[] =>
      node.log.lines.filter(({ msg, task: of, outcome }) => msg === "run" && of === "bystander" && outcome === "trap");
    await until("its trap is told of", () => traps().length > 0);
    await node.idle();
  });
});

describe("a sidecar that fails again and again", () => {
  it("is started less and less often; who needs it is told at once, and it comes back", async () => {
    const node = await startRuntime([
      bystander({ sidecar: { scope: "task", idle: "1s" } }),
      task("hello", "hello-p3", [{ use: "bystander" }]),
    ]);
    const starts = (): number => node.log.lines.filter(({ msg, task: of }) => msg === "run" && of === "bystander").length;
    for (let i = 0; i < 30; i++) expect((await node.get("/hello", { headers: { "x-check": "trap" } })).status).toBe(503);
    expect(starts()).toBeLessThan(10);
    expect(node.log.lines.some((line) => /failed too often; it is tried again in \d+ ms/.test(String(line["cause"])))).toBe(true);
    let [status, tries] = [0, 0];
    await until("it is tried again", async () => {
      tries++;
      ({ status } = await node.get("/hello"));
      return status === 200;
    });
    expect(tries).toBeGreaterThan(0);
  });

  it("that floods its log hurts nobody's lines but its own", async () => {
    const node = await startRuntime([bystander(), task("hello", "logger-p3", [{ use: "bystander", config: { check: "flood" } }])]);
    expect((await node.get("/hello")).status).toBe(200);
    await node.idle();
    expect(node.log.lines.filter((line) => line["context"] === "flood").length).toBeLessThan(10_000);
    expect(node.log.lines.filter(({ msg, task: of, sidecar }) => msg === "guest" && of === "hello" && sidecar === undefined)).toHaveLength(
      3,
    );
  });
});

describe("an import that a sidecar serves and fails", () => {
  const call = (node: StartedRuntime, func: string, args: string): Promise<Response> =>
    node.get(`/-/tasks/relay/demo:app/relay/${func}`, { method: "POST", headers: { "content-type": "application/json" }, body: args });
  const started = (onFailure: "open" | "closed"): Promise<StartedRuntime> =>
    startRuntime([task("calc", "calc", [], { routes: [], sidecar: {} }), task("relay", "relay", [{ use: "calc", onFailure }])]);

  it("closed ends the run with 503", async () => {
    const node = await started("closed");
    const answer = await call(node, "crash", "[]");
    expect(await problemOf(answer)).toEqual({ status: 503, code: "sidecar/failed", detail: undefined });
    expect((await node.log.first({ run: runOf(answer), msg: "run" }))["cause"]).toMatch(
      /^the sidecar that serves demo:math\/calc failed: .*unreachable/,
    );
    expect(await (await call(node, "add", "[1, 2]")).json()).toBe(3);
    await node.idle();
  });

  it("open has done nothing where its function gives nothing", async () => {
    const node = await started("open");
    expect((await call(node, "crash", "[]")).status).toBe(200);
    expect(await (await call(node, "add", "[1, 2]")).json()).toBe(3);
    await node.idle();
  });
});

describe("a transform", () => {
  const post = (node: StartedRuntime, path: string, body: string | undefined, headers = {}): Promise<Response> =>
    node.get(path, { method: "POST", headers: { "x-secret": "hunter2", ...headers }, ...(body !== undefined && { body }) });

  it("works on head and body first, and the main has nothing else of the request", async () => {
    const node = await startRuntime([bystander(), task("echo", "echo-p3", [{ use: "bystander", hideRaw: true }], { routes: ["/*"] })]);
    const answer = await post(node, "/?secret=hunter2", "a small body");
    expect(await answer.text()).toBe("A SMALL BODY");
    const info = JSON.stringify(await (await post(node, "/info?secret=hunter2", "x")).json());
    expect(info).toContain("x-transformed");
    expect(info).not.toContain("hunter2");
    // Longer than what comes in one piece.
    const long = "b".repeat(300_000);
    expect(await (await post(node, "/", long)).text()).toBe(long.toUpperCase());
    await node.idle();
  });

  it("that is to hide the raw request does so whatever happens: too long a body, one that fails, typed calls", async () => {
    const node = await startRuntime([
      bystander(),
      task("echo", "echo-p3", [{ use: "bystander", hideRaw: true }], { routes: ["/*"] }),
      task("calc", "calc", [{ use: "bystander", hideRaw: true }]),
    ]);
    const long = await post(node, "/", "c".repeat(1_100_000));
    expect(await problemOf(long)).toMatchObject({ status: 413, code: "request/body-too-large" });
    for (const how of ["trap", "loop", "refuse"]) {
      const answer = await post(node, "/", "raw", { "x-request": how });
      expect(answer.status).toBe(how === "refuse" ? 418 : 503);
      expect(await answer.text()).not.toContain("raw");
    }
    expect(node.log.lines.filter(({ msg, task: of, capacity }) => msg === "run" && of === "echo" && capacity !== undefined)).toEqual([]);
    // Arguments are its body, in JSON.
    const call = await node.get("/-/tasks/calc/demo:math/calc/add", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "[1, 2]",
    });
    expect(await call.json()).toBe(3);
    await node.idle();
  });

  it("that hides nothing lets bodies of unknown length pass as they are", async () => {
    const node = await startRuntime([bystander(), task("echo", "echo-p3", [{ use: "bystander" }], { routes: ["/*"] })]);
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode("in pieces"));
        controller.close();
      },
    });
    const answer = await node.get("/", { method: "POST", body, duplex: "half" });
    expect(await answer.text()).toBe("in pieces");
  });
});

describe("a new version of a sidecar", () => {
  it("takes over under load without a request that fails, and the old one goes", async () => {
    const node = await startRuntime([
      bystander({ sidecar: { scope: "task", idle: "1h" } }),
      task("hello", "hello-p3", [{ use: "bystander" }]),
    ]);
    const statuses: number[] = [];
    const turn = { over: false };
    const load = Array.from({ length: 8 }, async () => {
      while (!turn.over) {
        const answer = await node.get("/hello");
        await answer.arrayBuffer();
        statuses.push(answer.status);
      }
    });
    for (let version = 2; version <= 5; version++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      await node.runtime.deploy(bystander({ sidecar: { scope: "task", idle: "1h" }, env: { VERSION: String(version) } }));
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
    turn.over = true;
    await Promise.all(load);
    expect(statuses.length).toBeGreaterThan(50);
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
    await until("the last one stands alone", () => node.runtime.stats().engine.instances === 1);
  });
});

describe("a run that is paused", () => {
  it("goes no further, its sidecar with it, and goes on when it is resumed; its processor time stands still", async () => {
    const node = await startRuntime([
      bystander(),
      task("behave", "behave-p3", [{ use: "bystander", config: { log: true } }], { routes: ["/*"], limits: { cpu: "5s" } }),
    ]);
    const { control, operator } = node.runtime;
    const asked = node.get("/cpu?ms=400");
    const live = async (): Promise<string> => {
      await until("it runs", () => node.runtime.stats().engine.runs === 2);
      // What it wrote before, as it started, comes first.
      const line = await until("it has been asked", () =>
        node.log.lines.find(({ context, text }) => context === "bystander" && String(text).startsWith("check")),
      );
      return String(line.text).split(" ")[3] as string;
    };
    const id = await live();
    await until("it has its instance", () => node.runtime.runRecord(id)?.state === "running");
    control.pauseRun(operator, "default", id);
    expect(() => control.pauseRun(operator, "default", id)).toThrow(
      expect.objectContaining({ problem: expect.objectContaining({ code: "request/conflict" }) as unknown }),
    );
    const state = await Promise.race([asked.then(() => "answered"), new Promise((resolve) => setTimeout(resolve, 900, "waits"))]);
    expect(state).toBe("waits");
    control.resumeRun(operator, "default", id);
    const answer = await asked;
    expect(answer.status).toBe(200);
    await answer.text();
    await node.idle();
    const run = await node.log.first({ run: id, msg: "run" });
    expect(Number(run["cpuMs"])).toBeLessThan(800);
    expect(Number(run["runMs"])).toBeGreaterThan(900);
    const lifecycle = node.runtime.runRecord(id)?.lifecycle ?? [];
    expect(lifecycle.map(({ of, move }) => `${of} ${move}`)).toEqual([
      "bystander start",
      "main start",
      "main pause",
      "bystander pause",
      "bystander resume",
      "main resume",
      "main stop",
      "bystander stop",
    ]);
    const noted = (): (string | undefined)[] =>
      node.log.lines.filter(({ context }) => context === "bystander").map(({ text }) => String(text).split(" ")[0]);
    await until("it has stopped", () => noted().at(-1) === "stop");
    expect(noted().slice(-7)).toEqual(["check", "request", "pause", "resume", "head", "ended", "stop"]);
    expect(() => control.resumeRun(operator, "default", id)).toThrow(
      expect.objectContaining({ problem: expect.objectContaining({ code: "request/run-not-found" }) as unknown }),
    );
  });

  it("still ends when its time is over, and when it is cancelled", async () => {
    const node = await startRuntime([task("behave", "behave-p3", [], { routes: ["/*"], limits: { idle: "400ms" } })]);
    const { control, operator } = node.runtime;
    const late = await node.get("/slow?pieces=50&ms=50");
    control.pauseRun(operator, "default", runOf(late));
    await expect(late.text()).rejects.toThrow();
    expect((await node.log.first({ run: runOf(late), msg: "run" }))["cause"]).toMatch(/idle-time/);
    const cancelled = await node.get("/slow?pieces=50&ms=50");
    control.pauseRun(operator, "default", runOf(cancelled));
    expect((await node.get(`/-/runs/${runOf(cancelled)}`, { method: "DELETE" })).status).toBe(202);
    await expect(cancelled.text()).rejects.toThrow();
    await node.idle();
  });

  it("is none that shares its instance", async () => {
    const reuse = { maxRequests: 10, maxConcurrent: 2 };
    const node = await startRuntime([task("behave", "behave-p3", [], { routes: ["/*"], reuse })]);
    const { control, operator } = node.runtime;
    const answer = await node.get("/slow?pieces=3&ms=20");
    expect(() => control.pauseRun(operator, "default", runOf(answer))).toThrow(
      "a task whose runs are to be paused has reuse.maxConcurrent 1",
    );
    await answer.text();
  });
});

describe("what a sidecar takes", () => {
  it("is told apart from what the task does", async () => {
    const node = await startRuntime([bystander(), task("hello", "hello-p3", [{ use: "bystander" }])]);
    for (let i = 0; i < 3; i++) await (await node.get("/hello")).text();
    const used = async () => (await node.runtime.control.usage(node.runtime.operator, "default", { by: "task" }, { limit: 100 })).items;
    const of = async (name: string): Promise<number> =>
      (await used()).filter(({ task: each }) => each === name).reduce((sum, { runs }) => sum + runs, 0);
    // One more than runs: the deploy has started it to see whether it does.
    await until("all of it is in the books", async () => (await of("bystander")) === 4);
    expect(await of("hello")).toBe(3);
    for (const { gibSeconds } of await used()) expect(gibSeconds).toBeGreaterThan(0);
  });
});
