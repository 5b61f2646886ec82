/** Many calls between guests at once, by chance, while what they call crashes, is deployed anew and finds no room. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { Random } from "../../bench/soak/support/random.js";
import type { ManifestInput } from "../../src/tasks/manifest.js";
import { guestPath } from "../support/guests.js";
import { startRuntime } from "../support/runtime.js";

const CALC = "demo:math/calc";
const RELAY = "demo:app/relay";
const ROUNDS = 40;
const AT_ONCE = 25;

const task = (name: string, guest: string, more: Partial<ManifestInput> = {}) => ({
  manifest: { name, ...more },
  component: readFileSync(guestPath(guest)),
});

/** Codes of honest refusals: there was no room, or what was called crashed or went. */
const HONEST = /^(call\/failed|call\/no-provider|capacity\/\w+|overload\/\w+)/;

it("every call has its own result or an honest refusal, and nothing of any is left", { timeout: 120_000 }, async () => {
  const random = new Random(20261126, 0);
  const provided = { provides: [CALC] };
  const node = await startRuntime(
    [
      task("calc", "calc", provided),
      task("reused", "calc", { ...provided, reuse: { maxRequests: 50 } }),
      task("shared", "calc", { ...provided, reuse: { maxRequests: 100, maxConcurrent: 4 } }),
      task("named", "relay", { uses: { [CALC]: { task: "calc" } } }),
      task("renamed", "relay", { uses: { [CALC]: { task: "reused" } }, reuse: { maxRequests: 10 } }),
      task("late", "relay"),
    ],
    { instances: 64 },
  );
  const post = async (path: string, args: unknown): Promise<{ status: number; body: unknown }> => {
    const response = await node.get(`/-/tasks/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(args),
    });
    return { status: response.status, body: await response.json() };
  };
  const counts = { right: 0, refused: 0, crashed: 0 };
  const one = async (): Promise<void> => {
    const caller = random.pick(["named", "renamed", "late"]);
    const [a, b] = [random.below(1000), 1 + random.below(1000)];
    const [func, args, right] = random.pick([
      ["add", [a, b], a + b],
      ["many", [a], a],
      ["divide", [a, b], [Math.floor(a / b), a % b]],
      ["crash", [], undefined],
    ] as const);
    const { status, body } = await post(`${caller}/${RELAY}/${func}`, args);
    if (status === 200) {
      expect(body).toEqual(right);
      counts.right++;
      return;
    }
    const { type = "", error = "" } = body as { readonly type?: string; readonly error?: string };
    const code = type.replace("https://pilotlight.dev/problems/", "");
    // A `divide` that found nobody says so in its own error type.
    if (code === "call/error") expect(error).toMatch(/capacity|room|provides|limits|trapped/);
    else expect(code).toMatch(HONEST);
    if (func === "crash") counts.crashed++;
    else counts.refused++;
  };
  for (let round = 0; round < ROUNDS; round++) {
    const all = Array.from({ length: AT_ONCE }, one);
    if (round % 5 === 0) await node.runtime.deploy(task(random.pick(["calc", "reused"]), "calc", provided));
    await Promise.all(all);
  }
  expect(counts.right).toBeGreaterThan((ROUNDS * AT_ONCE) / 4);
  expect(counts.crashed).toBeGreaterThan(0);
  await node.idle();
  expect(node.runtime.stats().engine).toMatchObject({ runs: 0, asks: 0 });
});
