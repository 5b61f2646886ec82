/** The example `examples/notes`: built as a user would, deployed by two tenants, and asked over the network. */
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { buildGuest } from "../../src/guests/build.js";
import type { Deployed } from "../../src/control/control.js";
import { ROOT, tempDir } from "../support/files.js";
import { startRuntime, type StartedRuntime } from "../support/runtime.js";

const SOURCE = join(ROOT, "examples/notes");
const manifest = JSON.parse(readFileSync(join(SOURCE, "pilotlight.json"), "utf8")) as object;
let component: Buffer;
/** Compiled forms, so that each runtime after the first finds them. */
let data: string;

beforeAll(async () => {
  data = tempDir();
  const folder = tempDir();
  for (const file of ["index.ts", "pilotlight.json"]) cpSync(join(SOURCE, file), join(folder, file));
  component = readFileSync((await buildGuest(folder)).component);
});

interface Told {
  readonly status: number;
  readonly body: string;
}

interface Bench extends StartedRuntime {
  deploy(tenant: string, changes?: object): Promise<Deployed>;
  ask(path: string, init?: RequestInit): Promise<Told>;
  put(path: string, text: string, token?: string): Promise<Told>;
}

/** A node where each of the tenants has its own token, `TENANT-token`. */
async function bench(tenants: readonly string[]): Promise<Bench> {
  const started = await startRuntime([], { data });
  const { control, operator } = started.runtime;
  for (const tenant of tenants) {
    await control.createTenant(operator, tenant, {});
    await control.putSecret(operator, tenant, "NOTES_TOKEN", `${tenant}-token`);
  }
  const ask = async (path: string, init?: RequestInit): Promise<Told> => {
    const answer = await started.get(path, init);
    return { status: answer.status, body: await answer.text() };
  };
  return {
    ...started,
    ask,
    deploy: (tenant, changes = {}) => control.deploy(operator, tenant, { manifest: { ...manifest, ...changes }, component }),
    put: (path, text, token = "acme-token") => ask(path, { method: "PUT", body: text, headers: { authorization: `Bearer ${token}` } }),
  };
}

it("keeps notes for whoever has the secret, and greets as the manifest says", { timeout: 60_000 }, async () => {
  const b = await bench(["acme"]);
  await b.deploy("acme");
  expect(await b.ask("/~acme/notes")).toEqual({ status: 200, body: "Good morning! There are no notes.\n" });
  expect(await b.put("/~acme/notes/milk", "two bottles", "wrong")).toEqual({ status: 401, body: "Writing needs the token.\n" });
  expect(await b.put("/~acme/notes/milk", "two bottles")).toEqual({ status: 201, body: '{"edition":1,"writes":1}\n' });
  expect(await b.put("/~acme/notes/milk", "ein Krügerl 🥛")).toEqual({ status: 200, body: '{"edition":2,"writes":2}\n' });
  expect(await b.put("/~acme/notes/bread", "rye")).toEqual({ status: 201, body: '{"edition":1,"writes":3}\n' });
  expect(await b.ask("/~acme/notes/milk")).toEqual({ status: 200, body: '{"text":"ein Krügerl 🥛","edition":2}\n' });
  expect((await b.ask("/~acme/notes")).body).toBe("Good morning! The notes: bread, milk\n");
  expect((await b.ask("/~acme/notes/none")).status).toBe(404);
  const remove = { method: "DELETE", headers: { authorization: "Bearer acme-token" } };
  expect((await b.ask("/~acme/notes/milk", remove)).status).toBe(204);
  expect((await b.ask("/~acme/notes")).body).toBe("Good morning! The notes: bread\n");
});

it("counts every edition when many write at once", async () => {
  const b = await bench(["acme"]);
  await b.deploy("acme");
  const told = await Promise.all(Array.from({ length: 40 }, (_, i) => b.put("/~acme/notes/shared", `from ${i}`)));
  const editions = told.map(({ body }) => (JSON.parse(body) as { edition: number }).edition);
  expect(editions.sort((a, c) => a - c)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
});

it("is there twice for two tenants, and neither has the other's notes, greeting or token", async () => {
  const b = await bench(["acme", "globex"]);
  await b.deploy("acme");
  await b.deploy("globex", { config: { greeting: "Howdy" } });
  await b.put("/~acme/notes/plan", "ours");
  expect((await b.put("/~globex/notes/plan", "x", "acme-token")).status).toBe(401);
  expect(await b.ask("/~globex/notes")).toEqual({ status: 200, body: "Howdy! There are no notes.\n" });
  expect((await b.ask("/~globex/notes/plan")).status).toBe(404);
});

it("has the notes of before after a deploy, and what the API sees is what the function wrote", async () => {
  const b = await bench(["acme"]);
  const { control, operator } = b.runtime;
  await b.deploy("acme");
  await b.put("/~acme/notes/milk", "two bottles");
  await b.deploy("acme", { config: { greeting: "Evening" } });
  expect((await b.ask("/~acme/notes")).body).toBe("Evening! The notes: milk\n");
  const entry = control.entry(operator, "acme", "notes", "note/milk");
  expect(Buffer.from(entry.value).toString()).toBe('{"text":"two bottles","edition":1}');
  await control.putEntry(operator, "acme", "notes", "note/milk", Buffer.from('{"text":"none","edition":7}'), entry.revision);
  expect((await b.ask("/~acme/notes/milk")).body).toBe('{"text":"none","edition":7}\n');
});
