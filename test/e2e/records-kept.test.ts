/** Records across restarts, kills, damage and a full store: what was answered from one is there again, or the task runs. */
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { tempDir } from "../support/files.js";
import { guestPath } from "../support/guests.js";
import { startProgram } from "../support/program.js";
import { until } from "../support/until.js";
import { hit, plainly, reader, recordsNode, type Asked, type RecordsNode } from "./records-node.js";

const LONG = "/big?bytes=300000";

/** By a name that a restart does not change, as the port does: the host is part of what is asked. */
function ask(node: Pick<RecordsNode, "origin">, path: string): Promise<Asked> {
  return plainly(node, path, { host: "records.test" });
}

async function recordedHit(node: Pick<RecordsNode, "origin">, path: string): Promise<Asked> {
  let last: Asked | undefined;
  await until(`${path} is answered from a record`, async () => (last = await ask(node, path)).how === "hit");
  return last as Asked;
}

/** Path of the one body that lies by itself. */
function bodyIn(data: string): string {
  const folder = join(data, "records", "bodies");
  const [part = ""] = readdirSync(folder);
  const [name = ""] = readdirSync(join(folder, part));
  return join(folder, part, name);
}

describe("after a restart", () => {
  it("records are there, their bodies too, and are looked at as before", async () => {
    const data = tempDir();
    const first = await recordsNode([reader()], { data, durable: true });
    await first.put("a", "1");
    for (const path of ["/get?keys=a", LONG]) await recordedHit(first, path);
    await first.runtime.close();
    const second = await recordsNode([], { data, durable: true });
    await second.runtime.start();
    expect(await ask(second, "/get?keys=a")).toMatchObject({ how: "hit", text: "a=1" });
    const long = await ask(second, LONG);
    expect(long.how).toBe("hit");
    expect(long.text).toHaveLength(300_000);
    expect(second.ran()).toBe(0);
    await second.put("a", "2");
    expect(await ask(second, "/get?keys=a")).toMatchObject({ how: "stale", text: "a=2" });
  });

  it("a body that was changed or cut meanwhile is not given out: the task runs", async () => {
    const data = tempDir();
    let isFirst = true;
    for (const spoil of [
      (path: string) => writeFileSync(path, readFileSync(path).fill("x", 1000, 1010)),
      (path: string) => writeFileSync(path, readFileSync(path).subarray(0, 100_000)),
      (path: string) => rmSync(path),
    ]) {
      const before = await recordsNode(isFirst ? [reader()] : [], { data, durable: true });
      if (!isFirst) await before.runtime.start();
      isFirst = false;
      const { text } = await recordedHit(before, LONG);
      await before.runtime.close();
      spoil(bodyIn(data));
      const after = await recordsNode([], { data, durable: true });
      await after.runtime.start();
      const again = await ask(after, LONG);
      expect(again.how).toBe("miss");
      expect(again.text === text).toBe(true);
      await after.runtime.close();
    }
  });

  it("with a file that cannot be read, records begin anew, and nothing else is lost", async () => {
    const data = tempDir();
    const before = await recordsNode([reader()], { data, durable: true });
    await before.put("a", "1");
    await recordedHit(before, "/get?keys=a");
    await before.runtime.close();
    const file = join(data, "records", "state.mdb");
    writeFileSync(file, readFileSync(file).fill(0xff, 0, 8192));
    const after = await recordsNode([], { data, durable: true });
    await after.runtime.start();
    expect(await ask(after, "/get?keys=a")).toMatchObject({ how: "miss", text: "a=1" });
    await recordedHit(after, "/get?keys=a");
    expect(after.log.lines.some(({ msg }) => String(msg).startsWith("the records are let go, and begin anew: the state "))).toBe(true);
  });
});

describe("kill -9", () => {
  const ADMIN = ["--admin", "127.0.0.1:0"];

  it("leaves what was answered from a record to be answered from it again", async () => {
    const cwd = tempDir();
    const first = await startProgram(ADMIN, { cwd });
    const admin = /admin plane (\S+)\/\n/.exec(first.program.stderr)?.[1] as string;
    const headers = { authorization: `Bearer ${readFileSync(join(cwd, ".pilotlight", "admin.key"), "utf8").trim()}` };
    const body = new FormData();
    body.set("manifest", JSON.stringify({ ...reader().manifest, component: "reader.wasm" }));
    body.set("component", new Blob([new Uint8Array(readFileSync(guestPath("reader")))]));
    expect((await fetch(`${admin}/v1/tenants/default/tasks/reader/versions`, { method: "POST", body, headers })).status).toBe(201);
    const put = await fetch(`${admin}/v1/tenants/default/stores/default/entries/a`, { method: "PUT", headers, body: "1" });
    expect(put.status).toBeLessThan(300);
    const paths = ["/get?keys=a", "/list", LONG];
    for (const path of paths) await recordedHit(first, path);
    first.program.signal("SIGKILL");
    await first.program.ended;
    const second = await startProgram(ADMIN, { cwd });
    for (const path of paths) expect([path, (await ask(second, path)).how]).toEqual([path, "hit"]);
    expect((await second.program.stop()).exit).toBe(0);
  });
});

describe("room", () => {
  it("is never more than was granted, whatever is asked", async () => {
    const data = tempDir();
    const node = await recordsNode([reader()], { data, durable: true, records: { bytes: 4 * 2 ** 20, memoryBytes: 2 ** 20 } });
    expect((await node.ask("/big?bytes=300000")).text).toHaveLength(300_000);
    await node.log.first({ msg: "run", recorded: "too long" });
    for (let i = 0; i < 60; i++) expect((await node.ask(`/big?bytes=${200_000 + i}`)).text).toHaveLength(200_000 + i);
    const bytes = (folder: string): number =>
      readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
    await until("what had to go is gone", () => bytes(join(data, "records", "bodies")) <= 4 * 2 ** 20);
    let hits = 0;
    for (let i = 0; i < 60; i++) hits += Number((await node.ask(`/big?bytes=${200_000 + i}`)).how === "hit");
    expect(hits).toBeGreaterThan(0);
  });

  it("that is over after a time is given back, and the task runs", async () => {
    let now = Date.now();
    const node = await recordsNode([reader({ idempotent: { ttl: "10m" } })], { wall: () => now });
    await node.ask("/");
    expect((await hit(node, "/")).cache).toContain("ttl=600");
    now += 599_000;
    expect((await node.ask("/")).cache).toContain("ttl=1;");
    now += 2_000;
    expect((await node.ask("/")).cache).toBe('pilotlight; fwd=stale; detail="expired"');
  });
});
