import { describe, expect, it } from "vitest";
import type { Quotas } from "../../src/tenants/tenant.js";
import { TenantGate, TenantGates, requireRoom, type Refused } from "../../src/tenants/quotas.js";
import { problemOf } from "./state.js";

const MiB = 2 ** 20;

/** What became of each entry at these times: true, or the code and after how many seconds to come back. */
function entries(gate: TenantGate, quotas: Quotas, times: readonly number[], memory = MiB): (true | string)[] {
  return times.map((now) => told(gate.enter(quotas, memory, now)));
}

function told({ refused }: TenantGate | Refused): true | string {
  return refused === undefined || `${refused.code} after ${refused.retryAfter}`;
}

describe("requests a second", () => {
  it("lets a second's worth in at once, then as they come", () => {
    const gate = new TenantGate();
    expect(entries(gate, { requestsPerSecond: 2 }, [0, 0, 0, 499, 500, 501, 1000])).toEqual([
      true,
      true,
      "quota/requests after 1",
      "quota/requests after 1",
      true,
      "quota/requests after 1",
      true,
    ]);
  });

  it("says after how many whole seconds there is a token again", () => {
    const gate = new TenantGate();
    expect(entries(gate, { requestsPerSecond: 0.1 }, [0, 0, 4_000, 9_999, 10_000])).toEqual([
      true,
      "quota/requests after 10",
      "quota/requests after 6",
      "quota/requests after 1",
      true,
    ]);
  });

  it("has a token on time, though ten times a tenth is less than one", () => {
    const seconds = Array.from({ length: 11 }, (_, i) => i * 1000);
    expect(entries(new TenantGate(), { requestsPerSecond: 0.1 }, seconds).map((told) => told === true)).toEqual(
      seconds.map((now) => now === 0 || now === 10_000),
    );
  });

  it("names the quota and no figures: a caller need not be of the tenant", () => {
    const gate = new TenantGate();
    gate.enter({ requestsPerSecond: 1 }, 0, 0);
    expect(gate.enter({ requestsPerSecond: 1 }, 0, 0).refused?.detail).toBe("The quota requestsPerSecond of the tenant is used up.");
  });

  it("saves up a second's worth and no more", () => {
    const gate = new TenantGate();
    const hour = 3_600_000;
    expect(entries(gate, { requestsPerSecond: 1 }, [0, hour, hour])).toEqual([true, true, "quota/requests after 1"]);
  });

  it("counts with a new rate from the next request on", () => {
    const gate = new TenantGate();
    entries(gate, { requestsPerSecond: 1 }, [0]);
    expect(entries(gate, { requestsPerSecond: 10 }, [100, 200])).toEqual(["quota/requests after 1", true]);
    expect(entries(gate, {}, [200, 200, 200])).toEqual([true, true, true]);
  });

  it("gives nothing for a clock that jumps back and forth", () => {
    const gate = new TenantGate();
    expect(entries(gate, { requestsPerSecond: 1 }, [1000, 0, 1000, 0, 1000])).toEqual([
      true,
      ...Array.from({ length: 4 }, () => "quota/requests after 1"),
    ]);
  });
});

describe("runs at once, and their memory", () => {
  it("refuses the run too many until one leaves", () => {
    const gate = new TenantGate();
    const quotas = { concurrency: 2 };
    expect(entries(gate, quotas, [0, 0, 0])).toEqual([true, true, "quota/concurrency after 1"]);
    gate.leave(MiB);
    expect(entries(gate, quotas, [0])).toEqual([true]);
    expect(gate.enter(quotas, 0, 0).refused?.detail).toBe("The quota concurrency of the tenant is used up.");
  });

  it("refuses a run whose memory limit does not fit beside the others", () => {
    const gate = new TenantGate();
    const quotas = { memory: 3 * MiB };
    expect([gate.enter(quotas, 2 * MiB, 0), gate.enter(quotas, 2 * MiB, 0), gate.enter(quotas, MiB, 0)].map(told)).toEqual([
      true,
      "quota/memory after 1",
      true,
    ]);
    expect([gate.concurrency, gate.memory]).toEqual([2, 3 * MiB]);
  });

  it("does not tell a run to come back that never fits", () => {
    const refusal = new TenantGate().enter({ memory: MiB }, MiB + 1, 0).refused;
    expect(refusal).toEqual({ code: "quota/memory", detail: "The task's limits.memory is above the quota memory of the tenant." });
  });

  it("takes no token for a run that one of these refuses", () => {
    const gate = new TenantGate();
    const quotas = { requestsPerSecond: 2, concurrency: 1, memory: 2 };
    const refused = [gate.enter(quotas, 1, 0), gate.enter(quotas, 1, 0), gate.enter({ ...quotas, concurrency: 2 }, 2, 0)];
    expect(refused.map(told)).toEqual([true, "quota/concurrency after 1", "quota/memory after 1"]);
    expect(entries(gate, { requestsPerSecond: 2 }, [0, 0])).toEqual([true, "quota/requests after 1"]);
  });

  it("throws for a run that leaves twice, rather than making room that is not there", () => {
    const gate = new TenantGate();
    gate.enter({}, MiB, 0);
    gate.leave(MiB);
    expect(() => gate.leave(MiB)).toThrow("a run left a tenant's gate that it had not entered");
  });
});

describe("what stands beside runs", () => {
  it("counts with its memory alone: it is no request, and no run at once", () => {
    const gate = new TenantGate();
    const quotas = { requestsPerSecond: 1, concurrency: 1, memory: 100 };
    const standing = gate.stand(quotas, 60);
    expect(standing.refused).toBeUndefined();
    expect([gate.concurrency, gate.memory]).toEqual([0, 60]);
    expect(gate.stand(quotas, 50)).toMatchObject({ refused: { code: "quota/memory", retryAfter: 1 } });
    expect(gate.stand(quotas, 101)).toMatchObject({
      refused: { detail: "The task's limits.memory is above the quota memory of the tenant." },
    });
    expect(gate.enter(quotas, 40, 0)).toBe(gate);
    if (standing.refused === undefined) standing.leave(60);
    expect([gate.concurrency, gate.memory]).toEqual([1, 40]);
  });
});

describe("the gates of all tenants", () => {
  it("reads the quotas at each entry, each tenant's its own", () => {
    const quotas = new Map<string, Quotas>([["acme", { concurrency: 1 }]]);
    const gates = new TenantGates((tenant) => quotas.get(tenant) ?? {});
    expect([gates.enter("acme", 0, 0), gates.enter("acme", 0, 0), gates.enter("beta", 0, 0)].map(told)).toEqual([
      true,
      "quota/concurrency after 1",
      true,
    ]);
    quotas.set("acme", { concurrency: 2 });
    expect(told(gates.enter("acme", 0, 0))).toBe(true);
  });

  it("gives a tenant that is made anew a fresh gate; runs of the one before leave theirs", () => {
    const gates = new TenantGates(() => ({ concurrency: 1 }));
    const before = gates.enter("acme", 0, 0) as TenantGate;
    gates.forget("acme");
    expect(told(gates.enter("acme", 0, 0))).toBe(true);
    before.leave(0);
    expect([before.concurrency, gates.of("acme").concurrency]).toEqual([0, 1]);
  });
});

describe("room for tasks and stored bytes", () => {
  it("passes up to the quota, without a quota, and for what takes nothing more", () => {
    expect(() => requireRoom({ tasks: 3 }, "tasks", 2, 1)).not.toThrow();
    expect(() => requireRoom({}, "tasks", 1e9, 1)).not.toThrow();
    expect(() => requireRoom({ storedBytes: 10 }, "storedBytes", 20, -5)).not.toThrow();
  });

  it("says what is allowed, used and asked for; waiting does not help", () => {
    expect(problemOf(() => requireRoom({ tasks: 3 }, "tasks", 3, 1))).toEqual({
      code: "quota/tasks",
      detail: "The quota tasks allows 3 tasks; 3 are used, and this takes 1 more.",
    });
    expect(problemOf(() => requireRoom({ storedBytes: 10 }, "storedBytes", 4, 7))).toEqual({
      code: "quota/stored-bytes",
      detail: "The quota storedBytes allows 10 bytes; 4 are used, and this takes 7 more.",
    });
  });
});
