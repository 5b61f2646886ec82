import { describe, expect, it } from "vitest";
import type { Incoming } from "../../src/invoke/invocation.js";
import { admit } from "../../src/invoke/stages/admit.js";
import { serverTiming, unexplained } from "../../src/invoke/explain.js";
import { withOurs, withoutOurs } from "../../src/invoke/stages/head.js";
import { authorize, identify } from "../../src/invoke/stages/identify.js";
import { resolve } from "../../src/invoke/stages/resolve.js";
import { callerOf, whoIs } from "../../src/tenants/access.js";
import type { Caller } from "../../src/tenants/tenant.js";
import { fakeTask } from "../tasks/fake-task.js";
import { incoming } from "./requests.js";
import { Workbench } from "./workbench.js";

describe("resolve", () => {
  const task = fakeTask("a");
  const asked: string[] = [];
  const target = { choices: [{ task, weight: 1 }], total: 1, sticky: undefined };
  const tasks = { match: (authority: string, path: string) => (asked.push(`${authority} ${path}`), path === "/a" ? target : undefined) };
  const never = (): number => expect.fail("one version needs no chance");

  it("finds the task by host and path, without the query, as they are on the wire", () => {
    expect(resolve(incoming({ authority: "H:1", target: "/a?b=/c" }), tasks, never)).toBe(task);
    expect(resolve(incoming({ authority: "", target: "/%61?x?y" }), tasks, never)).toBeUndefined();
    expect(resolve(incoming({ authority: "h", target: "?" }), tasks, never)).toBeUndefined();
    expect(asked.splice(0)).toEqual(["H:1 /a", " /%61", "h "]);
  });

  it("lets the sticky header choose among versions, and chance where there is none", () => {
    const other = { ...task };
    const both = {
      match: () => ({
        choices: [
          { task, weight: 1 },
          { task: other, weight: 3 },
        ],
        total: 4,
        sticky: "x-user",
      }),
    };
    expect(resolve(incoming(), both, () => 0.2)).toBe(task);
    expect(resolve(incoming(), both, () => 0.25)).toBe(other);
    const chosen = resolve(incoming({ headers: ["X-User", "ann"] }), both, never);
    expect(resolve(incoming({ headers: ["x-user", "ann"] }), both, never)).toBe(chosen);
  });
});

describe("identify", () => {
  const key = { id: "1", tenant: "acme", scopes: ["invoke"], note: undefined, createdAt: "", expiresAt: undefined } as const;
  const known = callerOf(key);
  const asked: string[] = [];
  const whose = (text: string): Caller | undefined => (asked.push(text), text === "pl_known" ? known : undefined);
  const who = (...headers: string[]): string => {
    const { caller, refused } = identify(headers, whose);
    return `${whoIs(caller)}${refused ? " refused" : ""} ${asked.splice(0).join()}`;
  };

  it("takes our header, or a bearer token that is a key of ours, in any case", () => {
    expect(who("Pilotlight-Key", "pl_known")).toBe("key:1 pl_known");
    expect(who("PILOTLIGHT-KEY", " pl_known ")).toBe("key:1 pl_known");
    expect(who("authorization", "bearer pl_known")).toBe("key:1 pl_known");
    expect(who("Authorization", "Bearer pl_other", "Pilotlight-Key", "pl_known")).toBe("key:1 pl_known");
  });

  it("has nobody where there is none: other credentials are the guest's", () => {
    expect(who("Authorization", "Bearer eyJhbGciOi")).toBe("anonymous ");
    expect(who("Authorization", "Basic cGxfOg==")).toBe("anonymous ");
    expect(who("X", "pl_known")).toBe("anonymous ");
  });

  it("says so when the key is nobody's, whatever it looks like", () => {
    expect(who("Pilotlight-Key", "pl_gone")).toBe("anonymous refused pl_gone");
    expect(who("Pilotlight-Key", "")).toBe("anonymous refused ");
  });

  it("answers the same for a path that no task has and for a task that the caller may not use", () => {
    const closed = fakeTask("a", { access: "key" });
    const request = incoming({ target: "/a?secret=1" });
    const nobody = identify([], whose);
    const foreign = { caller: callerOf({ ...key, tenant: "globex" }), refused: false };
    const wrong = identify(["Pilotlight-Key", "pl_gone"], whose);
    const refusal = {
      code: "request/not-found",
      detail: "No task has a route for /a that this request may use; a task that is not public takes a key with the scope invoke.",
    };
    for (const caller of [nobody, foreign]) {
      expect(authorize(request, closed, caller)).toEqual(refusal);
      expect(authorize(request, undefined, caller)).toEqual(refusal);
    }
    const unauthorized = { code: "request/unauthorized", detail: "The key is not known, or it has expired or been revoked." };
    expect(authorize(request, closed, wrong)).toEqual(unauthorized);
    expect(authorize(request, undefined, wrong)).toEqual(unauthorized);
  });

  it("lets in who may: everyone to public tasks, keys with invoke of the tenant or of a named one", () => {
    const request = incoming();
    const anyone = identify([], whose);
    const wrong = identify(["Pilotlight-Key", "pl_gone"], whose);
    expect(authorize(request, fakeTask("a"), anyone)).toBeUndefined();
    expect(authorize(request, fakeTask("a"), wrong)).toBeUndefined();
    const mine = { caller: callerOf({ ...key, tenant: "default" }), refused: false };
    expect(authorize(request, fakeTask("a", { access: "key" }), mine)).toBeUndefined();
    const named = fakeTask("a", { access: { tenants: ["acme"] } });
    expect(authorize(request, named, { caller: known, refused: false })).toBeUndefined();
    expect(authorize(request, named, mine)).toBeUndefined();
    expect(authorize(request, named, { caller: callerOf({ ...key, tenant: "globex" }), refused: false })?.code).toBe("request/not-found");
    expect(authorize(request, named, { caller: callerOf({ ...key, scopes: ["read"] }), refused: false })?.code).toBe("request/not-found");
  });
});

describe("admit", () => {
  const task = fakeTask("a", { limits: { requestBody: "100B", headers: "100B" } });

  it("lets in what is within the limits", () => {
    expect(admit(incoming({ contentLength: 100 }), task, false)).toBeUndefined();
    expect(admit(incoming({ body: Buffer.alloc(100) }), task, false)).toBeUndefined();
    // A body of unknown length is counted as it comes.
    expect(admit(incoming({ streaming: true }), task, false)).toBeUndefined();
  });

  it("refuses a body that says it is too large, and says by how much", () => {
    expect(admit(incoming({ contentLength: 101, streaming: true }), task, false)).toEqual({
      code: "request/body-too-large",
      detail: "limits.requestBody allows 100 bytes; the request has 101.",
    });
    expect(admit(incoming({ body: Buffer.alloc(102) }), task, false)?.detail).toBe(
      "limits.requestBody allows 100 bytes; the request has 102.",
    );
  });

  it("refuses a head that is too large: the target, and each field with its colon, blank and line end", () => {
    const head = (value: number): Incoming => incoming({ target: "/12345", headers: ["name", "v".repeat(value)] });
    expect(admit(head(86), task, false)).toBeUndefined();
    expect(admit(head(87), task, false)).toEqual({
      code: "request/headers-too-large",
      detail: "limits.headers allows 100 bytes; the request has 101.",
    });
  });

  it("refuses everything while the node drains", () => {
    expect(admit(incoming(), task, true)).toEqual({ code: "platform/draining", detail: undefined });
  });
});

describe("the head that a guest sees", () => {
  it("is without the fields that are ours, in any case, and otherwise untouched", () => {
    const headers = [
      "Host",
      "h",
      "Pilotlight-Key",
      "pl_1",
      "X",
      "1",
      "PILOTLIGHT-EXPLAIN",
      "1",
      "pilotlight-debug",
      "1",
      "x",
      "2",
      "Authorization",
      "Basic",
      "authorization",
      "bearer pl_2",
    ];
    expect(withoutOurs(headers)).toEqual(["Host", "h", "X", "1", "x", "2", "Authorization", "Basic"]);
    const clean = ["Host", "h", "Pilotlight-Other", "1", "Pilotlight-Keys", "2"];
    expect(withoutOurs(clean)).toBe(clean);
  });

  it("does not take a value for a name", () => {
    const headers = ["a", "pilotlight-key", "b", "c"];
    expect(withoutOurs(headers)).toBe(headers);
  });
});

describe("the head of an answer", () => {
  it("carries the id of the run, and none that the guest made up", () => {
    const run = new Workbench().run(fakeTask("a"));
    expect(withOurs(["A", "1", "pilotlight-RUN", "lie", "a", "2"], run, false)).toEqual(["A", "1", "a", "2", "Pilotlight-Run", run.id]);
  });

  it("says where the time went to those who ask and may", () => {
    const bench = new Workbench({ capacity: 1 });
    const task = bench.deploy(fakeTask("a"));
    const first = bench.submit(task);
    const run = bench.submit(task);
    bench.clock.time = 2;
    bench.engine.settle(first.handle);
    run.startNanoseconds = 1_500_000;
    run.headAt = 7.25;
    const why = run.why.join("; ");
    expect(why).toMatch(/own\/ready: none is idle/);
    expect(serverTiming(run)).toBe(
      `capacity;desc="own/linked", pool;desc="shared", queue;dur=2.000, start;dur=1.500, run;dur=5.250, instance;desc="clean", why;desc="${why}"`,
    );
    expect(withOurs([], run, true)).toEqual(["Pilotlight-Run", run.id, "Server-Timing", serverTiming(run)]);
  });

  it("gives no reasons where there are none, and names the sub-pool", () => {
    const run = Object.assign(new Workbench().run(fakeTask("a")), {
      rung: "own/ready",
      pool: "dedicated",
      grantedAt: 0,
      headAt: 1,
    } as const);
    expect(serverTiming(run)).toBe(
      'capacity;desc="own/ready", pool;desc="dedicated", queue;dur=0.000, start;dur=0.000, run;dur=1.000, instance;desc="clean"',
    );
  });

  it("is stripped of that, and of nothing of the guest's own, for who may not look", () => {
    const told = ["Server-Timing", 'capacity;desc="own/ready", pool;desc="shared"'];
    const own = ["Server-Timing", "db;dur=3", "A", "Server-Timing"];
    expect(unexplained({ status: 200, headers: [...own, ...told, "B", "1"] })).toEqual({ status: 200, headers: [...own, "B", "1"] });
    const plain = { headers: own };
    expect(unexplained(plain)).toBe(plain);
    expect(unexplained({})).toEqual({});
  });

  it.each([
    ['a "quoted" \\ reason', 'a \\"quoted\\" \\\\ reason'],
    ["ends\r\nInjected: 1 – é", "ends??Injected: 1 ? ?"],
    ["x".repeat(300), `${"x".repeat(197)}...`],
    ['"'.repeat(200), '\\"'.repeat(200)],
  ])("tells a reason such as %j as a header may have it", (reason, told) => {
    const run = Object.assign(new Workbench().run(fakeTask("a")), { why: [reason] });
    expect(serverTiming(run)).toMatch(/, why;desc="/);
    expect(serverTiming(run).split(", why;desc=")[1]).toBe(`"${told}"`);
  });
});
