/** The soak of records in short, and that its oracle finds what is wrong where something is. */
import { expect, it } from "vitest";
import { runRecords } from "../../bench/soak/records/soak.js";

it("3000 steps and 2 kills: no stale answer, no lost update, nothing stuck", { timeout: 120_000 }, async () => {
  const { found, counts } = await runRecords({ steps: 3000, seed: 20261127, kills: 2 });
  expect(found).toEqual([]);
  for (const [what, count] of Object.entries(counts))
    if (what !== "restarts" && what !== "secrets" && what !== "deploys") expect(count, what).toBeGreaterThan(0);
});

it("an oracle that misses some of what is written finds answers that are not what it thinks", { timeout: 120_000 }, async () => {
  const { found } = await runRecords({ steps: 1500, seed: 3, kills: 0, forgetful: 0.2 });
  expect(found[0]?.message).toMatch(/was answered .*; right was /);
});
