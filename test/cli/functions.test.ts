/** `new`, `build` and `dev`: what they leave on disk, and when they build again. */
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { changed, snapshot } from "../../src/cli/watch.js";
import { tempDir } from "../support/files.js";
import { until } from "../support/until.js";
import { cli, fakeNode, start, type Asked } from "./run.js";

describe("new", () => {
  it.each([
    ["ts", [".gitignore", "README.md", "index.ts", "pilotlight.json", "tsconfig.json"]],
    ["rust", [".gitignore", "Cargo.toml", "README.md", "pilotlight.json", "src"]],
    ["c", [".gitignore", "Makefile", "README.md", "my-fn.c", "pilotlight.json", "wit"]],
    ["sidecar-ts", [".gitignore", "README.md", "index.ts", "pilotlight.json", "tsconfig.json", "world.wit"]],
    ["sidecar-rust", [".gitignore", "Cargo.toml", "README.md", "pilotlight.json", "src", "wit", "world.wit"]],
  ])("--template %s makes a folder with everything in it, its name put in", async (template, files) => {
    const cwd = tempDir();
    const ran = await cli(["new", "my-fn", "--template", template], { cwd });
    expect(ran).toMatchObject({ exit: 0, stdout: "", stderr: expect.stringContaining("pilotlight deploy my-fn --build") });
    expect(readdirSync(join(cwd, "my-fn")).sort()).toEqual(files);
    const manifest = JSON.parse(readFileSync(join(cwd, "my-fn/pilotlight.json"), "utf8")) as object;
    expect(manifest).toMatchObject({ name: "my-fn", component: "my-fn.wasm", build: expect.any(Object) });
    for (const file of files.filter((name) => statSync(join(cwd, "my-fn", name)).isFile()))
      expect(readFileSync(join(cwd, "my-fn", file), "utf8")).not.toContain("{{");
  });

  it("its C has the interfaces that its world names", async () => {
    const cwd = tempDir();
    await cli(["new", "my-fn", "--template", "c"], { cwd });
    expect(readFileSync(join(cwd, "my-fn/wit/world.wit"), "utf8")).toContain("package functions:my-fn;");
    expect(readdirSync(join(cwd, "my-fn/wit/deps")).length).toBeGreaterThan(4);
  });

  it("its sidecar in Rust has the interfaces that its world names", async () => {
    const cwd = tempDir();
    await cli(["new", "my-fn", "--template", "sidecar-rust"], { cwd });
    expect(readFileSync(join(cwd, "my-fn/wit/sidecar.wit"), "utf8")).toContain("package pilotlight:sidecar@0.1.0;");
  });

  it.each(["ts", "sidecar-ts"])(
    "its TypeScript builds: %s",
    async (template) => {
      const cwd = tempDir();
      await cli(["new", "my-fn", "--template", template], { cwd });
      expect(await cli(["build", "my-fn"], { cwd })).toMatchObject({
        exit: 0,
        stderr: expect.stringMatching(/^built my-fn\/my-fn\.wasm: /),
      });
      expect(readFileSync(join(cwd, "my-fn/my-fn.wasm")).subarray(0, 4)).toEqual(Buffer.from("\0asm"));
    },
    60_000,
  );

  it("touches no folder that is in use, and refuses names that no task can have", async () => {
    const cwd = tempDir({ "my-fn/mine": "x" });
    expect(await cli(["new", "my-fn"], { cwd })).toMatchObject({ exit: 1, stderr: expect.stringContaining("not empty") });
    expect(readdirSync(join(cwd, "my-fn"))).toEqual(["mine"]);
    expect(await cli(["new", "My_fn"], { cwd })).toMatchObject({ exit: 2, stderr: expect.stringContaining("lower-case letters") });
    expect(await cli(["new", "my-fn", "--template", "cobol"], { cwd })).toMatchObject({ exit: 2 });
    expect(existsSync(join(cwd, "My_fn"))).toBe(false);
  });
});

describe("dev", () => {
  const MANIFEST = { name: "hello", component: "hello.wasm", build: { command: "cp source.txt hello.wasm" } };
  const DEPLOYED = { tenant: "acme", task: "hello", version: "v1", created: true, digest: "", alias: "live", urls: [], access: "public" };

  it("builds and deploys with each change, shows the log, goes on after a failure, and ends cleanly on Ctrl-C", async () => {
    const uploads: string[] = [];
    let write: ((text: string) => void) | undefined;
    const node = await fakeNode(
      {
        "POST /v1/tenants/acme/tasks/hello/versions": (response, { body }: Asked) => {
          uploads.push(/source \d/.exec(body.toString())?.[0] ?? "");
          response.end(JSON.stringify({ ...DEPLOYED, version: `v${uploads.length}` }));
        },
        "GET /v1/tenants/acme/logs": (response, { path }) => {
          const line = (text: string): string => `${JSON.stringify({ at: "now", task: "hello", level: "info", origin: "stdout", text })}\n`;
          response.write(line("old"));
          if (!path.includes("follow=1")) return void response.end();
          write = (text) => void response.write(line(text));
        },
      },
      "acme",
    );
    const cwd = tempDir({ "pilotlight.json": MANIFEST, "source.txt": "source 1" });
    const running = start(["dev"], { env: node.env, cwd });
    await until("the first version is deployed", () => running.said.stdout.includes("hello v1 is live"));
    await until("the log is followed", () => write !== undefined);
    write?.("new");
    await until("a line is shown", () => running.said.stdout.includes("now hello stdout new\n"));

    writeFileSync(join(cwd, "pilotlight.json"), "{");
    await until("a broken manifest is reported", () => running.said.stderr.includes("is not valid JSON"));
    writeFileSync(join(cwd, "pilotlight.json"), JSON.stringify(MANIFEST));
    await until("the repaired manifest is deployed", () => uploads.length === 2);
    writeFileSync(join(cwd, "source.txt"), "source 2");
    await until("the change is deployed", () => uploads.includes("source 2"));

    running.interrupt();
    const { exit, stdout, stderr } = await running.ended;
    expect(exit).toBe(130);
    expect(stdout).not.toContain("old");
    expect(stderr).toContain("source.txt has changed\n");
  });

  it("what the build writes does not set off the next one", async () => {
    const cwd = tempDir({ "a.ts": "1", "hello.wasm": "", "target/x": "", "node_modules/y/z": "", ".git/HEAD": "" });
    const before = await snapshot([cwd]);
    expect([...before.keys()]).toEqual([join(cwd, "a.ts")]);
    for (const file of ["hello.wasm", "target/x", "target/new", ".git/HEAD"]) writeFileSync(join(cwd, file), "changed");
    expect(changed(before, await snapshot([cwd]))).toBeUndefined();
    writeFileSync(join(cwd, "b.ts"), "");
    expect(changed(before, await snapshot([cwd]))).toBe(join(cwd, "b.ts"));
    expect(changed(await snapshot([cwd]), before)).toBe(join(cwd, "b.ts"));
  });

  it("a component that nothing here builds counts as a source", async () => {
    const cwd = tempDir({ "hello.wasm": "" });
    expect([...(await snapshot([cwd], [join(cwd, "hello.wasm")])).keys()]).toEqual([join(cwd, "hello.wasm")]);
  });
});
