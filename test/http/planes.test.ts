import { expect, it } from "vitest";
import { adminPlane, dataPlane } from "../../src/http/planes.js";

const health = { reasons: () => [] };

it("the routes of both planes fit Hono's fastest router", async () => {
  const data = dataPlane({ guest: () => new Response(), runs: { get: () => undefined, cancel() {} }, health, reserveOwn: true });
  const admin = adminPlane({ health, metrics: async () => "" });
  for (const { app } of [data, admin]) {
    await app.request("/x");
    expect(app.router.name).toBe("SmartRouter + RegExpRouter");
  }
});
