/** The canary soak in short, its control included. */
import { expect, it } from "vitest";
import { runCanary } from "../../bench/soak/canary/soak.js";

it("never finds one request's secret in another's memory, and finds it where instances are used again", { timeout: 90_000 }, async () => {
  const { control, writes, scans, found } = await runCanary({ steps: 600, seed: 20261124, atOnce: 16 });
  expect(found).toEqual([]);
  expect(control.found).toHaveLength(2);
  expect(Math.min(...control.found)).toBeGreaterThan(0);
  expect(Math.min(writes, scans)).toBeGreaterThan(200);
});
