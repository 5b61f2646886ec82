import { describe, expect, it } from "vitest";
import { callerOf, mayDebug, mayInvoke, require, whoIs } from "../../src/tenants/access.js";
import { ANONYMOUS, SCOPES, type Access, type Caller, type Scope } from "../../src/tenants/tenant.js";
import { problemOf, saidBy } from "./state.js";

const OPERATOR: Caller = { kind: "operator", name: "config" };

function keyOf(tenant: string | undefined, ...scopes: readonly Scope[]): Caller {
  return callerOf({ id: "k1", tenant, scopes, note: undefined, createdAt: "2030-01-01T00:00:00.000Z", expiresAt: undefined });
}

function task(access: Access, tenant = "acme"): { tenant: string; access: Access } {
  return { tenant, access };
}

describe("what a scope holds", () => {
  it("admin holds all others, deploy holds debug and read, the rest nothing but themselves", () => {
    const held = SCOPES.map((scope) => {
      const caller = keyOf("acme", scope);
      return [scope, SCOPES.filter((other) => caller.kind === "key" && caller.may.has(other))];
    });
    expect(Object.fromEntries(held)).toEqual({
      admin: ["admin", "deploy", "invoke", "debug", "read"],
      deploy: ["deploy", "debug", "read"],
      invoke: ["invoke"],
      debug: ["debug"],
      read: ["read"],
    });
  });

  it("makes one caller of a key, however often it is shown", () => {
    const caller = keyOf("acme", "read");
    expect(caller.kind === "key" && callerOf(caller.key)).toBe(caller);
  });
});

describe("who may invoke", () => {
  const callers: Record<string, Caller> = {
    nobody: ANONYMOUS,
    "acme invoke": keyOf("acme", "invoke"),
    "acme admin": keyOf("acme", "admin"),
    "acme deploy": keyOf("acme", "deploy"),
    "beta invoke": keyOf("beta", "invoke"),
    "beta deploy": keyOf("beta", "deploy"),
    "gamma invoke": keyOf("gamma", "invoke"),
    "node invoke": keyOf(undefined, "invoke"),
    "node read": keyOf(undefined, "read"),
    operator: OPERATOR,
  };
  const allowed = (access: Access): string[] => Object.keys(callers).filter((name) => mayInvoke(callers[name] as Caller, task(access)));

  it("a public task: everyone", () => expect(allowed("public")).toEqual(Object.keys(callers)));

  it("a task with a key: keys with invoke of its tenant or of the node", () =>
    expect(allowed("key")).toEqual(["acme invoke", "acme admin", "node invoke", "operator"]));

  it("a task that names tenants: theirs with invoke as well", () =>
    expect(allowed({ tenants: ["beta"] })).toEqual(["acme invoke", "acme admin", "beta invoke", "node invoke", "operator"]));
});

describe("who may debug", () => {
  it("holders of debug on the tenant, and the operator", () => {
    const callers = [keyOf("acme", "debug"), keyOf("acme", "deploy"), keyOf(undefined, "debug"), OPERATOR];
    expect(callers.map((caller) => mayDebug(caller, "acme"))).toEqual([true, true, true, true]);
  });

  it("nobody else", () => {
    const callers = [ANONYMOUS, keyOf("acme", "invoke", "read"), keyOf("beta", "debug", "admin")];
    expect(callers.map((caller) => mayDebug(caller, "acme"))).toEqual([false, false, false]);
  });
});

describe("who may see and change", () => {
  it("passes whoever has the scope on the tenant", () => {
    expect(() => require(keyOf("acme", "deploy"), "acme", "read")).not.toThrow();
    expect(() => require(keyOf(undefined, "admin"), "acme", "deploy")).not.toThrow();
    expect(() => require(keyOf(undefined, "admin"), undefined, "admin")).not.toThrow();
    expect(() => require(OPERATOR, undefined, "admin")).not.toThrow();
  });

  it("asks for a key where there is none, or none that holds", () => {
    expect(saidBy(() => require(ANONYMOUS, "acme", "read"))).toBe(
      "request/unauthorized: Give a key that holds: Pilotlight-Key or Authorization: Bearer pl_…",
    );
  });

  it("tells a tenant's key of other tenants what it would of tenants that nobody has", () => {
    for (const scope of SCOPES) {
      expect(problemOf(() => require(keyOf("acme", "admin"), "beta", scope))).toEqual({
        code: "request/no-such-thing",
        detail: "There is no tenant beta.",
      });
    }
  });

  it("names the scope that is missing, and says when a thing is the node's", () => {
    expect(saidBy(() => require(keyOf("acme", "read"), "acme", "deploy"))).toBe(
      "request/forbidden: This takes a key with the scope deploy.",
    );
    expect(saidBy(() => require(keyOf(undefined, "deploy"), "acme", "admin"))).toBe(
      "request/forbidden: This takes a key with the scope admin.",
    );
    expect(saidBy(() => require(keyOf("acme", "admin"), undefined, "admin"))).toBe(
      "request/forbidden: This takes a key of the node; the key is a tenant's.",
    );
  });
});

it("names a caller for the audit log", () => {
  expect([ANONYMOUS, keyOf("acme", "read"), OPERATOR].map((caller) => whoIs(caller))).toEqual(["anonymous", "key:k1", "operator:config"]);
});
