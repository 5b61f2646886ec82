import type { CallsPort } from "../../src/http/calls.js";
import { expect, it } from "vitest";
import { adminPlane, dataPlane } from "../../src/http/planes.js";

const health = { reasons: () => [] };

it("the routes of both planes fit Hono's fastest router", async () => {
  const calls: CallsPort = { describe: async () => [], call: () => Promise.reject(new Error("nothing is called here")) };
  const data = dataPlane({
    calls,
    guest: () => new Response(),
    pretriggers: { hear: () => ({ key: "" }) },
    runs: { get: () => undefined, result: () => undefined, cancel: async () => {} },
    health,
    reserveOwn: true,
  });
  const admin = adminPlane({ health, metrics: async () => "" });
  for (const { app } of [data, admin]) {
    await app.request("/x");
    expect(app.router.name).toBe("SmartRouter + RegExpRouter");
  }
});
