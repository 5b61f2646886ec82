/** What the admin API does over any `Control`: the cases are written once, and each implementation hands in its own. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Control } from "../../../src/control/control.js";
import { atEnd } from "../../support/cleanup.js";
import { startAdmin, uploadForm, type Answer, type Client } from "./client.js";

export interface AdminSubject {
  /** Empty but for the tenant `default`. */
  readonly control: Control;
  /** The text of an admin key of the node. */
  readonly rootKey: string;
  /** Two components that differ and can be deployed. */
  readonly components: readonly [Uint8Array, Uint8Array];
  stop?(): unknown;
}

export function adminSuite(name: string, make: () => AdminSubject | Promise<AdminSubject>): void {
  const manifest = (task: string): object => ({ name: task, component: "app.wasm" });

  async function start(): Promise<{ subject: AdminSubject; admin: Client }> {
    const subject = await make();
    atEnd(() => subject.stop?.());
    return { subject, admin: await startAdmin(subject.control, {}, subject.rootKey) };
  }

  /** A tenant, and a client with an admin key of it. */
  async function tenant(admin: Client, tenantName: string): Promise<{ ask: Client["ask"]; key: string }> {
    expect((await admin.ask("POST tenants", { json: { name: tenantName } })).status).toBe(201);
    const issued = await admin.ask(`POST tenants/${tenantName}/keys`, { json: { scopes: ["admin", "debug"] } });
    expect(issued.status).toBe(201);
    const key = (issued.json as { text: string }).text;
    return { key, ask: (line, ask) => admin.ask(line, { key, ...ask }) };
  }

  const deploy = (admin: Pick<Client, "ask">, component: Uint8Array, task = "hello", alias?: string, of = "default"): Promise<Answer> =>
    admin.ask(`POST tenants/${of}/tasks/${task}/versions`, { body: uploadForm(manifest(task), component, alias) });

  describe(`the admin API over ${name}`, () => {
    it("says whose key it is, and takes it in either header", async () => {
      const { subject, admin } = await start();
      const bearer = await admin.ask("GET whoami");
      expect(bearer.json).toMatchObject({ key: { scopes: ["admin"] }, version: expect.any(String) });
      const own = await admin.ask("GET whoami", { key: undefined, headers: { "Pilotlight-Key": subject.rootKey } });
      expect(own.json).toEqual(bearer.json);
      // The key of ours counts where the other header is for somebody else.
      const both = await admin.ask("GET whoami", { key: "other", headers: { "Pilotlight-Key": subject.rootKey } });
      expect(both.json).toEqual(bearer.json);
    });

    it("makes, shows, changes and deletes tenants, by revision", async () => {
      const { admin } = await start();
      const made = await admin.ask("POST tenants", { json: { name: "acme", hosts: ["acme.test"], quotas: { tasks: 3, memory: 1e9 } } });
      expect(made.status).toBe(201);
      expect(made.headers.get("location")).toBe("/v1/tenants/acme");
      expect(made.json).toMatchObject({ name: "acme", hosts: ["acme.test"], quotas: { tasks: 3, memory: 1e9 } });
      const tag = made.headers.get("etag") as string;
      expect(tag).toBe(`"${made.json.revision}"`);
      const read = await admin.ask("GET tenants/acme");
      expect([read.json, read.headers.get("etag")]).toEqual([made.json, tag]);
      const known = await admin.ask("GET tenants/acme", { headers: { "If-None-Match": `"0", W/${tag}` } });
      expect([known.status, known.text, known.headers.get("etag")]).toEqual([304, "", tag]);

      const changed = await admin.ask("PATCH tenants/acme", { json: { quotas: { memory: null } }, headers: { "If-Match": tag } });
      expect(changed.json).toMatchObject({ hosts: ["acme.test"], quotas: { tasks: 3 } });
      expect(changed.json.quotas).not.toHaveProperty("memory");
      expect(changed.headers.get("etag")).not.toBe(tag);
      expect((await admin.ask("GET tenants/acme", { headers: { "If-None-Match": tag } })).status).toBe(200);
      const raced = await admin.ask("PATCH tenants/acme", { json: { hosts: [] }, headers: { "If-Match": tag } });
      expect([raced.status, raced.json.type]).toEqual([412, "https://pilotlight.dev/problems/request/changed-meanwhile"]);
      expect((await admin.ask("GET tenants/acme")).json).toEqual(changed.json);

      expect((await admin.ask("POST tenants", { json: { name: "acme" } })).status).toBe(409);
      expect((await admin.ask("DELETE tenants/acme", { headers: { "If-Match": tag } })).status).toBe(412);
      const gone = await admin.ask("DELETE tenants/acme");
      expect([gone.status, gone.text]).toEqual([204, ""]);
      expect((await admin.ask("GET tenants/acme")).status).toBe(404);
    });

    it("grants tenants terms of capacity, field by field", async () => {
      const { admin } = await start();
      const made = await admin.ask("POST tenants", { json: { name: "acme", capacity: { dedicated: 1 } } });
      const usual = { variableCeiling: 0, whenFull: ["wait", "spill", "reject"], weight: 1 };
      expect(made.json.capacity).toEqual({ ...usual, dedicated: 1 });
      const changed = await admin.ask("PATCH tenants/acme", {
        json: { capacity: { dedicated: 0, variableCeiling: 0.25, whenFull: ["reject"] } },
      });
      expect(changed.json.capacity).toEqual({ dedicated: 0, variableCeiling: 0.25, whenFull: ["reject"], weight: 1 });
      expect((await admin.ask("GET tenants/acme")).json).toEqual(changed.json);
      const wrong = { dedicated: "4", whenFull: ["retry"], spare: 1 };
      const refused = await admin.ask("PATCH tenants/acme", { json: { capacity: wrong } });
      expect([refused.status, refused.json.errors]).toEqual([
        422,
        [
          { path: "capacity.dedicated", detail: expect.stringContaining("expected number") },
          { path: "capacity.whenFull[0]", detail: expect.stringContaining('"wait"|"spill"|"reject"') },
          { path: "capacity.spare", detail: "unknown field" },
        ],
      ]);
    });

    it("shows the node's capacity, and changes it until it is reset", async () => {
      const { admin } = await start();
      const before = await admin.ask("GET capacity");
      expect(before.json).toMatchObject({ set: {}, now: { draining: false }, drained: [] });
      expect(before.json.settings.budgetBytes).toBeGreaterThan(0);
      const changed = await admin.ask("PATCH capacity", { json: { overcommit: 3, pools: { variable: { warming: 0 } } } });
      expect(changed.json).toMatchObject({ settings: { overcommit: 3 }, set: { overcommit: 3, pools: { variable: { warming: 0 } } } });
      expect((await admin.ask("GET capacity")).json.set).toEqual(changed.json.set);
      expect((await admin.ask("PATCH capacity", { json: { overcommit: 0 } })).json.errors).toEqual([
        { path: "overcommit", detail: "expected a number from 1 to 1000" },
      ]);
      const unknown = await admin.ask("PATCH capacity", { json: { memory: "8GiB", pools: { shared: { size: 1 }, spare: {} } } });
      expect((unknown.json.errors as { path: string }[]).map(({ path }) => path).sort()).toEqual([
        "memory",
        "pools.shared.size",
        "pools.spare",
      ]);
      expect((await admin.ask("DELETE capacity")).status).toBe(204);
      expect((await admin.ask("GET capacity")).json).toMatchObject({ settings: before.json.settings, set: {} });
    });

    it("drains a tenant and the node, and has them take runs again", async () => {
      const { admin } = await start();
      await admin.ask("POST tenants", { json: { name: "acme" } });
      expect((await admin.ask("POST tenants/acme/drain")).status).toBe(204);
      expect((await admin.ask("GET capacity")).json.drained).toEqual(["acme"]);
      expect((await admin.ask("POST tenants/acme/resume", { json: {} })).status).toBe(204);
      expect((await admin.ask("GET capacity")).json.drained).toEqual([]);
      expect((await admin.ask("POST drain")).status).toBe(204);
      expect((await admin.ask("GET capacity")).json.now.draining).toBe(true);
      expect((await admin.ask("POST resume")).status).toBe(204);
      expect((await admin.ask("GET capacity")).json.now.draining).toBe(false);
      expect((await admin.ask("POST tenants/nobody/drain")).status).toBe(404);
      expect((await admin.ask("POST cells/no-cell/drain")).status).toBe(404);
      expect((await admin.ask("POST drain", { json: { tenant: "acme" } })).json.errors).toEqual([
        { path: "tenant", detail: "unknown field" },
      ]);
    });

    it("gives lists in pages that hold everything once", async () => {
      const { admin } = await start();
      for (const name of ["a", "b", "c"]) await admin.ask("POST tenants", { json: { name } });
      const seen: string[] = [];
      let pages = 0;
      for (let path = "GET tenants?limit=2"; ; pages += 1) {
        const { items, next } = (await admin.ask(path)).json as { items: { name: string }[]; next: string | null };
        seen.push(...items.map(({ name }) => name));
        if (next === null) break;
        path = `GET tenants?limit=2&cursor=${encodeURIComponent(next)}`;
      }
      expect(seen.sort()).toEqual(["a", "b", "c", "default"]);
      expect(pages).toBe(1);
    });

    it("issues, rotates and revokes keys, and tells a text once", async () => {
      const { admin } = await start();
      await admin.ask("POST tenants", { json: { name: "acme" } });
      for (const path of ["keys", "tenants/acme/keys"]) {
        const issued = await admin.ask(`POST ${path}`, {
          json: { scopes: ["read"], note: "laptop", expiresAt: "2999-01-01T00:00:00.000Z" },
        });
        const { key, text } = issued.json as { key: { id: string }; text: string };
        expect(key).toMatchObject({ scopes: ["read"], note: "laptop", expiresAt: "2999-01-01T00:00:00.000Z" });
        expect((await admin.ask("GET whoami", { key: text })).json.key).toEqual(key);
        const list = await admin.ask(`GET ${path}`);
        expect(list.json.items).toContainEqual(key);
        expect(list.text).not.toContain(text);

        const rotated = await admin.ask(`POST ${path}/${key.id}/rotate`, { json: { graceSeconds: 60 } });
        expect(rotated.status).toBe(201);
        expect(rotated.json.key).toMatchObject({ scopes: ["read"], note: "laptop" });
        for (const one of [text, rotated.json.text]) expect((await admin.ask("GET whoami", { key: one })).status).toBe(200);
        const again = await admin.ask(`POST ${path}/${rotated.json.key.id}/rotate`);
        expect(again.status).toBe(201);
        expect((await admin.ask("GET whoami", { key: rotated.json.text })).status).toBe(401);

        expect((await admin.ask(`DELETE ${path}/${again.json.key.id}`)).status).toBe(204);
        expect((await admin.ask("GET whoami", { key: again.json.text })).status).toBe(401);
        expect((await admin.ask(`DELETE ${path}/${again.json.key.id}`)).status).toBe(404);
      }
    });

    it("deploys an upload, and the same again is the same version", async () => {
      const { subject, admin } = await start();
      const [first, second] = subject.components;
      const made = await deploy(admin, first);
      expect(made.status).toBe(201);
      const digest = createHash("sha256").update(first).digest("hex");
      expect(made.json).toMatchObject({ tenant: "default", task: "hello", version: "v1", created: true, digest, alias: "live" });
      expect(made.headers.get("location")).toBe("/v1/tenants/default/tasks/hello/versions/v1");
      const same = await deploy(admin, first);
      expect([same.status, same.json.version, same.json.created]).toEqual([200, "v1", false]);
      const other = await deploy(admin, second, "hello", "next");
      expect([other.json.version, other.json.alias]).toEqual(["v2", "next"]);
      expect((await deploy(admin, second, "hello", "")).json).not.toHaveProperty("alias");

      const task = await admin.ask("GET tenants/default/tasks/hello");
      expect(task.json).toMatchObject({ name: "hello", tenant: "default", versions: 2 });
      expect(task.headers.get("etag")).toBe(`"${task.json.revision}"`);
      expect((await admin.ask("GET tenants/default/tasks")).json.items).toEqual([task.json]);
      const versions = (await admin.ask("GET tenants/default/tasks/hello/versions")).json.items as { version: string }[];
      expect(versions.map(({ version }) => version).sort()).toEqual(["v1", "v2"]);
      const version = await admin.ask("GET tenants/default/tasks/hello/versions/v1");
      expect(version.json).toMatchObject({
        version: "v1",
        digest,
        componentBytes: first.byteLength,
        manifest: manifest("hello"),
        aliases: ["live"],
      });
      expect((await admin.ask("GET tenants/default/tasks/hello/versions/1")).json).toEqual(version.json);

      expect((await admin.ask("DELETE tenants/default/tasks/hello/versions/v1")).status).toBe(409);
      await admin.ask("DELETE tenants/default/tasks/hello/aliases/next");
      expect((await admin.ask("DELETE tenants/default/tasks/hello/versions/v2")).status).toBe(204);
      expect((await admin.ask("DELETE tenants/default/tasks/hello", { headers: { "If-Match": '"999999999"' } })).status).toBe(412);
      expect((await admin.ask("DELETE tenants/default/tasks/hello")).status).toBe(204);
      expect((await admin.ask("GET tenants/default/tasks/hello")).status).toBe(404);
    });

    it("moves aliases by weight, back, and only from what was read", async () => {
      const { subject, admin } = await start();
      for (const component of subject.components) await deploy(admin, component);
      const path = "tenants/default/tasks/hello/aliases";
      const live = await admin.ask(`GET ${path}/live`);
      expect(live.json).toMatchObject({ name: "live", targets: { v2: 1 }, previous: { targets: { v1: 1 } } });
      const tag = live.headers.get("etag") as string;
      const split = await admin.ask(`PUT ${path}/live`, {
        json: { targets: { "1": 90, v2: 10 }, sticky: "x-user" },
        headers: { "If-Match": tag },
      });
      expect(split.json).toMatchObject({ targets: { v1: 90, v2: 10 }, sticky: "x-user" });
      expect((await admin.ask(`PUT ${path}/live`, { json: { targets: { v1: 1 } }, headers: { "If-Match": tag } })).status).toBe(412);
      expect((await admin.ask(`POST ${path}/live/rollback`)).json.targets).toEqual({ v2: 1 });
      expect((await admin.ask(`POST ${path}/live/rollback`, { json: { to: "1" } })).json.targets).toEqual({ v1: 1 });

      const absent = { "If-None-Match": "*" };
      expect((await admin.ask(`PUT ${path}/beta`, { json: { targets: { v2: 1 } }, headers: absent })).status).toBe(200);
      expect((await admin.ask(`PUT ${path}/beta`, { json: { targets: { v1: 1 } }, headers: absent })).status).toBe(412);
      expect((await admin.ask(`GET ${path}/beta`)).json.targets).toEqual({ v2: 1 });
      expect((await admin.ask(`DELETE ${path}/beta`)).status).toBe(204);
      expect((await admin.ask(`GET ${path}/beta`)).status).toBe(404);
      expect((await admin.ask(`DELETE ${path}/live`)).status).toBe(409);
      expect((await admin.ask(`PUT ${path}/live`, { json: { targets: { v9: 1 } } })).status).toBe(404);
    });

    it("sets and deletes secrets, and never tells one", async () => {
      const { admin } = await start();
      const value = "s3cr3t-value";
      const set = await admin.ask("PUT tenants/default/secrets/API_TOKEN", { json: { value } });
      expect(set.json).toEqual({ name: "API_TOKEN", updatedAt: expect.any(String), usedBy: [] });
      const answers = [set, await admin.ask("GET tenants/default/secrets"), await admin.ask("GET audit")];
      expect(answers[1]?.json).toEqual({ items: [set.json], next: null });
      expect((await admin.ask("DELETE tenants/default/secrets/API_TOKEN")).status).toBe(204);
      answers.push(await admin.ask("DELETE tenants/default/secrets/API_TOKEN"));
      expect(answers.at(-1)?.status).toBe(404);
      for (const { text } of answers) expect(text).not.toContain(value);
      expect(JSON.stringify(admin.reported)).not.toContain(value);
    });

    it("keeps any bytes under any key, by revision", async () => {
      const { admin } = await start();
      const base = "tenants/default/stores/default/entries";
      const value = Uint8Array.from({ length: 256 }, (_, i) => i);
      for (const key of ["plain", "a/b c?d#e%41", "ü/%2F", "x:y"]) {
        const path = `${base}/${encodeURIComponent(key)}`;
        const set = await admin.ask(`PUT ${path}`, { body: value });
        expect([set.status, set.text]).toEqual([204, ""]);
        const read = await admin.ask(`GET ${path}`);
        expect(read.bytes).toEqual(value);
        expect(read.headers.get("etag")).toBe(set.headers.get("etag"));
        expect(read.headers.get("content-type")).toBe("application/octet-stream");
        const list = await admin.ask(`GET ${base}?prefix=${encodeURIComponent(key)}`);
        const revision = Number((set.headers.get("etag") as string).slice(1, -1));
        expect(list.json).toEqual({ items: [{ key, revision, bytes: 256 }], next: null });
      }
      expect((await admin.ask("GET tenants/default/stores")).json).toMatchObject({ items: [{ name: "default", keys: 4 }], next: null });

      const path = `${base}/counter`;
      const absent = { "If-None-Match": "*" };
      const tag = (await admin.ask(`PUT ${path}`, { body: "1", headers: absent })).headers.get("etag") as string;
      expect((await admin.ask(`PUT ${path}`, { body: "9", headers: absent })).status).toBe(412);
      const next = await admin.ask(`PUT ${path}`, { body: "2", headers: { "If-Match": tag } });
      expect(next.status).toBe(204);
      expect((await admin.ask(`PUT ${path}`, { body: "3", headers: { "If-Match": tag } })).status).toBe(412);
      expect((await admin.ask(`GET ${path}`)).text).toBe("2");
      expect((await admin.ask(`DELETE ${path}`, { headers: { "If-Match": tag } })).status).toBe(412);
      expect((await admin.ask(`DELETE ${path}`, { headers: { "If-Match": next.headers.get("etag") as string } })).status).toBe(204);
      expect((await admin.ask(`GET ${path}`)).status).toBe(404);
      const empty = await admin.ask(`PUT ${path}`, { body: "" });
      expect([empty.status, (await admin.ask(`GET ${path}`)).text]).toEqual([204, ""]);
    });

    it("shows one tenant nothing of another, in the words for what is not there", async () => {
      const { subject, admin } = await start();
      const ours = await tenant(admin, "ours");
      const theirs = await tenant(admin, "theirs");
      expect((await deploy(theirs, subject.components[0], "hello", undefined, "theirs")).status).toBe(201);
      await theirs.ask("PUT tenants/theirs/secrets/TOKEN", { json: { value: "x" } });
      await theirs.ask("PUT tenants/theirs/stores/default/entries/k", { body: "v" });
      const keys = (await theirs.ask("GET tenants/theirs/keys")).json.items as { id: string }[];
      const id = keys[0]?.id as string;
      const form = (): FormData => uploadForm(manifest("hello"), subject.components[0]);
      const asked: [string, Parameters<Client["ask"]>[1]?][] = [
        ["GET tenants/T"],
        ["PATCH tenants/T", { json: { hosts: [] } }],
        ["DELETE tenants/T"],
        ["GET tenants/T/keys"],
        ["POST tenants/T/keys", { json: { scopes: ["read"] } }],
        [`DELETE tenants/T/keys/${id}`],
        [`POST tenants/T/keys/${id}/rotate`],
        ["GET tenants/T/tasks"],
        ["GET tenants/T/tasks/hello"],
        ["DELETE tenants/T/tasks/hello"],
        ["GET tenants/T/tasks/hello/versions"],
        ["POST tenants/T/tasks/hello/versions"],
        ["GET tenants/T/tasks/hello/versions/v1"],
        ["DELETE tenants/T/tasks/hello/versions/v1"],
        ["GET tenants/T/tasks/hello/aliases/live"],
        ["PUT tenants/T/tasks/hello/aliases/live", { json: { targets: { v1: 1 } } }],
        ["DELETE tenants/T/tasks/hello/aliases/live"],
        ["POST tenants/T/tasks/hello/aliases/live/rollback"],
        ["GET tenants/T/secrets"],
        ["PUT tenants/T/secrets/TOKEN", { json: { value: "y" } }],
        ["DELETE tenants/T/secrets/TOKEN"],
        ["GET tenants/T/stores"],
        ["GET tenants/T/stores/default/entries"],
        ["GET tenants/T/stores/default/entries/k"],
        ["PUT tenants/T/stores/default/entries/k", { body: "w" }],
        ["DELETE tenants/T/stores/default/entries/k"],
        ["POST tenants/T/drain"],
        ["POST tenants/T/resume"],
        ["GET tenants/T/audit"],
        ["GET tenants/T/usage"],
        ["GET tenants/T/capabilities"],
        ["GET tenants/T/advice"],
        ["GET tenants/T/logs"],
        ["GET tenants/T/logs?follow=1"],
      ];
      for (const [line, ask] of asked) {
        const [there, nowhere] = await Promise.all(
          ["theirs", "nowhere"].map((name) =>
            ours.ask(line.replace("/T", `/${name}`), line.startsWith("POST") && line.endsWith("/versions") ? { body: form() } : ask),
          ),
        );
        // Tenants themselves are for the node's keys, whatever they are called.
        const isNodes = /^(?:PATCH|DELETE) tenants\/T$|\/(?:drain|resume)$/.test(line);
        expect([line, there?.status, nowhere?.status]).toEqual([line, ...(isNodes ? [403, 403] : [404, 404])]);
        const words = (answer: Answer | undefined, name: string): string =>
          (answer?.text ?? "").replace(/"run":"\w+"/, "").replaceAll(name, "T");
        expect(words(there, "theirs")).toBe(words(nowhere, "nowhere"));
      }
      expect((await ours.ask("GET tenants")).json.items.map(({ name }: { name: string }) => name)).toEqual(["ours"]);
      for (const line of ["GET keys", "POST tenants", "GET audit", "GET capacity", "DELETE capacity"])
        expect((await ours.ask(line, line.startsWith("POST") ? { json: { name: "mine" } } : {})).status).toBe(403);
      for (const line of ["POST drain", "POST resume", "POST cells/1/drain"]) expect((await ours.ask(line)).status).toBe(403);
      expect((await ours.ask("PATCH capacity", { json: { overcommit: 2 } })).status).toBe(403);
      const cells = (await ours.ask("GET cells")).json.items as { tenant?: string }[];
      expect(cells.filter(({ tenant }) => tenant !== "ours")).toEqual([]);
      expect((await theirs.ask("GET tenants/theirs/stores/default/entries/k")).text).toBe("v");
    });

    it("tells what was done, the newest first", async () => {
      const { admin } = await start();
      const ours = await tenant(admin, "ours");
      await ours.ask("PUT tenants/ours/secrets/TOKEN", { json: { value: "x" } });
      const own = (await ours.ask("GET tenants/ours/audit")).json as { items: { action: string; tenant: string; sequence: number }[] };
      expect(own.items[0]).toMatchObject({ action: "secret.put", tenant: "ours", who: expect.stringMatching(/^key:/) });
      const sequence = own.items.map((entry) => entry.sequence);
      expect(sequence).toEqual([...sequence].sort((a, b) => b - a));
      const whole = (await admin.ask("GET audit?limit=1")).json as { items: unknown[] };
      // The node counts everybody's entries, a tenant its own.
      expect(whole.items).toEqual([{ ...own.items[0], sequence: expect.any(Number) }]);
    });
  });
}
