/** The canary soak in short, its control included; and that it would find a node that hands over memory unclean. */
import { expect, it } from "vitest";
import { Marks, MOST_TENANTS } from "../../bench/soak/canary/marks.js";
import type { NodePlan, Target } from "../../bench/soak/canary/node.js";
import { runCanary } from "../../bench/soak/canary/soak.js";

const FEW: NodePlan = { tenants: 3, cells: 2, pool: "shared", forecast: true };
const VARIABLE: NodePlan = { ...FEW, pool: "variable", forecast: false };

it(
  "finds nobody's secret in a clean instance and no other tenant's in any, and a tenant's own where instances are used again",
  {
    timeout: 60_000,
  },
  async () => {
    const { tally, handovers, found } = await runCanary({ steps: 1200, seed: 20261124, atOnce: 6, plans: [FEW, VARIABLE] });
    expect(found).toEqual([]);
    expect(Math.min(tally.writes, tally.anybodys, tally.others)).toBeGreaterThan(150);
    expect(tally.ownFound).toBeGreaterThan(0);
    expect(handovers.reclaimed + handovers.changed).toBeGreaterThan(10);
    expect(handovers.assigned).toBeGreaterThan(handovers.reclaimed);
    expect(handovers.instances).toBeGreaterThan(300);
  },
);

it.each<[string, RegExp, (asked: Target) => Target]>([
  [
    "lends an instance of one tenant to another",
    /^an instance of tenant \d holds another tenant's secret \d+ times$/,
    (asked) => (asked.reuse === "reused" ? { ...asked, tenant: 2 } : asked),
  ],
  ["gives out memory unclean", /^a clean instance holds a secret \d+ times$/, (asked) => ({ ...asked, reuse: "reused" })],
])("would find a node that %s", { timeout: 60_000 }, async (_, reason, mixedUp) => {
  const { found } = await runCanary({ steps: 600, seed: 20261124, atOnce: 3, plans: [FEW], mixedUp });
  expect(found.filter(({ message }) => reason.test(message))).not.toEqual([]);
});

it("would prove nothing where each tenant keeps its cell, and says so", { timeout: 60_000 }, async () => {
  const { found } = await runCanary({ steps: 300, seed: 1, atOnce: 2, plans: [{ ...FEW, tenants: 2, cells: 8 }] });
  expect(found.map(({ message }) => message)).toEqual([
    expect.stringMatching(/^only [0-3] cells went from one tenant to another in 300 requests: this soak would prove nothing$/),
  ]);
});

it("looks with one mark for all secrets, all but the own, or the own alone", () => {
  const marks = new Marks(MOST_TENANTS, 7);
  const tenants = Array.from({ length: MOST_TENANTS }, (_, i) => i);
  const holders = (look: string): number[] => tenants.filter((tenant) => holds(marks.secret(tenant, 3 * tenant), look));
  expect(holders(marks.everybodys)).toEqual(tenants);
  for (const tenant of tenants) {
    expect(holders(marks.own(tenant))).toEqual([tenant]);
    expect(holders(marks.others(tenant))).toEqual(tenants.filter((other) => other !== tenant));
  }
});

/** Whether what a guest looks for stands in memory that is full of the secret; at whole words, as guests look. */
function holds(secret: string, look: string): boolean {
  const mark = look.slice(0, 32);
  const memory = secret + secret;
  for (let at = 0; at < secret.length; at += 16) if (memory.startsWith(mark, at)) return true;
  return false;
}
