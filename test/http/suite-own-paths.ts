/** What answers under `/-/`, on every front. */
import { describe, expect, it } from "vitest";
import type { Suite } from "./front-suite.js";

export function ownPathCases(suite: Suite): void {
  describe(`${suite.name}: paths of ours`, () => {
    it("tell that the node lives and whether it is ready", async () => {
      const front = await suite.start("hello");
      expect(await (await front.fetch("/-/livez")).text()).toBe("live\n");
      expect(await (await front.fetch("/-/readyz")).json()).toEqual({ ready: true });
      const head = await front.fetch("/-/livez", { method: "HEAD" });
      expect([head.status, await head.text()]).toEqual([200, ""]);
    });

    it("keep the reasons of an unready node to its operator", async () => {
      const front = await suite.start("hello", { reasons: ["draining"] });
      const response = await front.fetch("/-/readyz");
      expect([response.status, await response.json()]).toEqual([503, { ready: false }]);
    });

    it("show runs, cancel those that go on, and leave ended ones alone", async () => {
      const front = await suite.start("hello");
      expect(await (await front.fetch("/-/runs/live")).json()).toEqual({ run: "live", ended: false });
      const cancelled = await front.fetch("/-/runs/live", { method: "DELETE" });
      expect([cancelled.status, await cancelled.json()]).toEqual([202, { run: "live", ended: true }]);
      expect((await front.fetch("/-/runs/live", { method: "DELETE" })).status).toBe(200);
    });

    it.each([
      ["GET", "/-/runs/nope", 404, "request/run-not-found", 'No run "nope" is known here; ended runs are kept for a while only.'],
      ["DELETE", "/-/runs/nope", 404, "request/run-not-found", 'No run "nope" is known here; ended runs are kept for a while only.'],
      [
        "GET",
        "/-/runs/live/result",
        404,
        "request/run-not-found",
        "No result is kept of this run: the answer went to whoever made the request.",
      ],
      ["GET", "/-/else", 404, "request/not-found", "Nothing of Pilotlight answers at /-/else."],
      ["GET", "/-", 404, "request/not-found", "Nothing of Pilotlight answers at /-."],
      ["POST", "/-/livez", 405, "request/method-not-allowed", "POST is not supported here; GET, HEAD is."],
      ["PUT", "/-/runs/live", 405, "request/method-not-allowed", "PUT is not supported here; GET, HEAD, DELETE is."],
    ])("refuse %s %s with %d %s", async (method, path, status, code, detail) => {
      const front = await suite.start("hello");
      const response = await front.fetch(path, { method });
      expect(response.status).toBe(status);
      expect(await response.json()).toMatchObject({ type: `https://pilotlight.dev/problems/${code}`, status, detail });
      expect(response.headers.get("allow")).toBe(status === 405 ? detail.replace(/.*here; | is\.$/g, "") : null);
    });

    it("are told apart by the path on the wire", async () => {
      const front = await suite.start("hello");
      for (const path of ["/%2D/livez", "/-x", "/x/-/livez", "//-/livez"]) expect(await (await front.fetch(path)).text()).toBe("hello");
    });

    it("are the guest's when none are reserved", async () => {
      const front = await suite.start("hello", { reserveOwn: false });
      expect(await (await front.fetch("/-/livez")).text()).toBe("hello");
    });
  });
}
