/** What the program says to input that cannot work: it names the file, flag or field, says what is wrong and what would be right. */
import { createServer } from "node:net";
import { once } from "node:events";
import { readFileSync, readdirSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { atEnd } from "../support/cleanup.js";
import { tempDir } from "../support/files.js";
import { guestPath } from "../support/guests.js";
import { Program, runProgram, startProgram } from "../support/program.js";

const HELLO = guestPath("hello-p2");
const BYTES = readFileSync(HELLO);

/** Runs the program in a folder with these files and gives what it said; the folder reads DIR, the guests' one GUESTS. */
async function refusal(args: readonly string[], files: Parameters<typeof tempDir>[0] = {}): Promise<{ exit: unknown; says: string }> {
  const cwd = tempDir(files);
  const { exit, stdout, stderr } = await runProgram(args, { cwd });
  expect(stdout).toBe("");
  const says = stderr.replaceAll(cwd, "DIR").replace(/\S*guests\/([\w-]+)\/\1\.wasm/g, "$1.wasm");
  return { exit, says };
}

describe("a component", () => {
  it.each([
    [
      "that is a text",
      { "x.wasm": "hello\nworld\n" },
      "pilotlight: x.wasm: this is not WebAssembly: it begins with the bytes 68 65 6c 6c 6f 0a 77 6f, a component with 00 61 73 6d 0d 00 01 00\n",
    ],
    ["that is empty", { "x.wasm": "" }, "pilotlight: x.wasm: the file is empty; a WebAssembly component is wanted\n"],
    [
      "that was cut off",
      { "x.wasm": BYTES.subarray(0, 3000) },
      "pilotlight: x.wasm: the component cannot be compiled: failed to parse WebAssembly module: wasm component contains an invalid module section: section range 2012..6818 is out of bounds (bound = 3000)\n",
    ],
    ["that is not there", {}, "pilotlight: the component DIR/x.wasm cannot be read: there is no such file\n"],
    [
      "that is a folder",
      { "x.wasm/y": "" },
      "pilotlight: the component DIR/x.wasm cannot be read: EISDIR: illegal operation on a directory, read\n",
    ],
  ])("%s is refused by serve and by run alike", async (_title, files, says) => {
    expect(await refusal(["serve", "x.wasm", "--addr", "127.0.0.1:0"], files)).toEqual({ exit: 1, says });
    expect(await refusal(["run", "x.wasm"], files)).toEqual({ exit: 1, says });
  });

  it("that is a core module is refused with how to make a component of it", async () => {
    expect(await refusal(["serve", guestPath("core-module"), "--addr", "127.0.0.1:0"])).toEqual({
      exit: 1,
      says:
        "pilotlight: core-module.wasm: this is a core WebAssembly module, not a component. Add its WIT with `wasm-tools component embed WIT IN.wasm -o EMBEDDED.wasm`, " +
        "then convert it with `wasm-tools component new EMBEDDED.wasm -o OUT.wasm` or `jco new EMBEDDED.wasm -o OUT.wasm`\n",
    });
  });

  it.each([
    [
      "serve",
      "wrong-world",
      "pilotlight: wrong-world.wasm: it has no HTTP handler: it should export wasi:http/incoming-handler@0.2 or wasi:http/handler@0.3\n",
    ],
    [
      "serve",
      "command-p2",
      "pilotlight: command-p2.wasm: it has no HTTP handler: it should export wasi:http/incoming-handler@0.2 or wasi:http/handler@0.3; it exports wasi:cli/run: use pilotlight run\n",
    ],
    ["run", "wrong-world", "pilotlight: wrong-world.wasm does not export wasi:cli/run@0.2 or @0.3\n"],
    [
      "run",
      "hello-p3",
      "pilotlight: hello-p3.wasm does not export wasi:cli/run@0.2 or @0.3; it exports an HTTP handler: pilotlight serve hello-p3.wasm\n",
    ],
  ] as const)("of another world than %s needs is refused (%s)", async (command, guest, says) => {
    expect(await refusal([command, guestPath(guest), ...(command === "serve" ? ["--addr", "127.0.0.1:0"] : [])])).toEqual({
      exit: 1,
      says,
    });
  });

  it.each(["serve", "run"])("with imports that nobody provides is refused by %s with the whole list", async (command) => {
    expect(await refusal([command, guestPath("unmet")])).toEqual({
      exit: 1,
      says: "pilotlight: unmet.wasm: nothing provides these imports: demo:storage/blobs@1.2.0 (resource blob, [method]blob.size, open, put); demo:mail/outbox (send, pending)\n",
    });
  });
});

describe("the data folder", () => {
  it("that cannot be written is named, with the flag that gives another", async () => {
    // Root may write everywhere, so a file stands where the folder would be.
    expect(await refusal(["serve", HELLO, "--addr", "127.0.0.1:0", "--data", "taken"], { taken: "a file" })).toEqual({
      exit: 1,
      says: "pilotlight: the cache folder taken/compiled cannot be written: Not a directory (os error 20); give a folder that can be with --data\n",
    });
    expect(await refusal(["serve"], { ".pilotlight": "a file" })).toEqual({
      exit: 1,
      says: "pilotlight: the data folder DIR/.pilotlight cannot be made: EEXIST: file already exists, mkdir 'DIR/.pilotlight'; give another one with --data\n",
    });
  });

  it("keeps compiled components, and one that is cut off or changed is made anew", async () => {
    const data = tempDir();
    const serve = async (): Promise<string> => {
      const node = await startProgram([HELLO, "--data", data]);
      const text = await (await node.get("/")).text();
      expect((await node.program.stop()).exit).toBe(0);
      return text;
    };
    const files = (): string[] => readdirSync(join(data, "compiled")).sort();
    expect(await serve()).toBe("Hello, WASI!\n");
    const kept = files();
    const compiled = join(data, "compiled", kept.find((name) => name.endsWith(".cwasm")) as string);
    const whole = readFileSync(compiled);
    const { ino } = statSync(compiled);
    expect(await serve()).toBe("Hello, WASI!\n");
    expect(statSync(compiled).ino, "the kept one is used").toBe(ino);

    truncateSync(compiled, whole.length / 2);
    expect(await serve()).toBe("Hello, WASI!\n");
    expect(readFileSync(compiled).equals(whole)).toBe(true);

    writeFileSync(compiled, Buffer.from(whole).fill(0xff, whole.length / 2, whole.length / 2 + 64));
    expect(await serve()).toBe("Hello, WASI!\n");
    expect(readFileSync(compiled).equals(whole)).toBe(true);
    expect(files()).toEqual(kept);
  });
});

describe("an address", () => {
  it("that is taken is named with its flag, and whoever has it goes on", async () => {
    const first = await startProgram([HELLO]);
    const { port } = first;
    expect(await refusal(["serve", HELLO, "--addr", `127.0.0.1:${port}`])).toEqual({
      exit: 1,
      says: `pilotlight: --addr: cannot listen on 127.0.0.1:${port}: the port is taken; choose another, or 0 for any free one\n`,
    });
    expect(await (await first.get("/")).text()).toBe("Hello, WASI!\n");
  });

  it("of the admin plane that is taken ends the data plane, too", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    atEnd(() => taken.close());
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    expect(await refusal(["serve", "--addr", "127.0.0.1:0", "--admin", `127.0.0.1:${port}`])).toEqual({
      exit: 1,
      says: `pilotlight: --admin: cannot listen on 127.0.0.1:${port}: the port is taken; choose another, or 0 for any free one\n`,
    });
  });

  it.each(["8700", "localhost", "127.0.0.1:99999", "http://127.0.0.1:80"])("that is none is refused as usage (%s)", async (addr) => {
    expect(await refusal(["serve", HELLO, "--addr", addr])).toEqual({
      exit: 2,
      says: `pilotlight: --addr "${addr}" is not an address: expected HOST:PORT, such as 127.0.0.1:8700; port 0 takes any free one\n`,
    });
  });
});

describe("a command line", () => {
  it.each([
    [["serve", "--nope"], "error: unknown option '--nope'\n(pilotlight serve --help says what there is)\n"],
    [
      ["serve", HELLO, "--adr", "x"],
      "error: unknown option '--adr'\n(Did you mean --addr?)\n(pilotlight serve --help says what there is)\n",
    ],
    [["frob"], "error: unknown command 'frob'\n(add --help for what there is)\n"],
    [["run"], "error: missing required argument 'FILE'\n(pilotlight run --help says what there is)\n"],
    [
      ["serve", HELLO, "--log", "loud"],
      "error: option '--log <LEVEL>' argument 'loud' is invalid. Allowed choices are trace, debug, info, warn, error, fatal, silent.\n(pilotlight serve --help says what there is)\n",
    ],
    [
      ["serve", HELLO, "--ready", "1x"],
      "error: option '--ready <N>' argument '1x' is invalid. expected a whole number.\n(pilotlight serve --help says what there is)\n",
    ],
    [
      ["run", HELLO, "--env", "NAME"],
      "error: option '--env <K=V>' argument 'NAME' is invalid. expected NAME=VALUE.\n(pilotlight run --help says what there is)\n",
    ],
    [
      ["run", HELLO, "--dir", "a::b::c"],
      "error: option '--dir <HOST::GUEST>' argument 'a::b::c' is invalid. expected HOST::GUEST, such as ./data::/data.\n(pilotlight run --help says what there is)\n",
    ],
    [
      ["serve", "--env", "A=b"],
      "error: --env goes with a FILE; a node's tasks say it in their manifests\n(pilotlight serve --help says what there is)\n",
    ],
    [
      ["serve", HELLO, "--config", "x.json"],
      "error: --config goes without a FILE: it is about a node\n(pilotlight serve --help says what there is)\n",
    ],
    [
      ["run", HELLO, "--dir", "nowhere::/x"],
      "error: option '--dir <HOST::GUEST>' argument 'nowhere::/x' is invalid. there is no folder nowhere.\n(pilotlight run --help says what there is)\n",
    ],
    [
      ["serve", HELLO, "--limit", "memory=5x", "--limit", "memry=5MiB", "--limit", "cpu=10"],
      'pilotlight: --limit is not valid:\n  memory: expected a size such as "64MiB", "1.5GB" or "512B"\n  cpu: expected a duration such as "250ms", "10s", "15m" or "1h"\n  memry: unknown field\n',
    ],
    [
      ["serve", HELLO, "--reuse", "maxRequests=0"],
      "pilotlight: --reuse is not valid:\n  maxRequests: Too small: expected number to be >0\n",
    ],
  ])("%j is refused with status 2", async (args, says) => {
    expect(await refusal(args)).toEqual({ exit: 2, says });
  });

  it("with an origin that is none is refused with the one that was meant", async () => {
    expect(await refusal(["serve", HELLO, "--outbound", "example.com"])).toEqual({
      exit: 1,
      says: 'pilotlight: hello-p2.wasm: outbound origin "example.com" has no scheme; write "https://example.com"\n',
    });
  });

  it("without a command shows what there is", async () => {
    const { exit, says } = await refusal([]);
    expect(exit).toBe(2);
    expect(says).toMatch(/^Usage: pilotlight \[options\] \[command\]\n/);
  });
});

describe("a configuration", () => {
  it.each([
    ["that is no JSON", '{ "tasks": [', /^pilotlight: DIR\/pilotlight\.config\.json is not valid JSON: Unexpected end of JSON input\n$/],
    [
      "with wrong fields",
      { tasks: "x", adr: "127.0.0.1:1", addr: "8700", log: "loud", node: { instances: 0, drain: "soon" } },
      /^pilotlight: DIR\/pilotlight\.config\.json is not a valid configuration:\n {2}tasks: Invalid input: expected array, received string\n {2}addr: expected HOST:PORT, such as "127\.0\.0\.1:8700"\n {2}log: expected one of trace, debug, info, warn, error, fatal, silent\n {2}node\.instances: Too small: expected number to be >=1\n {2}adr: unknown field\n$/,
    ],
    [
      "with a drain that is no duration",
      { node: { drain: "soon" } },
      /^pilotlight: DIR\/pilotlight\.config\.json is not a valid configuration:\n {2}node\.drain: expected a duration such as "250ms", "10s", "15m" or "1h"\n$/,
    ],
    [
      "that names a task that is not there",
      { tasks: ["nope"] },
      /^pilotlight: the manifest DIR\/nope cannot be read: there is no such file\n$/,
    ],
  ])("%s is refused by file and field", async (_title, content, says) => {
    const refused = await refusal(["serve"], { "pilotlight.config.json": content });
    expect(refused.exit).toBe(1);
    expect(refused.says).toMatch(says);
  });

  it("that --config names and that is not there is refused", async () => {
    expect(await refusal(["serve", "--config", "x.json"])).toEqual({
      exit: 1,
      says: "pilotlight: the configuration DIR/x.json cannot be read: ENOENT: no such file or directory, open 'DIR/x.json'\n",
    });
  });

  it.each([
    ["that is no JSON", "[", /^pilotlight: DIR\/t\/pilotlight\.json is not valid JSON: /],
    [
      "with wrong fields",
      {
        name: "T",
        component: "x.wasm",
        route: ["/"],
        routes: ["x", "/a*"],
        limits: { memory: 5, cpu: "1y" },
        triggers: [{ cron: "61 * * * *" }],
      },
      /^pilotlight: DIR\/t\/pilotlight\.json is not a valid manifest:\n {2}name: expected a name of lower-case .*\n {2}routes\[0\]: expected a path .*\n {2}routes\[1\]: "\*" may only be .*\n {2}limits\.memory: .*\n {2}limits\.cpu: expected a duration such as .*\n {2}triggers\[0\]\.cron: .*minute: 61.*\n {2}route: unknown field\n$/,
    ],
    [
      "whose component is not built",
      { name: "t", component: "x.wasm", build: { source: "index.ts" } },
      /^pilotlight: the component DIR\/t\/x\.wasm cannot be read: there is no such file; build it first: pilotlight build DIR\/t\n$/,
    ],
    [
      "whose component is none",
      { name: "t", component: "pilotlight.json" },
      /^pilotlight: DIR\/t\/pilotlight\.json: this is not WebAssembly: .*\n$/,
    ],
  ])("whose task has a manifest %s is refused by file and field", async (_title, manifest, says) => {
    const refused = await refusal(["serve", "--addr", "127.0.0.1:0"], {
      "pilotlight.config.json": { tasks: ["t"] },
      "t/pilotlight.json": manifest,
    });
    expect(refused.exit).toBe(1);
    expect(refused.says).toMatch(says);
  });

  it.each([
    [
      "route",
      ["a", "b"],
      "pilotlight: The task b has the route /same, which matches the same paths as /same of the task a; change one of them.\n",
    ],
    ["name", ["a", "a"], "pilotlight: DIR/second: the task a is in DIR/first already; names are unique\n"],
  ])("with two tasks of one %s is refused with both", async (_title, names, says) => {
    const task = (name: string | undefined): object => ({ name, component: HELLO, routes: ["/same"] });
    const refused = await refusal(["serve", "--addr", "127.0.0.1:0"], {
      "pilotlight.config.json": { tasks: ["first", "second"] },
      "first/pilotlight.json": task(names[0]),
      "second/pilotlight.json": task(names[1]),
    });
    expect(refused).toEqual({ exit: 1, says });
  });
});

describe("build", () => {
  it.each([
    [
      "a folder without manifest",
      {},
      "pilotlight: DIR/pilotlight.json: there is no such file; a function's folder has a pilotlight.json\n",
    ],
    [
      "a manifest without build",
      { "pilotlight.json": { name: "x", component: "x.wasm" } },
      'pilotlight: DIR/pilotlight.json: there is no "build"; it says how, for example { "source": "index.ts", "world": "http", "engine": "quickjs" } or { "command": "make" }\n',
    ],
  ])("refuses %s", async (_title, files, says) => {
    expect(await refusal(["build"], files)).toEqual({ exit: 1, says });
  });
});

describe("a program that cannot start", () => {
  it("says its one line, without a stack, and ends within moments", async () => {
    const program = new Program(["serve", "nope.wasm"], {});
    const began = performance.now();
    const { stderr } = await program.ended;
    expect(stderr.split("\n")).toHaveLength(2);
    expect(stderr).not.toContain("    at ");
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});
