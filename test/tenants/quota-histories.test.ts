/** Random histories of a tenant's gate against what must always hold of it. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TenantGate } from "../../src/tenants/quotas.js";
import type { Quotas } from "../../src/tenants/tenant.js";

type Step =
  | { readonly kind: "enter"; readonly memory: number }
  | { readonly kind: "leave"; readonly which: number }
  | { readonly kind: "pass"; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("enter" as const), memory: fc.nat(8) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("leave" as const), which: fc.nat(100) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.double({ min: 0, max: 1500, noNaN: true }) }) },
);
const rate = fc.double({ min: 0.2, max: 20, noNaN: true });
const quotas: fc.Arbitrary<Quotas> = fc.record({
  requestsPerSecond: fc.option(rate, { nil: undefined }),
  concurrency: fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
  memory: fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined }),
});

/** Lets the steps happen; `entered` hears of each run that got in, at its time. */
function play(gate: TenantGate, limits: Quotas, steps: readonly Step[], entered: (now: number) => void): void {
  const inside: number[] = [];
  let now = 0;
  for (const each of steps) {
    if (each.kind === "pass") now += each.ms;
    if (each.kind === "leave" && inside.length > 0) gate.leave(inside.splice(each.which % inside.length, 1)[0] as number);
    if (each.kind === "enter" && gate.enter(limits, each.memory, now).refused === undefined) {
      inside.push(each.memory);
      entered(now);
    }
    expect([gate.concurrency, gate.memory]).toEqual([inside.length, sum(inside)]);
  }
  for (const memory of inside) gate.leave(memory);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}

describe("a gate, whatever happens", () => {
  it("never has more runs or memory in than its quotas allow, and is empty when all have left", () => {
    fc.assert(
      fc.property(quotas, fc.array(step, { maxLength: 200 }), (limits, steps) => {
        const gate = new TenantGate();
        play(gate, limits, steps, () => {
          expect(gate.concurrency).toBeLessThanOrEqual(limits.concurrency ?? Infinity);
          expect(gate.memory).toBeLessThanOrEqual(limits.memory ?? Infinity);
        });
        expect([gate.concurrency, gate.memory]).toEqual([0, 0]);
      }),
      { numRuns: 500 },
    );
  });

  it("lets no more in over any span of time than the rate gives in it and one second's worth", () => {
    fc.assert(
      fc.property(rate, fc.array(step, { maxLength: 200 }), (requestsPerSecond, steps) => {
        const times: number[] = [];
        play(new TenantGate(), { requestsPerSecond }, steps, (now) => times.push(now));
        for (const [i, from] of times.entries()) {
          for (let j = i; j < times.length; j++) {
            const allowed = Math.max(requestsPerSecond, 1) + (((times[j] as number) - from) / 1000) * requestsPerSecond;
            expect(j - i + 1).toBeLessThanOrEqual(allowed + 0.001);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it("lets whoever comes back when it was told to in, if nobody else came meanwhile", () => {
    fc.assert(
      fc.property(
        rate,
        fc.array(step, { maxLength: 100 }),
        fc.array(fc.double({ min: 0, max: 0.9, noNaN: true })),
        (requestsPerSecond, steps, waits) => {
          const gate = new TenantGate();
          const limits = { requestsPerSecond };
          play(gate, limits, steps, () => {});
          let now = 1e6;
          for (let i = 0; i < 100; i++) {
            const { refused } = gate.enter(limits, 0, now);
            if (refused === undefined) continue;
            const wait = (refused.retryAfter as number) * 1000;
            // Impatient ones who ask meanwhile take nothing from it.
            for (const part of waits) gate.enter({ ...limits, concurrency: 0.5 }, 0, now + part * 1e-3);
            now += wait;
            expect(gate.enter(limits, 0, now).refused).toBeUndefined();
          }
        },
      ),
      { numRuns: 100 },
    );
  });
});
