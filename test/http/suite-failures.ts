/** What a client sees when something fails, on every front. */
import { describe, expect, it } from "vitest";
import type { Suite } from "./front-suite.js";

export function failureCases(suite: Suite): void {
  describe(`${suite.name}: failures`, () => {
    it("before the head are a problem with its headers", async () => {
      const front = await suite.start("failing");
      const response = await front.fetch("/");
      expect(response.status).toBe(503);
      expect(response.headers.get("content-type")).toBe("application/problem+json");
      expect(response.headers.get("retry-after")).toBe("3");
      expect(await response.json()).toEqual({
        type: "https://pilotlight.dev/problems/capacity/node-full",
        title: "The node has no capacity left",
        status: 503,
        detail: "Nothing is free.",
        run: "run-0",
      });
    });

    it("answered to HEAD have no body", async () => {
      const front = await suite.start("failing");
      const response = await front.fetch("/", { method: "HEAD" });
      expect(response.status).toBe(503);
      expect(await response.text()).toBe("");
    });

    it.each(["breaking", "failingLate"] as const)("after the head break the connection (%s)", async (guest) => {
      const front = await suite.start(guest);
      const response = await front.fetch("/");
      expect(response.status).toBe(200);
      await expect(response.text()).rejects.toThrow();
    });

    it("without any answer break the connection", async () => {
      const front = await suite.start("breakingEarly");
      await expect(front.fetch("/")).rejects.toThrow();
    });

    it.each([
      ["shortWhole", "The function declared a Content-Length of 10 and wrote 5 bytes."],
      ["twoLengths", 'The function answered with a Content-Length that is not one number: "6".'],
    ] as const)("of a length that cannot be right are a problem while nothing is sent (%s)", async (guest, detail) => {
      const front = await suite.start(guest);
      const response = await front.fetch("/");
      expect(response.status).toBe(500);
      expect(await response.json()).toMatchObject({ type: "https://pilotlight.dev/problems/guest/error", detail, run: "run-0" });
      await (
        await front.run()
      ).cancelled;
    });

    it.each(["shortStream", "longStream"] as const)("of a declared length break a streaming answer (%s)", async (guest) => {
      const front = await suite.start(guest);
      await expect((await front.fetch("/")).text()).rejects.toThrow();
      await (
        await front.run()
      ).cancelled;
    });

    it.each(["101", "103"])("of a status that is no final one are named (%s)", async (status) => {
      const front = await suite.start("status");
      const response = await front.fetch(`/${status}`);
      expect(response.status).toBe(500);
      expect(((await response.json()) as { detail: string }).detail).toBe(
        `The function answered with status ${status}; a final status is 200 or more.`,
      );
    });

    it("of a header field that HTTP does not allow are named", async () => {
      const front = await suite.start("badField");
      const response = await front.fetch("/");
      expect(response.status).toBe(500);
      expect(await response.json()).toMatchObject({
        detail: `The function's answer cannot be sent: Invalid character in header content ["X-Bad"].`,
        run: "run-0",
      });
    });

    it("of ours are reported and say nothing of their inside", async () => {
      const front = await suite.start("bug");
      const response = await front.fetch("/");
      expect(response.status).toBe(500);
      const run = response.headers.get("pilotlight-run");
      expect(await response.text()).toBe(
        `{"type":"https://pilotlight.dev/problems/platform/internal","title":"Pilotlight failed","status":500,"run":"${run}"}`,
      );
      expect(front.reported).toMatchObject([{ message: "secret detail" }]);
    });
  });
}
