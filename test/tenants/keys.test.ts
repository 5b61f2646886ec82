import { createHash } from "node:crypto";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { HighWaterClock } from "../../src/tenants/high-water.js";
import { Keys, nodePrimitives, type KeySettings } from "../../src/tenants/keys.js";
import type { Scope } from "../../src/tenants/tenant.js";
import { HOUR, NOON, newState, problemOf, saidBy, stored, type State } from "./state.js";

const READ: KeySettings = { tenant: "acme", scopes: ["read"] };

function keysOf(state: State): Keys {
  return new Keys(state.store, new HighWaterClock(state.store, state.time));
}

describe("a key", () => {
  it("is pl_ and 256 random bits, found by its text and shown without it", async () => {
    const state = newState();
    const keys = keysOf(state);
    const { key, text } = await state.run(
      keys.issue({ tenant: "acme", scopes: ["read", "deploy", "read"], note: "CI", expiresAt: "2031-01-01T01:00:00+01:00" }),
    );
    expect(text).toMatch(/^pl_[A-Za-z0-9_-]{43}$/);
    expect(Buffer.from(text.slice(3), "base64url")).toHaveLength(32);
    expect(key).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{16}$/),
      tenant: "acme",
      scopes: ["deploy", "read"],
      note: "CI",
      createdAt: "2030-01-01T12:00:00.000Z",
      expiresAt: "2031-01-01T00:00:00.000Z",
    });
    expect(keys.verify(text)).toBe(key);
    expect([keys.get(key.id), keys.find("acme", key.id), keys.list("acme")]).toEqual([key, key, [key]]);
    expect(inspect(keys, { depth: 9, showHidden: true })).not.toContain(text);
  });

  it("is stored as the sha256 of its text, and nothing that gives the text", async () => {
    const state = newState();
    const { key, text } = await state.run(keysOf(state).issue(READ));
    const hash = createHash("sha256").update(text).digest("hex");
    expect(state.store.get({ name: "keys" }, key.id)).toEqual({ ...key, hash });
    expect(stored(state.store, "keys")).not.toContain(text.slice(3));
  });

  it("holds after a restart", async () => {
    const state = newState();
    const { key, text } = await state.run(keysOf(state).issue({ tenant: undefined, scopes: ["admin"] }));
    expect(keysOf(state).verify(text)).toEqual(key);
  });

  it("is nobody's before its plan is applied", async () => {
    const state = newState();
    const keys = keysOf(state);
    const plan = keys.issue(READ);
    expect([keys.list("acme"), keys.get(plan.key.id)]).toEqual([[], undefined]);
    expect(plan).not.toHaveProperty("text");
    const { key, text } = await state.run(plan);
    expect(key).toBe(plan.key);
    expect(keys.verify(text)?.tenant).toBe("acme");
  });

  it("is found among its tenant's alone", async () => {
    const state = newState();
    const keys = keysOf(state);
    const { key } = await state.run(keys.issue(READ));
    const { key: ofNode } = await state.run(keys.issue({ ...READ, tenant: undefined }));
    expect([keys.list("acme"), keys.list(undefined), keys.list("beta")]).toEqual([[key], [ofNode], []]);
    for (const tenant of ["beta", undefined]) {
      expect(saidBy(() => keys.find(tenant, key.id))).toBe(`request/no-such-thing: There is no key ${key.id}.`);
    }
    expect(saidBy(() => keys.find("acme", "ffffffffffffffff"))).toBe("request/no-such-thing: There is no key ffffffffffffffff.");
  });

  it("tells every wrong field, and what would be right", () => {
    const wrong: KeySettings = { tenant: "acme", scopes: ["read", "write" as Scope], note: "two\nlines", expiresAt: "tomorrow" };
    expect(problemOf(() => keysOf(newState()).issue(wrong)).errors).toEqual([
      { field: "scopes[1]", message: "expected one of admin, deploy, invoke, debug, read" },
      { field: "note", message: "expected one line of at most 200 characters" },
      { field: "expiresAt", message: 'expected a time such as "2030-01-31T12:00:00Z"' },
    ]);
    expect(saidBy(() => keysOf(newState()).issue({ tenant: "acme", scopes: [] }))).toBe(
      "request/invalid: scopes: expected at least one of admin, deploy, invoke, debug, read",
    );
    expect(saidBy(() => keysOf(newState()).issue({ ...READ, note: "x".repeat(201) }))).toBe(
      "request/invalid: note: expected one line of at most 200 characters",
    );
  });

  it.each(["2029-01-01", "2031-02-31T00:00:00Z", "2031-01-01T00:00:00", "2031-13-01T00:00:00Z", "2031-01-01T25:00:00Z", "2e9"])(
    "does not take %s for a time",
    (expiresAt) => {
      expect(saidBy(() => keysOf(newState()).issue({ ...READ, expiresAt }))).toBe(
        'request/invalid: expiresAt: expected a time such as "2030-01-31T12:00:00Z"',
      );
    },
  );

  it("is not made expired", () => {
    expect(saidBy(() => keysOf(newState()).issue({ ...READ, expiresAt: "2030-01-01T12:00:00Z" }))).toBe(
      "request/invalid: expiresAt: expected a time in the future; on this node it is 2030-01-01T12:00:00.000Z",
    );
  });
});

describe("the end of a key", () => {
  it("comes at its time, to the millisecond", async () => {
    const state = newState();
    const keys = keysOf(state);
    const { text } = await state.run(keys.issue({ ...READ, expiresAt: "2030-01-01T13:00:00Z" }));
    state.wall = NOON + HOUR - 1;
    expect(keys.verify(text)).toBeDefined();
    state.wall += 1;
    expect(keys.verify(text)).toBeUndefined();
  });

  it("is not undone by a clock that is set back, also not over a restart", async () => {
    const state = newState();
    const clock = new HighWaterClock(state.store, state.time);
    const keys = new Keys(state.store, clock);
    const { text } = await state.run(keys.issue({ ...READ, expiresAt: "2030-01-01T13:00:00Z" }));
    state.wall = NOON + HOUR;
    expect(keys.verify(text)).toBeUndefined();
    state.wall = NOON;
    expect(keys.verify(text)).toBeUndefined();
    await state.store.commit(clock.changes());
    expect(keysOf(state).verify(text)).toBeUndefined();
    expect((await state.run(keysOf(state).issue(READ))).key.createdAt).toBe("2030-01-01T13:00:00.000Z");
  });

  it("comes at once when it is revoked", async () => {
    const state = newState();
    const keys = keysOf(state);
    const { key, text } = await state.run(keys.issue(READ));
    const plan = keys.revoke(key.id);
    expect(keys.verify(text)).toBe(key);
    expect(await state.run(plan)).toBe(key);
    expect([keys.verify(text), keys.get(key.id), keysOf(state).verify(text)]).toEqual([undefined, undefined, undefined]);
    expect(saidBy(() => keys.revoke(key.id))).toBe(`request/no-such-thing: There is no key ${key.id}.`);
  });

  it("comes to all keys of a tenant that goes, and to no other", async () => {
    const state = newState();
    const keys = keysOf(state);
    const gone = [await state.run(keys.issue(READ)), await state.run(keys.issue(READ))];
    const others = [await state.run(keys.issue({ ...READ, tenant: "beta" })), await state.run(keys.issue({ ...READ, tenant: undefined }))];
    expect(await state.run(keys.removeAll("acme"))).toBe(2);
    expect(gone.map(({ text }) => keys.verify(text))).toEqual([undefined, undefined]);
    expect(others.map(({ key, text }) => keys.verify(text) === key)).toEqual([true, true]);
  });
});

describe("a rotated key", () => {
  it("has the same rights and end under a new id and text; the old one holds for the grace", async () => {
    const state = newState();
    const keys = keysOf(state);
    const old = await state.run(keys.issue({ ...READ, note: "CI", expiresAt: "2031-01-01T00:00:00Z" }));
    state.wall += 1;
    const next = await state.run(keys.rotate(old.key.id, HOUR));
    expect(next.key).toEqual({ ...old.key, id: next.key.id, createdAt: "2030-01-01T12:00:00.001Z" });
    expect(next.key.id).not.toBe(old.key.id);
    expect(next.text).not.toBe(old.text);
    expect(keys.verify(old.text)).toEqual({ ...old.key, expiresAt: "2030-01-01T13:00:00.001Z" });
    state.wall += HOUR;
    for (const each of [keys, keysOf(state)]) expect([each.verify(old.text), each.verify(next.text)?.id]).toEqual([undefined, next.key.id]);
  });

  it("is gone at once without a grace", async () => {
    const state = newState();
    const keys = keysOf(state);
    const old = await state.run(keys.issue(READ));
    const next = await state.run(keys.rotate(old.key.id, 0));
    for (const each of [keys, keysOf(state)]) {
      expect([each.verify(old.text), each.get(old.key.id), each.verify(next.text)?.id]).toEqual([undefined, undefined, next.key.id]);
    }
  });

  it("never holds longer than it would have", async () => {
    const state = newState();
    const keys = keysOf(state);
    const old = await state.run(keys.issue({ ...READ, expiresAt: "2030-01-01T12:30:00Z" }));
    await state.run(keys.rotate(old.key.id, HOUR));
    expect(keys.get(old.key.id)?.expiresAt).toBe("2030-01-01T12:30:00.000Z");
  });

  it("is not rotated again, also after a restart: its successor is", async () => {
    const state = newState();
    const keys = keysOf(state);
    const old = await state.run(keys.issue(READ));
    const next = await state.run(keys.rotate(old.key.id, HOUR));
    for (const each of [keys, keysOf(state)]) {
      expect(saidBy(() => each.rotate(old.key.id, HOUR))).toBe(
        `request/conflict: The key ${old.key.id} was rotated already, to ${next.key.id}; rotate that one.`,
      );
    }
    expect((await state.run(keys.rotate(next.key.id, HOUR))).key.expiresAt).toBeUndefined();
  });

  it("is refused when it has expired, is not there, or the grace makes no sense", async () => {
    const state = newState();
    const keys = keysOf(state);
    const { key } = await state.run(keys.issue({ ...READ, expiresAt: "2030-01-01T13:00:00Z" }));
    for (const grace of [-1, 0.5, Number.NaN, 31 * 24 * HOUR]) {
      expect(saidBy(() => keys.rotate(key.id, grace))).toBe("request/invalid: graceMs: expected whole milliseconds from 0 to 30 days");
    }
    expect(saidBy(() => keys.rotate("0000000000000000", 0))).toBe("request/no-such-thing: There is no key 0000000000000000.");
    state.wall += HOUR;
    expect(saidBy(() => keys.rotate(key.id, 0))).toBe(`request/conflict: The key ${key.id} has expired; issue a new one.`);
  });
});

describe("looking a text up", () => {
  it("finds nobody by what is no key's text, not even the key whose text stands in for it", async () => {
    const state = newState();
    const clock = new HighWaterClock(state.store, state.time);
    const keys = new Keys(state.store, clock, { ...nodePrimitives, random: (bytes) => new Uint8Array(bytes) });
    const { text } = await state.run(keys.issue(READ));
    expect(text).toBe(`pl_${"A".repeat(43)}`);
    expect([keys.verify(text)?.tenant, keys.verify(""), keys.verify("pl_"), keys.verify(`${text}A`)]).toEqual([
      "acme",
      undefined,
      undefined,
      undefined,
    ]);
  });

  it("does the same work whatever the text is: one hash of 46 characters, one comparison of 32 bytes", async () => {
    const state = newState();
    const work: string[] = [];
    const keys = new Keys(state.store, new HighWaterClock(state.store, state.time), {
      random: nodePrimitives.random,
      sha256: (text) => (work.push(`hash ${text.length}`), nodePrimitives.sha256(text)),
      equal: (a, b) => (work.push(`compare ${a.length} with ${b.length}`), nodePrimitives.equal(a, b)),
    });
    const known = await state.run(keys.issue(READ));
    const expired = await state.run(keys.issue({ ...READ, expiresAt: "2030-01-01T13:00:00Z" }));
    const revoked = await state.run(keys.issue(READ));
    await state.run(keys.revoke(revoked.key.id));
    state.wall += HOUR;
    const unknown = `pl_${"x".repeat(43)}`;
    const texts = [
      known.text,
      expired.text,
      revoked.text,
      unknown,
      "",
      "pl_",
      `${known.text} `,
      "x".repeat(100_000),
      `pl_${"é".repeat(43)}`,
    ];
    const done = texts.map((text) => {
      work.length = 0;
      return [keys.verify(text)?.id, ...work];
    });
    const same = ["hash 46", "compare 32 with 32"];
    expect(done.map(([, ...steps]) => steps)).toEqual(texts.map(() => same));
    expect(done.map(([id]) => id)).toEqual(texts.map((text) => (text === known.text ? known.key.id : undefined)));
  });
});
