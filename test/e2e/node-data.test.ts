/** `pilotlight serve` and its data folder, as an operator meets them: one node a folder, who reaches the admin plane, power cuts of the process. */
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { tempDir } from "../support/files.js";
import { guestPath } from "../support/guests.js";
import { runProgram, startProgram, type Serving } from "../support/program.js";

const ADMIN = ["--admin", "127.0.0.1:0"];
const adminOf = (node: Serving): string => /admin plane (\S+)\/\n/.exec(node.program.stderr)?.[1] as string;
const keyOf = (cwd: string): string => readFileSync(join(cwd, ".pilotlight", "admin.key"), "utf8").trim();

async function upload(node: Serving, key: string, manifest: object, guest: string): Promise<Response> {
  const body = new FormData();
  body.set("manifest", JSON.stringify({ component: "a.wasm", ...manifest }));
  body.set("component", new Blob([new Uint8Array(readFileSync(guestPath(guest)))]));
  const headers = { authorization: `Bearer ${key}` };
  return fetch(`${adminOf(node)}/v1/tenants/default/tasks/a/versions`, { method: "POST", body, headers });
}

describe("a data folder", () => {
  it("belongs to one node at a time: a second one is told which process has it, and disturbs nothing", async () => {
    const cwd = tempDir();
    const node = await startProgram(ADMIN, { cwd });
    const second = await runProgram(["serve", "--addr", "127.0.0.1:0", ...ADMIN], { cwd });
    expect(second.exit).toBe(1);
    expect(second.stderr).toMatch(/^pilotlight: .*\.pilotlight.*\b\d+\b/);
    expect((await node.get("/-/readyz")).status).toBe(200);
  });

  it("has the first admin key for its owner alone, and the node serves again what was deployed with it, after kill -9", async () => {
    const cwd = tempDir();
    const first = await startProgram(ADMIN, { cwd });
    expect(statSync(join(cwd, ".pilotlight", "admin.key")).mode & 0o777).toBe(0o600);
    expect((await upload(first, keyOf(cwd), { name: "a" }, "hello-p2")).status).toBe(201);
    expect(await (await first.get("/a")).text()).toBe("Hello, WASI!\n");
    first.program.signal("SIGKILL");
    await first.program.ended;
    const second = await startProgram(ADMIN, { cwd });
    expect(second.program.stderr).not.toContain("admin key");
    expect(await (await second.get("/a")).text()).toBe("Hello, WASI!\n");
    expect((await second.program.stop()).exit).toBe(0);
  });

  it("that is damaged is not started over: the message names the file, and it stays as it is", async () => {
    const cwd = tempDir();
    await (await startProgram(ADMIN, { cwd })).program.stop();
    const file = join(cwd, ".pilotlight", "state.mdb");
    const damaged = readFileSync(file).fill(0xff, 0, 8192);
    writeFileSync(file, damaged);
    const refused = await runProgram(["serve", "--addr", "127.0.0.1:0", ...ADMIN], { cwd });
    expect(refused.exit).toBe(1);
    expect(refused.stderr).toMatch(/^pilotlight: .*state\.mdb/);
    expect(readFileSync(file).equals(damaged)).toBe(true);
  });

  it("without its secrets.key is refused once secrets are sealed with it, and nothing new is made in its place", async () => {
    const cwd = tempDir();
    const node = await startProgram(ADMIN, { cwd });
    const headers = { authorization: `Bearer ${keyOf(cwd)}`, "content-type": "application/json" };
    const put = await fetch(`${adminOf(node)}/v1/tenants/default/secrets/TOKEN`, {
      method: "PUT",
      headers,
      body: '{"value":"s3cret-text"}',
    });
    expect(put.status).toBeLessThan(300);
    await node.program.stop();
    const key = join(cwd, ".pilotlight", "secrets.key");
    writeFileSync(key, Buffer.alloc(32, 7), { mode: 0o600 });
    const refused = await runProgram(["serve", "--addr", "127.0.0.1:0", ...ADMIN], { cwd });
    expect(refused.exit).toBe(1);
    expect(refused.stderr).toMatch(/^pilotlight: the key of the secrets, .*secrets\.key, is not the one that they are sealed with/);
    expect(readFileSync(join(cwd, ".pilotlight", "state.mdb")).includes("s3cret-text")).toBe(false);
    expect(existsSync(key)).toBe(true);
  });
});

describe("an admin plane that others reach", () => {
  it("is refused without being asked for: keys would cross in the clear", async () => {
    const refused = await runProgram(["serve", "--addr", "127.0.0.1:0", "--admin", "0.0.0.0:0"], { cwd: tempDir() });
    expect(refused.exit).toBe(2);
    expect(refused.stderr).toMatch(
      /^pilotlight: --admin 0\.0\.0\.0: an admin plane that others than this machine reach .* say --insecure-admin\n$/,
    );
  });

  it("wants a key of the node for its metrics", async () => {
    const cwd = tempDir();
    const node = await startProgram(["--admin", "0.0.0.0:0", "--insecure-admin"], { cwd });
    const metrics = adminOf(node).replace("0.0.0.0", "127.0.0.1") + "/metrics";
    expect((await fetch(metrics)).status).toBe(401);
    expect((await fetch(metrics, { headers: { authorization: `Bearer ${keyOf(cwd)}` } })).status).toBe(200);
  });
});
