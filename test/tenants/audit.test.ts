import { describe, expect, it } from "vitest";
import { memoryState } from "../../src/state/memory.js";
import { StateError, type StateStore } from "../../src/state/store.js";
import { Audit, type AuditInput } from "../../src/tenants/audit.js";
import { HighWaterClock } from "../../src/tenants/high-water.js";
import { HOUR, NOON, newState, saidBy, stored, type State } from "./state.js";

function auditOf(state: State): Audit {
  return new Audit(state.store, new HighWaterClock(state.store, state.time));
}

function deed(over: Partial<AuditInput> = {}): AuditInput {
  return {
    who: "key:k1",
    tenant: "acme",
    action: "task.deploy",
    subject: "task hello",
    before: undefined,
    after: { version: "v1" },
    ...over,
  };
}

async function append(state: State, audit: Audit, count: number, over: Partial<AuditInput> = {}): Promise<void> {
  for (let i = 0; i < count; i++) await state.run(audit.append(deed(over)));
}

/** The numbers on each page. */
function pages(audit: Audit, query: { tenant?: string; since?: string; limit?: number }): number[][] {
  const all: number[][] = [];
  for (let cursor: string | undefined; ;) {
    const { items, next } = audit.list({ ...query, cursor });
    all.push(items.map(({ sequence }) => sequence));
    if (next === undefined) return all;
    cursor = next;
  }
}

describe("the audit log", () => {
  it("says who did what to which thing, when, and what was there before and after", async () => {
    const state = newState();
    const audit = auditOf(state);
    const plan = audit.append(deed({ before: { version: "v1" }, after: { version: "v2" } }));
    expect(audit.list({}).items).toEqual([]);
    await state.run(plan);
    const entry = {
      sequence: 1,
      at: "2030-01-01T12:00:00.000Z",
      who: "key:k1",
      tenant: "acme",
      action: "task.deploy",
      subject: "task hello",
      before: { version: "v1" },
      after: { version: "v2" },
    };
    expect(plan.entry).toEqual(entry);
    expect(auditOf(state).list({})).toEqual({ items: [entry], next: undefined });
  });

  it("counts on after a restart, and its times never go back", async () => {
    const state = newState();
    await append(state, auditOf(state), 2);
    state.wall = NOON - HOUR;
    await append(state, auditOf(state), 1);
    expect(
      auditOf(state)
        .list({})
        .items.map(({ sequence, at }) => [sequence, at]),
    ).toEqual([
      [3, "2030-01-01T12:00:00.000Z"],
      [2, "2030-01-01T12:00:00.000Z"],
      [1, "2030-01-01T12:00:00.000Z"],
    ]);
  });

  it("gives no number twice where a commit fails, and shows nothing of it", async () => {
    const state = newState();
    const audit = auditOf(state);
    await append(state, audit, 1);
    audit.append(deed());
    await append(state, audit, 1);
    expect(pages(audit, {})).toEqual([[3, 1]]);
  });

  it("only grows: what appends writes new keys alone", async () => {
    const state = newState();
    const written: string[] = [];
    const store: StateStore = {
      ...state.store,
      commit: async (changes) => {
        for (const { kind, table, key } of changes) if (table.startsWith("audit")) written.push(`${kind} ${table} ${key}`);
        await state.store.commit(changes);
      },
    };
    const audit = new Audit(store, new HighWaterClock(store, state.time));
    await store.commit(audit.append(deed()).changes);
    await store.commit(audit.append(deed({ tenant: undefined })).changes);
    expect(written).toEqual(["put audit 0000000000000001", "put audit-tenants acme/0000000000000001", "put audit 0000000000000002"]);
  });
});

describe("reading it", () => {
  it("goes page by page, the newest first, each entry once", async () => {
    const state = newState();
    const audit = auditOf(state);
    await append(state, audit, 25);
    expect(pages(audit, { limit: 10 })).toEqual([
      [25, 24, 23, 22, 21, 20, 19, 18, 17, 16],
      [15, 14, 13, 12, 11, 10, 9, 8, 7, 6],
      [5, 4, 3, 2, 1],
    ]);
    expect(pages(audit, { limit: 25 })).toHaveLength(1);
    expect(pages(audit, { limit: 5 })).toHaveLength(5);
  });

  it("is not disturbed by entries that come meanwhile", async () => {
    const state = newState();
    const audit = auditOf(state);
    await append(state, audit, 4);
    const { next } = audit.list({ limit: 2 });
    await append(state, audit, 3);
    expect(audit.list({ limit: 2, cursor: next }).items.map(({ sequence }) => sequence)).toEqual([2, 1]);
  });

  it("shows a tenant its own entries, with pages of their own", async () => {
    const state = newState();
    const audit = auditOf(state);
    for (let i = 0; i < 3; i++) {
      await append(state, audit, 1, { tenant: "acme" });
      await append(state, audit, 1, { tenant: "acme-2" });
      await append(state, audit, 1, { tenant: undefined });
    }
    expect(pages(audit, { tenant: "acme", limit: 2 })).toEqual([[3, 2], [1]]);
    expect(pages(audit, { tenant: "acme-2" })).toEqual([[3, 2, 1]]);
    expect(pages(audit, { tenant: "acm" })).toEqual([[]]);
    expect(pages(audit, {})).toEqual([[9, 8, 7, 6, 5, 4, 3, 2, 1]]);
  });

  it("shows nothing from before the tenant was there, of one of the same name", async () => {
    const state = newState();
    const audit = auditOf(state);
    await append(state, audit, 3);
    state.wall += 1;
    await append(state, audit, 3);
    expect(pages(audit, { tenant: "acme", since: new Date(state.wall).toISOString(), limit: 2 })).toEqual([[6, 5], [4]]);
  });

  it("has a hundred on a page unless told, a thousand at most, one at least", async () => {
    const state = newState();
    const audit = auditOf(state);
    await state.store.commit(Array.from({ length: 1005 }, () => audit.append(deed()).changes).flat());
    expect([undefined, 5000, 0].map((limit) => audit.list({ limit }).items.length)).toEqual([100, 1000, 1]);
  });

  it.each(["", "x", "-1", "1/2", "12345678901234567"])("refuses the cursor %j", (cursor) => {
    expect(saidBy(() => auditOf(newState()).list({ cursor }))).toBe("request/invalid: cursor: expected what the page before gave as next");
  });
});

describe("what never gets into it", () => {
  it("a secret's value, whatever whoever appends hands over", async () => {
    const state = newState();
    const secret = { name: "TOKEN", revision: 3, updatedAt: "2030-01-01T12:00:00.000Z", value: "hunter2", sealed: "hunter2" };
    const audit = auditOf(state);
    await state.run(audit.append(deed({ action: "secret.put", subject: "secret TOKEN", before: "hunter2", after: secret })));
    const { before, after } = audit.list({}).items[0] as { before: unknown; after: unknown };
    expect([before, after]).toEqual([undefined, { name: "TOKEN", updatedAt: "2030-01-01T12:00:00.000Z" }]);
    expect(stored(state.store, "audit", "audit-tenants")).not.toContain("hunter2");
  });

  it("the text of a key", async () => {
    const state = newState();
    const text = `pl_${"aB3-_".repeat(9).slice(0, 43)}`;
    await state.run(auditOf(state).append(deed({ subject: `key ${text}`, after: { note: `was ${text}`, text, list: [text] } })));
    const { subject, after } = auditOf(state).list({}).items[0] as { subject: string; after: unknown };
    expect([subject, after]).toEqual(["key pl_***", { note: "was pl_***", text: "pl_***", list: ["pl_***"] }]);
  });
});

it("leaves no entry of what was not committed", async () => {
  const store: StateStore = { ...memoryState(), commit: async () => Promise.reject(new StateError("the disk is full")) };
  const audit = new Audit(store, new HighWaterClock(store, () => NOON));
  await expect(store.commit(audit.append(deed()).changes)).rejects.toThrow("the disk is full");
  expect(audit.list({}).items).toEqual([]);
});
