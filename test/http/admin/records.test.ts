/** Records over HTTP: from the store, through the control plane's desk, to what a key is shown and may let go of. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Control } from "../../../src/control/control.js";
import { Ledger } from "../../../src/control/ledger.js";
import { RecordDesk } from "../../../src/control/records.js";
import { memoryBodies } from "../../../src/memo/bodies.js";
import { prefixDep } from "../../../src/memo/deps.js";
import type { MemoRecord } from "../../../src/memo/record.js";
import { RecordStore } from "../../../src/memo/store.js";
import { Audit } from "../../../src/tenants/audit.js";
import { HighWaterClock } from "../../../src/tenants/high-water.js";
import type { Caller, Scope } from "../../../src/tenants/tenant.js";
import { Tenants } from "../../../src/tenants/tenants.js";
import { guestPath } from "../../support/guests.js";
import { startRuntime } from "../../support/runtime.js";
import { until } from "../../support/until.js";
import { fetchedOf, readDep, recordOf, traceOf } from "../../memo/recorded.js";
import { fakeTask } from "../../tasks/fake-task.js";
import { newState } from "../../tenants/state.js";
import { expectProblem, startAdmin, type Client } from "./client.js";
import { FakeControl } from "./fake-control.js";

const OPERATOR: Caller = { kind: "operator", name: "test" };

interface Subject {
  readonly admin: Client;
  readonly records: RecordStore;
  readonly audit: () => unknown[];
  readonly as: (tenant: string, scope: Scope) => Promise<Client["ask"]>;
}

/** The tenants acme and globex; the task `thumbs` is idempotent for an hour. */
async function start(...kept: readonly MemoRecord[]): Promise<Subject> {
  const state = newState();
  const tenants = new Tenants(state.store, state.time);
  const audit = new Audit(state.store, new HighWaterClock(state.store, state.time));
  const control = new FakeControl();
  const admin = await startAdmin(control, {}, control.rootKey);
  for (const name of ["acme", "globex"]) {
    await state.run(tenants.create(name, {}));
    await control.createTenant(OPERATOR, name, {});
  }
  const report = (error: unknown): void => expect.fail(String(error));
  const room = { budget: 2 ** 20, memory: 2 ** 20, random: () => 0, report };
  const records = new RecordStore({ state: state.store, bodies: memoryBodies(), ...room }, 0);
  for (const record of kept) records.put(record, undefined, Infinity, records.floors.next());
  const desk = new RecordDesk({
    tenants,
    records,
    ledger: new Ledger(state.store, audit),
    revisionKey: Buffer.from("key"),
    live: { of: (_tenant, name) => (name === "thumbs" ? fakeTask("thumbs", { idempotent: {} }) : undefined) },
  });
  const own = { records: desk.list.bind(desk), record: desk.get.bind(desk), purgeRecords: desk.purge.bind(desk) };
  Object.assign(control, own satisfies Partial<Control>);
  return {
    admin,
    records,
    audit: () => [...audit.list({}).items],
    async as(tenant, scope) {
      const { text: key } = await control.issueKey(OPERATOR, tenant, { scopes: [scope] });
      return (line, ask = {}) => admin.ask(line, { key, ...ask });
    },
  };
}

const PATH = "tenants/acme/records";
const keysOf = ({ json }: { json: { items: { key: string }[] } }): string[] => json.items.map(({ key }) => key.replace(/0+$/, ""));

describe("records", () => {
  it("are listed with all that is told of them", async () => {
    const reads = [readDep("value", "acme", "default", "a", 3), prefixDep("acme", "default", "b/", 3)];
    const { admin } = await start(
      recordOf("a1", { trace: traceOf({ reads, tasks: [["acme/png", "print"]] }) }),
      recordOf("b2", { task: "other", answer: { kind: "call", json: "3" }, what: "demo:math/calc#add" }),
    );
    expect((await admin.ask(`GET ${PATH}`)).json).toEqual({
      items: [
        {
          key: "a1".padEnd(32, "0"),
          task: "thumbs",
          version: "v1",
          what: "GET /thumbs/7",
          run: "ab".repeat(16),
          recordedAt: "2030-01-01T12:00:00.000Z",
          expiresAt: "2030-01-01T13:00:00.000Z",
          status: 200,
          bytes: expect.any(Number),
          runMs: 12.5,
          hits: 0,
          dependencies: 3,
        },
        expect.objectContaining({ task: "other", what: "demo:math/calc#add", dependencies: 0 }),
      ],
      next: null,
    });
    const [, call] = (await admin.ask(`GET ${PATH}`)).json.items;
    expect([call.status, call.expiresAt]).toEqual([undefined, undefined]);
  });

  it("come in pages, of a task, by the digits of a key, or by what they have read", async () => {
    const of = (key: string): MemoRecord => recordOf(key, { trace: traceOf({ reads: [readDep("value", "acme", "default", key, 1)] }) });
    const { admin } = await start(of("a1"), of("a2"), of("b1"), recordOf("c1", { task: "other" }), recordOf("d1", { tenant: "globex" }));
    const first = await admin.ask(`GET ${PATH}?limit=2`);
    expect([keysOf(first), keysOf(await admin.ask(`GET ${PATH}?limit=2&cursor=${first.json.next}`))]).toEqual([
      ["a1", "a2"],
      ["b1", "c1"],
    ]);
    expect((await admin.ask(`GET ${PATH}?limit=4`)).json.next).toBeNull();
    const keys = async (query: string): Promise<string[]> => keysOf(await admin.ask(`GET ${PATH}?${query}`));
    expect(await keys("task=other")).toEqual(["c1"]);
    expect(await keys("key=a")).toEqual(["a1", "a2"]);
    expect(await keys("reads=kv:default/a*")).toEqual(["a1", "a2"]);
    expect(await keys("reads=kv:default/a*&key=a2&task=thumbs")).toEqual(["a2"]);
  });

  it("of one tenant are not there for another's key, nor is what a task of another has read", async () => {
    const theirs = traceOf({
      reads: [readDep("value", "globex", "default", "secret-key", 7), readDep("value", "acme", "default", "a", 3)],
      tasks: [["globex/png", "print"]],
      depends: [["globex/png", "tides", "high"]],
      fetched: [["globex/png", fetchedOf("https://inside.example/x")]],
    });
    const { admin, as } = await start(recordOf("a1", { trace: theirs }));
    const [acme, globex] = [await as("acme", "read"), await as("globex", "read")];
    const shown = await acme(`GET ${PATH}/${"a1".padEnd(32, "0")}`);
    expect(shown.json.reads).toEqual([expect.stringMatching(/^kv:default\/a @ \d+$/), "another tenant's data"]);
    expect(shown.json.dependencies).toBe(2);
    expect(shown.text).not.toMatch(/globex|secret-key|tides|inside/);
    for (const reads of ["kv:default/secret-key", "task:png", "tides", "https://*"])
      expect((await acme(`GET ${PATH}?reads=${encodeURIComponent(reads)}`)).json.items).toEqual([]);
    const noTenant = "There is no tenant acme.";
    for (const line of [`GET ${PATH}`, `GET ${PATH}/a1000000`, `DELETE ${PATH}?all=true`])
      expectProblem(await globex(line), 404, "request/no-such-thing", noTenant);
    expect((await admin.ask("GET tenants/globex/records")).json.items).toEqual([]);
    expect((await acme(`DELETE ${PATH}?all=true`)).status).toBe(403);
  });

  it("show their headers and what they have read, found by as many digits as tell them apart", async () => {
    const trace = traceOf({
      reads: [readDep("value", "acme", "default", "a", 3), readDep("exists", "acme", "default", "gone", 0)],
      tasks: [["acme/png", "print"]],
      files: [["/srv/data", "state"]],
      depends: [["acme/thumbs", "tides", "high"]],
      fetched: [["acme/thumbs", fetchedOf("https://api.example/a")]],
    });
    const { admin } = await start(recordOf("a1a1a1a1a1", { trace }), recordOf("a1a1a1a1b2"));
    const { json } = await admin.ask(`GET ${PATH}/a1a1a1a1a`);
    expect(json.headers).toEqual([
      { name: "Content-Type", value: "text/plain" },
      { name: "ETag", value: '"a"' },
    ]);
    expect(json.bodyBytes).toBe(5);
    // As `stores` shows revisions: others' changes are not to be counted in them.
    expect(json.reads).toEqual([
      expect.stringMatching(/^kv:default\/a @ \d{6,}$/),
      "kv:default/gone @ 0",
      "task:png",
      "files /srv/data",
      "resource tides = high",
      "GET https://api.example/a",
    ]);
    expectProblem(
      await admin.ask(`GET ${PATH}/a1a1a1a1`),
      404,
      "request/no-such-thing",
      "There are several records whose keys begin with a1a1a1a1.",
    );
    for (const key of ["a1a1a1a", "ffffffff", "A1A1A1A1A", "a1a1a1a1a%2F"])
      expectProblem(await admin.ask(`GET ${PATH}/${key}`), 404, "request/no-such-thing", expect.stringMatching(/^There is no record /));
  });
});

describe("purging", () => {
  it.each([
    ["task=other", ["a1a1a1a1", "b1b1b1b1"], "records of task other"],
    ["key=a1a1a1a1", ["b1b1b1b1", "c1c1c1c1"], "records with key a1a1a1a1"],
    ["reads=kv:default/x*", ["a1a1a1a1", "c1c1c1c1"], "records that read kv:default/x*"],
    ["all=true", [], "all records"],
  ])("%s lets go of these alone, and is in the audit log", async (query, left, subject) => {
    const { admin, audit, records } = await start(
      recordOf("a1a1a1a1"),
      recordOf("b1b1b1b1", { trace: traceOf({ reads: [readDep("value", "acme", "default", "x1", 1)] }) }),
      recordOf("c1c1c1c1", { task: "other" }),
      recordOf("d1d1d1d1", { tenant: "globex" }),
    );
    expect((await admin.ask(`DELETE ${PATH}?${query}`)).json).toEqual({ purged: 3 - left.length });
    expect(keysOf(await admin.ask(`GET ${PATH}`))).toEqual(left);
    expect(records.figures().records).toBe(left.length + 1);
    expect(audit()).toEqual([expect.objectContaining({ tenant: "acme", action: "records.purge", subject })]);
  });

  it.each([
    ["", [{ path: "all", detail: "expected task, key or reads to say which, or true for all of the tenant's" }]],
    ["?all=true&task=thumbs", [{ path: "all", detail: expect.stringMatching(/^expected to be alone/) }]],
    ["?all=yes", [{ path: "all", detail: "expected true, or nothing" }]],
    ["?key=a1", [{ path: "key", detail: "expected 8 to 32 digits of a key: 0 to 9, a to f" }]],
    [
      "?key=xyz&reads=kv:default",
      [
        { path: "key", detail: expect.any(String) },
        { path: "reads", detail: expect.stringMatching(/^expected "kv:STORE\/KEY"/) },
      ],
    ],
    ["?colour=red", [{ path: "colour", detail: "unknown field" }]],
  ])("%j is refused, and nothing goes", async (query, errors) => {
    const { admin, audit, records } = await start(recordOf("a1a1a1a1"));
    const answer = await admin.ask(`DELETE ${PATH}${query}`);
    expect([answer.status, answer.json.errors]).toEqual([422, errors]);
    expect([records.figures().records, audit()]).toEqual([1, []]);
  });
});

it("those of a task and of a tenant go with it", async () => {
  const { runtime } = await startRuntime([]);
  const { control, operator } = runtime;
  const component = readFileSync(guestPath("kv-draft2"));
  const usual = { component: "kv.wasm", stores: ["default"], idempotent: {} };
  const tasks = (): string[] => control.records(operator, "acme", {}, {}).items.map(({ task }) => task);
  const create = (): Promise<unknown> => control.createTenant(operator, "acme", { hosts: ["acme.test"] });
  await create();
  for (const name of ["get", "exists"]) {
    await control.deploy(operator, "acme", { manifest: { ...usual, name, routes: [`acme.test/${name}`] }, component });
    const request = new Request(`http://acme.test/${name}?key=a&store=default`, { headers: { host: "acme.test" } });
    await (await runtime.fetch(request)).text();
  }
  await until("both are recorded", () => tasks().length === 2);
  await control.deleteTask(operator, "acme", "get", undefined);
  expect(tasks()).toEqual(["exists"]);
  await control.deleteTenant(operator, "acme", undefined);
  await create();
  expect(tasks()).toEqual([]);
});
