/** `pilotlight serve`: a node with the tasks of its configuration, its data plane and its admin plane. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ROOT, tempDir } from "../support/files.js";
import { runProgram, startProgram, type Serving } from "../support/program.js";
import { problemOf, runOf } from "../support/runtime.js";

const HELLO = join(ROOT, "examples/hello");
const EXAMPLES = ["hello", "rust-hello", "c-hello"].map((name) => join(ROOT, "examples", name));

/** The examples deployed together, from a configuration. */
let node: Serving;
let admin: string;

beforeAll(async () => {
  if (!existsSync(join(HELLO, "hello.wasm"))) expect(await runProgram(["build", HELLO])).toMatchObject({ exit: 0 });
  const cwd = tempDir({ "node.json": { tasks: EXAMPLES, data: "state" } });
  node = await startProgram(["--admin", "127.0.0.1:0", "--config", "node.json"], { cwd });
  admin = /admin plane (\S+)\/\n/.exec(node.program.stderr)?.[1] as string;
}, 60_000);

it("build makes a component of a JavaScript file, and what that says of its run is not believed", async () => {
  const folder = tempDir({
    "pilotlight.json": { name: "tiny", component: "tiny.wasm", build: { source: "index.js" } },
    "index.js": `import { serve } from "pilotlight/guest";
      export const handler = serve(() => ({ headers: { "pilotlight-run": "mine", "server-timing": "mine" }, body: "built" }));\n`,
  });
  const built = await runProgram(["build", folder], { cwd: folder });
  expect(built).toMatchObject({ exit: 0, stdout: "" });
  expect(built.stderr).toMatch(/^built tiny\.wasm: \d+ KiB in \d+\.\d s\n$/);
  const tiny = await startProgram([join(folder, "tiny.wasm")]);
  const response = await tiny.get("/");
  expect([await response.text(), response.headers.get("server-timing")]).toEqual(["built", "mine"]);
  runOf(response);
}, 60_000);

describe("a node", () => {
  it("says in its first two lines on stderr where it listens", () => {
    expect(node.program.stderr).toMatch(/^data plane \S+\nadmin plane \S+\nadmin key in state\/admin\.key\n$/);
    expect(node.program.stderr.split("\n").slice(0, 2)).toEqual([`data plane ${node.origin}/`, `admin plane ${admin}/`]);
  });

  it("keeps compiled components in the data folder of its configuration, beside the file", async () => {
    const cwd = tempDir({ "node.json": { tasks: [EXAMPLES[2]], data: "state" } });
    const other = await startProgram(["--admin", "127.0.0.1:0", "--config", "node.json"], { cwd });
    expect(existsSync(join(cwd, "state/compiled"))).toBe(true);
    expect((await other.program.stop()).exit).toBe(0);
  });

  it.each([
    ["/hello", "Hello from a WebAssembly component!\n"],
    ["/hello/ada", "Hello, ada!\n"],
    ["/rust-hello", "Hello from Rust!\n"],
    ["/c-hello", "Hello from C!\n"],
  ])("answers %s from the example that has the route", async (path, text) => {
    const response = await node.get(path);
    expect([response.status, await response.text()]).toEqual([200, text]);
    runOf(response);
  });

  it("gives the TypeScript example what it needs: bodies as they come, events as they are written, errors of its own", async () => {
    const echo = await node.get("/hello/echo", { method: "POST", body: "x".repeat(200_000), headers: { "content-type": "text/x" } });
    expect([echo.headers.get("content-type"), (await echo.text()).length]).toEqual(["text/x", 200_000]);
    expect(await (await node.get("/hello/ticks")).text()).toBe("data: 0\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\n");
    expect(await (await node.get("/hello/about?x=1")).json()).toMatchObject({ method: "GET", target: "/hello/about?x=1" });
    const failed = await node.get("/hello/throw");
    expect(failed.status).toBe(500);
    expect(await failed.text()).not.toContain("this becomes a 500");
    await node.log.first({ msg: "guest", run: runOf(failed), origin: "stderr" });
  });

  it("answers no path that no task has a route for", async () => {
    expect(await problemOf(await node.get("/nothing"))).toEqual({
      status: 404,
      code: "request/not-found",
      detail: "No task has a route for /nothing that this request may use; a task that is not public takes a key with the scope invoke.",
    });
  });

  it("has health and metrics on its admin plane, and no tasks there", async () => {
    const ask = async (path: string): Promise<[number, string]> => {
      const response = await fetch(admin + path);
      return [response.status, await response.text()];
    };
    expect(await ask("/livez")).toEqual([200, "live\n"]);
    expect(await ask("/readyz")).toEqual([200, '{"ready":true,"reasons":[]}\n']);
    expect((await ask("/hello"))[0]).toBe(404);
    await node.get("/c-hello");
    const [status, metrics] = await ask("/metrics");
    expect(status).toBe(200);
    expect(metrics).toMatch(/^faas_invocations_total\{tenant="default",task="c-hello",outcome="ok"\} [1-9]/m);
    expect(metrics).toMatch(/^pilotlight_programs 3$/m);
    expect(metrics).toMatch(/^pilotlight_runs_live \d+$/m);
  });

  it("has health without reasons on its data plane, and no metrics", async () => {
    expect(await (await node.get("/-/livez")).text()).toBe("live\n");
    expect(await (await node.get("/-/readyz")).text()).toBe('{"ready":true}\n');
    expect((await node.get("/metrics")).status).toBe(404);
  });
});
