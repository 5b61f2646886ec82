/** The command line against a node of its own: what goes wrong, what goes on, and how it ends. */
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ROOT, tempDir } from "../support/files.js";
import { Program, runProgram, startProgram, type Ending, type Serving } from "../support/program.js";
import { until } from "../support/until.js";

const C_HELLO = join(ROOT, "examples/c-hello/c-hello.wasm");

let node: Serving;
let cwd: string;
let env: Record<string, string>;

beforeAll(async () => {
  cwd = tempDir();
  env = { XDG_CONFIG_HOME: tempDir() };
  node = await startProgram(["--admin", "127.0.0.1:0"], { cwd, env });
  await until("the node is in the user's list", () => existsSync(join(env["XDG_CONFIG_HOME"] as string, "pilotlight/nodes.json")));
});

function cli(...args: string[]): Promise<Ending> {
  return runProgram(args, { cwd, env });
}

async function json<T>(...args: string[]): Promise<T> {
  const { exit, stdout, stderr } = await cli(...args, "--json");
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: expect.any(String) });
  return JSON.parse(stdout) as T;
}

async function deploy(name: string, ...more: string[]): Promise<Ending> {
  return await cli("deploy", C_HELLO, "--name", name, ...more);
}

it("serve writes where the node is and its key, for its owner alone, and commands find it from below", async () => {
  const file = join(cwd, ".pilotlight/node.json");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const { url, key } = JSON.parse(readFileSync(file, "utf8")) as { url: string; key: string };
  const who = await json<{ url: string; source: string; dataUrl: string }>("whoami");
  expect(who).toMatchObject({ url, source: file, dataUrl: `${node.origin}/` });
  const elsewhere = await runProgram(["whoami", "--json"], { cwd: tempDir(), env });
  expect(JSON.parse(elsewhere.stdout)).toMatchObject({ url });
  expect(node.program.stderr + node.program.stdout).not.toContain(key);
});

describe("deploy", () => {
  it("makes one version of the same bytes and manifest, and says so", async () => {
    expect(await deploy("same")).toMatchObject({
      exit: 0,
      stdout: `same v1 is live\n  ${node.origin}/same\n  public: everyone can call it\n`,
    });
    expect(await (await node.get("/same")).text()).toBe("Hello from C!\n");
    expect((await deploy("same")).stdout).toContain("same v1 (as it was already) is live\n");
    expect(await json<{ versions: number[] }>("tasks", "same")).toMatchObject({ versions: [{ version: "v1" }] });
  });

  it("of a manifest with wrong fields names each, and deploys nothing", async () => {
    const folder = tempDir({ "pilotlight.json": { name: "bad", component: "x.wasm", limits: { memory: 5 }, route: [] }, "x.wasm": "x" });
    const ran = await cli("deploy", folder);
    expect(ran).toMatchObject({ exit: 1, stdout: "" });
    expect(ran.stderr).toMatch(/^pilotlight: What was sent is not valid:\n(?: {2}\S.*\n)+$/);
    expect(ran.stderr).toMatch(/^ {2}manifest\.limits\.memory: expected a size/m);
    expect(ran.stderr).toMatch(/^ {2}manifest\.route: unknown field$/m);
    expect(await cli("tasks", "bad")).toMatchObject({ exit: 1 });
  });

  it("of what is no component says so", async () => {
    const folder = tempDir({ "x.wasm": "text" });
    expect(await cli("deploy", join(folder, "x.wasm"), "--name", "text")).toMatchObject({ exit: 1, stdout: "" });
  });

  it("with access key says that it is not public, and it is not", async () => {
    const folder = tempDir({ "pilotlight.json": { name: "closed", component: C_HELLO, access: "key" } });
    expect((await cli("deploy", folder)).stdout).toContain("not public: it takes a key of this tenant with the scope invoke\n");
    // As if nothing were there.
    expect((await node.get("/closed")).status).toBe(404);
    const { text } = await json<{ text: string }>("keys", "create", "--scope", "invoke");
    expect((await node.get("/closed", { headers: { "pilotlight-key": text } })).status).toBe(200);
  });

  it("without an alias leaves live alone until alias moves it, and only if it is still what was read", async () => {
    await deploy("steps");
    await deploy("steps", "--route", "/other", "--no-alias");
    expect((await node.get("/other")).status).toBe(404);
    const { revision } = await json<{ revision: number }>("alias", "steps", "live");
    expect(await cli("alias", "steps", "live", "v2", "--if-revision", String(revision))).toMatchObject({ exit: 0 });
    expect((await node.get("/other")).status).toBe(200);
    const late = await cli("alias", "steps", "live", "v1", "--if-revision", String(revision));
    expect(late).toMatchObject({ exit: 1, stderr: expect.stringContaining("It has changed since it was read") });
    expect(await cli("tasks", "delete", "steps", "--version", "v2")).toMatchObject({ exit: 1 });
    expect(await cli("rollback", "steps")).toMatchObject({ exit: 0, stdout: "steps live → v1\n" });
    expect(await cli("tasks", "delete", "steps", "--version", "v2")).toMatchObject({ exit: 0 });
    expect(await cli("tasks", "delete", "steps", "--yes")).toMatchObject({ exit: 0 });
    expect((await node.get("/steps")).status).toBe(404);
  });
});

it("a revoked key is refused at once, a rotated one has a successor, and the audit log has both, without texts", async () => {
  const made = await json<{ text: string; key: { id: string } }>("keys", "create", "--scope", "read", "--note", "mine");
  expect(await cli("tasks", "--key", made.text)).toMatchObject({ exit: 0 });
  const rotated = await json<{ text: string; key: { id: string } }>("keys", "rotate", made.key.id);
  expect(await cli("tasks", "--key", made.text)).toMatchObject({ exit: 1, stderr: expect.stringContaining("This needs a valid key") });
  expect(await cli("tasks", "--key", rotated.text)).toMatchObject({ exit: 0 });
  expect(await cli("secrets", "delete", "X", "--key", rotated.text)).toMatchObject({
    exit: 1,
    stderr: expect.stringContaining("The key may not do this"),
  });
  expect(await cli("keys", "revoke", rotated.key.id)).toMatchObject({ exit: 0 });
  expect(await cli("tasks", "--key", rotated.text)).toMatchObject({ exit: 1 });
  const { stdout } = await cli("audit", "--json");
  for (const id of [made.key.id, rotated.key.id]) expect(stdout).toContain(id);
  for (const text of [made.text, rotated.text]) expect(stdout).not.toContain(text);
});

it("store entries cross as bytes, and change only if they are what was read", async () => {
  const file = join(tempDir({ bytes: Uint8Array.from([0, 255, 10, 13]) }), "bytes");
  const { revision } = await json<{ revision: number }>("stores", "put", "default", "a/b c%", "--file", file);
  expect(await json("stores", "get", "default", "a/b c%")).toEqual({ key: "a/b c%", revision, base64: "AP8KDQ==" });
  expect(await json("stores", "list", "default", "--prefix", "a/")).toMatchObject([{ key: "a/b c%", revision }]);
  expect(await cli("stores", "put", "default", "a/b c%", "x", "--new")).toMatchObject({ exit: 1 });
  expect(await cli("stores", "put", "default", "a/b c%", "x", "--if-revision", String(revision))).toMatchObject({ exit: 0 });
  expect(await cli("stores", "delete", "default", "a/b c%", "--if-revision", String(revision))).toMatchObject({ exit: 1 });
  expect(await cli("stores", "delete", "default", "a/b c%")).toMatchObject({ exit: 0 });
  expect(await cli("stores", "get", "default", "a/b c%")).toMatchObject({ exit: 1 });
});

it("logs -f shows runs as they come, and ends with 130 on Ctrl-C", async () => {
  await deploy("logged");
  const logs = new Program(["logs", "logged", "-f"], { cwd, env });
  await until("a run is shown", async () => {
    await (await node.get("/logged")).text();
    return /logged@v1 run /.test(logs.stdout);
  });
  logs.signal("SIGINT");
  expect(await logs.ended).toMatchObject({ exit: 130, stderr: "" });
});

it("dev builds, deploys and redeploys, shows what the function writes, and ends with 130 on Ctrl-C", async () => {
  const source = (text: string): string =>
    `import { serve } from "pilotlight/guest";\nexport const handler = serve(() => { console.log("wrote ${text}"); return "${text}"; });\n`;
  const folder = tempDir({
    "pilotlight.json": { name: "devel", component: "devel.wasm", build: { source: "index.js" } },
    "index.js": source("one"),
  });
  const dev = new Program(["dev", folder], { cwd, env });
  const answers = (text: string): Promise<unknown> =>
    until(
      () => `it answers ${text}${dev.said()}`,
      async () => (await (await node.get("/devel")).text()) === text && dev.stdout.includes(`wrote ${text}`),
      60_000,
    );
  await answers("one");
  writeFileSync(join(folder, "index.js"), source("two"));
  await answers("two");
  dev.signal("SIGINT");
  expect((await dev.ended).exit).toBe(130);
}, 150_000);

it("a node that is gone is named, with how to start one", async () => {
  const other = await startProgram(["--admin", "127.0.0.1:0"], { cwd: tempDir(), env: { XDG_CONFIG_HOME: tempDir() } });
  const [, url] = await other.program.says(/admin plane (\S+)\n/);
  await other.program.stop();
  const ran = await cli("tasks", "--url", url as string, "--key", "pl_x");
  expect(ran.exit).toBe(1);
  expect(ran.stderr).toBe(
    `pilotlight: no node answers at ${url} (ECONNREFUSED); start one with pilotlight serve, or say which with --url (pilotlight login URL remembers it)\n`,
  );
});
