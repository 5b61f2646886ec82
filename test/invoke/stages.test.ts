import { describe, expect, it } from "vitest";
import type { Incoming } from "../../src/invoke/invocation.js";
import { admit } from "../../src/invoke/stages/admit.js";
import { asksFor, serverTiming, withOurs, withoutOurs } from "../../src/invoke/stages/head.js";
import { resolve } from "../../src/invoke/stages/resolve.js";
import { fakeTask } from "../tasks/fake-task.js";
import { incoming } from "./requests.js";
import { Workbench } from "./workbench.js";

describe("resolve", () => {
  const task = fakeTask("a");
  const asked: string[] = [];
  const tasks = { match: (path: string) => (asked.push(path), path === "/a" ? task : undefined) };

  it("finds the task by the path alone, without the query, as it is on the wire", () => {
    expect(resolve(incoming({ target: "/a?b=/c" }), tasks)).toBe(task);
    resolve(incoming({ target: "/%61?x?y" }), tasks);
    resolve(incoming({ target: "?" }), tasks);
    expect(asked.splice(0)).toEqual(["/a", "/%61", ""]);
  });

  it("names the path that no task has", () => {
    expect(resolve(incoming({ target: "/b?c" }), tasks)).toEqual({ code: "request/not-found", detail: "No task has a route for /b." });
  });
});

describe("admit", () => {
  const task = fakeTask("a", { limits: { requestBody: "100B", headers: "100B" } });

  it("lets in what is within the limits", () => {
    expect(admit(incoming({ contentLength: 100 }), task, false)).toBeUndefined();
    expect(admit(incoming({ body: Buffer.alloc(100) }), task, false)).toBeUndefined();
    // A body of unknown length is counted as it comes.
    expect(admit(incoming({ streaming: true }), task, false)).toBeUndefined();
  });

  it("refuses a body that says it is too large, and says by how much", () => {
    expect(admit(incoming({ contentLength: 101, streaming: true }), task, false)).toEqual({
      code: "request/body-too-large",
      detail: "limits.requestBody allows 100 bytes; the request has 101.",
    });
    expect(admit(incoming({ body: Buffer.alloc(102) }), task, false)?.detail).toBe(
      "limits.requestBody allows 100 bytes; the request has 102.",
    );
  });

  it("refuses a head that is too large: the target, and each field with its colon, blank and line end", () => {
    const head = (value: number): Incoming => incoming({ target: "/12345", headers: ["name", "v".repeat(value)] });
    expect(admit(head(86), task, false)).toBeUndefined();
    expect(admit(head(87), task, false)).toEqual({
      code: "request/headers-too-large",
      detail: "limits.headers allows 100 bytes; the request has 101.",
    });
  });

  it("refuses everything while the node drains", () => {
    expect(admit(incoming(), task, true)).toEqual({ code: "platform/draining", detail: undefined });
  });
});

describe("the head that a guest sees", () => {
  it("is without the fields that are ours, in any case, and otherwise untouched", () => {
    const headers = [
      "Host",
      "h",
      "Pilotlight-Key",
      "pl_1",
      "X",
      "1",
      "PILOTLIGHT-EXPLAIN",
      "1",
      "pilotlight-debug",
      "1",
      "x",
      "2",
      "Authorization",
      "Basic",
    ];
    expect(withoutOurs(headers)).toEqual(["Host", "h", "X", "1", "x", "2", "Authorization", "Basic"]);
    const clean = ["Host", "h", "Pilotlight-Other", "1", "Pilotlight-Keys", "2"];
    expect(withoutOurs(clean)).toBe(clean);
  });

  it("does not take a value for a name", () => {
    const headers = ["a", "pilotlight-key", "b", "c"];
    expect(withoutOurs(headers)).toBe(headers);
  });
});

describe("the head of an answer", () => {
  it("carries the id of the run, and none that the guest made up", () => {
    const run = new Workbench().run(fakeTask("a"));
    expect(withOurs(["A", "1", "pilotlight-RUN", "lie", "a", "2"], run, false)).toEqual(["A", "1", "a", "2", "Pilotlight-Run", run.id]);
  });

  it("says where the time went to those who ask and may", () => {
    const bench = new Workbench({ capacity: 1 });
    const task = bench.deploy(fakeTask("a"));
    const first = bench.submit(task);
    const run = bench.submit(task);
    bench.clock.time = 2;
    bench.engine.settle(first.handle);
    run.startNanoseconds = 1_500_000;
    run.headAt = 7.25;
    expect(serverTiming(run)).toBe('capacity;desc="own/linked", pool;desc="shared", queue;dur=2.000, start;dur=1.500, run;dur=5.250');
    expect(withOurs([], run, true)).toEqual(["Pilotlight-Run", run.id, "Server-Timing", serverTiming(run)]);
    expect(asksFor(["Pilotlight-Explain", "1"], "pilotlight-explain", true)).toBe(true);
    expect(asksFor(["Pilotlight-Explain", "1"], "pilotlight-explain", false)).toBe(false);
    expect(asksFor(["Pilotlight-Explain", "0"], "pilotlight-explain", true)).toBe(false);
    expect(asksFor([], "pilotlight-explain", true)).toBe(false);
  });
});
