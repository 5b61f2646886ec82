/** Random histories of keys, with restarts and a clock that jumps, against a model of who is let in. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { callerOf, mayDebug, mayInvoke } from "../../src/tenants/access.js";
import { HighWaterClock } from "../../src/tenants/high-water.js";
import { Keys, type Issued } from "../../src/tenants/keys.js";
import { SCOPES } from "../../src/tenants/tenant.js";
import { newState } from "./state.js";

const TENANTS = ["acme", "beta", undefined] as const;

type Step =
  | { readonly kind: "issue"; readonly tenant: number; readonly lifetime: number | undefined }
  | { readonly kind: "rotate"; readonly which: number; readonly grace: number }
  | { readonly kind: "revoke" | "fail"; readonly which: number }
  | { readonly kind: "clear"; readonly tenant: number }
  | { readonly kind: "jump"; readonly ms: number }
  | { readonly kind: "restart" };

const which = fc.nat(1000);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("issue" as const),
      tenant: fc.nat(2),
      lifetime: fc.option(fc.integer({ min: 1, max: 500 }), { nil: undefined }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("rotate" as const), which, grace: fc.nat(200) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("revoke" as const, "fail" as const), which }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("clear" as const), tenant: fc.nat(1) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("jump" as const), ms: fc.integer({ min: -400, max: 400 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("restart" as const) }) },
);

/** What is known of a key besides what `Keys` says. */
interface Known extends Issued {
  /** Not from this time on; goes down, never up. */
  until: number;
  rotated: boolean;
}

async function play(steps: readonly Step[]): Promise<void> {
  const state = newState();
  let clock = new HighWaterClock(state.store, state.time);
  let keys = new Keys(state.store, clock);
  const all: Known[] = [];
  /** The latest that the wall ever was; what nobody may come back from. */
  let latest = state.wall;
  const pick = (n: number): Known | undefined => (all.length === 0 ? undefined : all[n % all.length]);
  const add = (issued: Issued, until: number): void => void all.push({ ...issued, until, rotated: false });

  for (const each of steps) {
    switch (each.kind) {
      case "issue": {
        const until = each.lifetime === undefined ? Infinity : latest + each.lifetime;
        const expiresAt = each.lifetime === undefined ? undefined : new Date(until).toISOString();
        add(await state.run(keys.issue({ tenant: TENANTS[each.tenant], scopes: ["invoke", "debug"], expiresAt })), until);
        break;
      }
      case "rotate": {
        const old = pick(each.which);
        if (old === undefined || old.rotated || old.until <= latest) break;
        add(await state.run(keys.rotate(old.key.id, each.grace)), old.until);
        old.until = Math.min(old.until, latest + each.grace);
        old.rotated = true;
        break;
      }
      case "revoke": {
        const old = pick(each.which);
        if (old === undefined || keys.get(old.key.id) === undefined) break;
        await state.run(keys.revoke(old.key.id));
        old.until = -Infinity;
        break;
      }
      case "fail": {
        // Decided, and never committed: nothing has changed.
        const old = pick(each.which);
        if (old !== undefined && keys.get(old.key.id) !== undefined) keys.revoke(old.key.id);
        keys.issue({ tenant: "acme", scopes: ["read"] });
        break;
      }
      case "clear":
        await state.run(keys.removeAll(TENANTS[each.tenant] as string));
        for (const key of all) if (key.key.tenant === TENANTS[each.tenant]) key.until = -Infinity;
        break;
      case "jump":
        state.wall += each.ms;
        latest = Math.max(latest, state.wall);
        clock.time(); // a node looks at the clock all the time
        break;
      case "restart":
        await state.store.commit(clock.changes());
        clock = new HighWaterClock(state.store, state.time);
        keys = new Keys(state.store, clock);
    }
    for (const { key, text, until } of all) {
      const found = keys.verify(text);
      expect(found === undefined ? undefined : [found.id, found.tenant]).toEqual(latest < until ? [key.id, key.tenant] : undefined);
      if (found === undefined) continue;
      const caller = callerOf(found);
      for (const tenant of ["acme", "beta"]) {
        const own = key.tenant === undefined || key.tenant === tenant;
        expect([mayInvoke(caller, { tenant, access: "key" }), mayDebug(caller, tenant)]).toEqual([own, own]);
      }
    }
  }
}

describe("keys, whatever happens", () => {
  it("let in who holds one that has not ended, as its own tenant, and nobody else, ever again", async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60 }), play), { numRuns: 200 });
  });

  it("know no text that they have not given out", async () => {
    const state = newState();
    const keys = new Keys(state.store, new HighWaterClock(state.store, state.time));
    const { text } = await state.run(keys.issue({ tenant: "acme", scopes: SCOPES }));
    const near = fc
      .tuple(fc.nat(text.length - 1), fc.constantFrom("A", "a", "0", "_", "-", "z", " "))
      .map(([at, char]) => text.slice(0, at) + char + text.slice(at + 1));
    fc.assert(
      fc.property(fc.oneof(near, fc.string(), fc.stringMatching(/^pl_[A-Za-z0-9_-]{43}$/)), (guess) => {
        expect(keys.verify(guess) === undefined).toBe(guess !== text);
      }),
      { numRuns: 1000 },
    );
  });
});
