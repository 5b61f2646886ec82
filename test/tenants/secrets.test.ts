import { copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { UserError } from "../../src/base/errors.js";
import { Secrets } from "../../src/tenants/secrets.js";
import { tempDir } from "../support/files.js";
import { NOON, newState, problemOf, saidBy, stored, type State } from "./state.js";

const VALUE = "correct-horse-battery";

function inMemory(state: State = newState()): Secrets {
  return Secrets.inMemory(state.store, state.time);
}

/** A data folder with one secret in it. */
async function withSecret(): Promise<{ state: State; folder: string; open: () => Secrets }> {
  const state = newState();
  const folder = tempDir();
  const open = (): Secrets => Secrets.open(state.store, state.time, folder);
  await state.run(open().put("acme", "TOKEN", VALUE));
  return { state, folder, open };
}

describe("a secret", () => {
  it("is revealed by tenant and name, and its name is listed without its value", async () => {
    const state = newState();
    const secrets = inMemory(state);
    const info = await state.run(secrets.put("acme", "TOKEN", VALUE));
    await state.run(secrets.put("acme", "API", "another value"));
    await state.run(secrets.put("beta", "TOKEN", "beta's own value"));
    expect(info).toEqual({ name: "TOKEN", updatedAt: "2030-01-01T12:00:00.000Z", revision: 1 });
    expect([secrets.names("acme"), secrets.names("beta"), secrets.names("gamma")]).toEqual([["API", "TOKEN"], ["TOKEN"], []]);
    expect([secrets.reveal("acme", "TOKEN"), secrets.reveal("beta", "TOKEN"), secrets.reveal("beta", "API")]).toEqual([
      VALUE,
      "beta's own value",
      undefined,
    ]);
    expect(secrets.info("acme", "TOKEN")).toBe(info);
  });

  it("is nowhere in what is stored, nor in what inspects or serialises the secrets", async () => {
    const { state, open } = await withSecret();
    const secrets = open();
    const everything = [
      stored(state.store, "secrets", "secrets-meta"),
      inspect(secrets, { depth: 9, showHidden: true }),
      JSON.stringify(secrets),
    ].join();
    expect(everything).not.toContain(VALUE);
    expect(everything).not.toContain(Buffer.from(VALUE).toString("base64").slice(0, 12));
  });

  it("is there after a restart, every character of it", async () => {
    const { state, open } = await withSecret();
    const odd = 'line 1\nline "2"\t\u0000 é 😀';
    await state.run(open().put("acme", "ODD", odd));
    const secrets = open();
    expect([secrets.reveal("acme", "ODD"), secrets.reveal("acme", "TOKEN"), secrets.info("acme", "ODD")?.revision]).toEqual([
      odd,
      VALUE,
      2,
    ]);
  });

  it("has the same value before a restart as after it, also with half a surrogate pair", async () => {
    const { state, open } = await withSecret();
    const secrets = open();
    await state.run(secrets.put("acme", "HALF", "half \ud83d"));
    expect([secrets.reveal("acme", "HALF"), open().reveal("acme", "HALF")]).toEqual(["half \ufffd", "half \ufffd"]);
  });

  it("is as it was until the plan is applied", async () => {
    const { open } = await withSecret();
    const secrets = open();
    secrets.put("acme", "TOKEN", "another value");
    secrets.remove("acme", "TOKEN");
    expect([secrets.reveal("acme", "TOKEN"), open().reveal("acme", "TOKEN")]).toEqual([VALUE, VALUE]);
  });

  it("never has a revision twice, also one of the same name after it", async () => {
    const { state, open } = await withSecret();
    const secrets = open();
    await state.run(secrets.remove("acme", "TOKEN"));
    expect([secrets.names("acme"), open().names("acme")]).toEqual([[], []]);
    expect((await state.run(open().put("acme", "TOKEN", VALUE))).revision).toBe(2);
  });

  it("that is not there cannot be removed", () => {
    expect(saidBy(() => inMemory().remove("acme", "TOKEN"))).toBe("request/no-such-thing: There is no secret TOKEN.");
  });

  it("goes with its tenant, and no other's does", async () => {
    const { state, open } = await withSecret();
    const secrets = open();
    await state.run(secrets.put("beta", "TOKEN", VALUE));
    await state.run(secrets.put("acme-2", "TOKEN", VALUE));
    expect(await state.run(secrets.removeAll("acme"))).toBe(1);
    for (const each of [secrets, open()]) {
      expect(["acme", "beta", "acme-2"].map((tenant) => each.reveal(tenant, "TOKEN"))).toEqual([undefined, VALUE, VALUE]);
    }
  });
});

describe("what cannot be a secret", () => {
  const help = 'expected a name such as "API_TOKEN": letters, digits, "_", "." and "-", not a digit, "." or "-" first, at most 128 long';

  it.each(["", "1A", "a/b", "a b", "../x", "-x", ".x", "é", "a\0", "x".repeat(129), "a\n"])("the name %j", (name) => {
    expect(problemOf(() => inMemory().put("acme", name, VALUE)).errors).toEqual([{ field: "name", message: help }]);
  });

  it("an empty value, or a larger one than 64 KiB", () => {
    expect(saidBy(() => inMemory().put("acme", "A", ""))).toBe("request/invalid: value: expected a value; this one is empty");
    expect(saidBy(() => inMemory().put("acme", "A", "é".repeat(32_769)))).toBe(
      "request/invalid: value: expected at most 65536 bytes; these are 65538",
    );
    expect(() => inMemory().put("acme", "A".repeat(128), "x".repeat(65_536))).not.toThrow();
  });

  it("is refused without showing the value", () => {
    const problem = problemOf(() => inMemory().put("acme", "not a name", VALUE));
    expect(JSON.stringify(problem)).not.toContain(VALUE);
  });
});

describe("the key that secrets are sealed with", () => {
  it("must be there", async () => {
    const { folder, open } = await withSecret();
    rmSync(join(folder, "secrets.key"));
    expect(open).toThrow(
      new UserError(
        `the secrets in ${folder} are sealed with the key ${folder}/secrets.key, which is missing; put it back, from a backup of the data folder`,
      ),
    );
  });

  it("must be the right one, also when no secret is left", async () => {
    const { state, folder, open } = await withSecret();
    const other = tempDir();
    Secrets.open(newState().store, state.time, other);
    copyFileSync(join(other, "secrets.key"), join(folder, "secrets.key"));
    const message = `the key of the secrets, ${folder}/secrets.key, is not the one that they are sealed with; put the right file back, from a backup of the data folder`;
    expect(open).toThrow(new UserError(message));
    await state.store.commit([{ kind: "remove", table: "secrets", key: "acme/TOKEN" }]);
    expect(open).toThrow(new UserError(message));
  });

  it("may be lost before anything was sealed with it", () => {
    const state = newState();
    const folder = tempDir();
    Secrets.open(state.store, state.time, folder);
    rmSync(join(folder, "secrets.key"));
    expect(() => Secrets.open(state.store, state.time, folder)).not.toThrow();
  });

  it("opens a sealed value under its own tenant and name alone", async () => {
    const { state, open } = await withSecret();
    const sealed = state.store.get<object>({ name: "secrets" }, "acme/TOKEN");
    for (const place of ["beta/TOKEN", "acme/OTHER"]) {
      await state.store.commit([{ kind: "put", table: "secrets", key: place, value: sealed }]);
      expect(open).toThrow(new UserError(`the sealed secret ${place} is damaged in the state; restore a backup of the data folder`));
      await state.store.commit([{ kind: "remove", table: "secrets", key: place }]);
    }
    expect(open().reveal("acme", "TOKEN")).toBe(VALUE);
  });

  it("opens nothing that was changed, by a bit or to nothing", async () => {
    const { state, open } = await withSecret();
    const whole = state.store.get<{ sealed: string }>({ name: "secrets" }, "acme/TOKEN") as { sealed: string };
    const bytes = Buffer.from(whole.sealed, "base64");
    const damaged = [...bytes.keys()].map((at) => Buffer.from(bytes.map((byte, i) => (i === at ? byte ^ 1 : byte))));
    for (const each of [...damaged, bytes.subarray(0, -1), Buffer.alloc(0)]) {
      await state.store.commit([
        { kind: "put", table: "secrets", key: "acme/TOKEN", value: { ...whole, sealed: each.toString("base64") } },
      ]);
      expect(open).toThrow("the sealed secret acme/TOKEN is damaged in the state; restore a backup of the data folder");
    }
  });
});

describe("masking a tenant's secrets", () => {
  it("takes its own values out, and leaves other tenants' text alone", async () => {
    const { open } = await withSecret();
    const secrets = open();
    expect([secrets.mask(`token ${VALUE}.`, "acme"), secrets.mask(`token ${VALUE}.`, "beta")]).toEqual(["token ***.", `token ${VALUE}.`]);
  });

  it("knows a value from its put on, and those that it had before: runs that go on may print them", async () => {
    const { state, open } = await withSecret();
    const secrets = open();
    const text = `${VALUE}, second-value, third-value`;
    expect(secrets.mask(text, "acme")).toBe("***, second-value, third-value");
    await state.run(secrets.put("acme", "TOKEN", "second-value"));
    await state.run(secrets.put("acme", "TOKEN", "third-value"));
    expect(secrets.mask(text, "acme")).toBe("***, ***, ***");
    await state.run(secrets.remove("acme", "TOKEN"));
    expect(secrets.mask(text, "acme")).toBe("***, ***, ***");
  });

  it("goes on after the tenant has gone, and costs nothing for names that nobody has", async () => {
    const { state, open } = await withSecret();
    const secrets = open();
    await state.run(secrets.removeAll("acme"));
    expect(secrets.mask(VALUE, "acme")).toBe("***");
    expect(secrets.mask(VALUE, "nobody")).toBe(VALUE);
  });
});

it("stamps a change with the time that it was made", async () => {
  const state = newState();
  const secrets = inMemory(state);
  await state.run(secrets.put("acme", "TOKEN", VALUE));
  state.wall = NOON + 5;
  expect((await state.run(secrets.put("acme", "TOKEN", VALUE))).updatedAt).toBe("2030-01-01T12:00:00.005Z");
});
