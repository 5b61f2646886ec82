/** Runs as their callers see them: an id on every answer, a record while they live and after, and an explanation for those who may ask. */
import { networkInterfaces } from "node:os";
import { beforeAll, describe, expect, it } from "vitest";
import { guestTask, WASI } from "../support/guests.js";
import { problemOf, runOf, startRuntime, type StartedRuntime } from "../support/runtime.js";
import { until } from "../support/until.js";

let node: StartedRuntime;
beforeAll(async () => {
  node = await startRuntime([
    guestTask("behave-p3"),
    guestTask("hello-p2", { routes: ["/hello"] }),
    guestTask("logger-p2", { routes: ["/logger"] }),
    guestTask("logger-p3", { routes: ["/logger-p3"] }),
  ]);
});

/** The record at `/-/runs/<id>`. */
async function record(id: string): Promise<Record<string, unknown>> {
  const response = await node.get(`/-/runs/${id}`);
  expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/json"]);
  return (await response.json()) as Record<string, unknown>;
}

describe("the record of a run", () => {
  it("says that it runs while it does, and how it ended afterwards", async () => {
    const response = await node.get("/slow?pieces=2&ms=100");
    const id = runOf(response);
    expect(await record(id)).toMatchObject({
      id,
      task: "behave-p3",
      state: "running",
      ended: false,
      status: 200,
      capacity: "warming/linked",
      why: ["own/ready: none is idle", "own: the tenant has no cell"],
    });
    await response.text();
    await node.log.run(id);
    const ended = await record(id);
    expect(ended).toMatchObject({ id, task: "behave-p3", state: "settled", ended: true, outcome: "ok", status: 200 });
    expect(ended["runMs"]).toBeGreaterThan(100);
    expect(Date.parse(String(ended["startedAt"]))).toBeGreaterThan(Date.now() - 60_000);
  });

  it("is there before the answer is, under the id of the log", async () => {
    const answer = node.get("/sleep?ms=200");
    await until("it runs", () => node.runtime.stats().liveRuns === 1);
    const response = await answer;
    expect(await record(runOf(response))).toMatchObject({ task: "behave-p3" });
    await response.text();
  });

  it.each([
    ["/trap", { outcome: "trap" }],
    ["/error", { outcome: "guest-error" }],
    ["/nothing-here", { outcome: "ok", status: 404 }],
  ])("of %s says %j", async (path, ending) => {
    const response = await node.get(path);
    await response.text();
    await node.log.run(runOf(response));
    expect(await record(runOf(response))).toMatchObject({ ended: true, ...ending });
  });

  it("is unknown for an id that nobody has had", async () => {
    const response = await node.get(`/-/runs/${"0".repeat(32)}`);
    expect([response.status, ((await response.json()) as { type: string }).type]).toEqual([
      404,
      "https://pilotlight.dev/problems/request/run-not-found",
    ]);
  });
});

describe("DELETE of a run", () => {
  it("that is in the middle of its answer breaks the answer off", async () => {
    const response = await node.get("/after-head-hang");
    expect((await node.get(`/-/runs/${runOf(response)}`, { method: "DELETE" })).status).toBe(202);
    await expect(response.text()).rejects.toThrow("terminated");
    expect(await node.log.run(runOf(response))).toMatchObject({ outcome: "cancelled" });
    expect(await record(runOf(response))).toMatchObject({ ended: true, outcome: "cancelled" });
    await node.idle();
  });

  it("that has ended changes nothing, and gives its record", async () => {
    const response = await node.get("/hello");
    await response.text();
    await node.log.run(runOf(response));
    const deleted = await node.get(`/-/runs/${runOf(response)}`, { method: "DELETE" });
    expect([deleted.status, await deleted.json()]).toEqual([200, expect.objectContaining({ ended: true, outcome: "ok" })]);
  });
});

describe.each(WASI)("a run of WASI %s that takes longer than limits.duration", (wasi) => {
  it.each(["/slow?pieces=1000&ms=20", "/after-end?ms=60000"])(
    "is ended, whether it still answers or works on after its answer (%s)",
    async (path) => {
      const brief = await startRuntime([guestTask(`behave-${wasi}`, { limits: { duration: "300ms" } })]);
      const response = await brief.get(path);
      if (path.startsWith("/slow")) await expect(response.text()).rejects.toThrow("terminated");
      else expect(await response.text()).toBe("ok\n");
      expect(await brief.log.run(runOf(response))).toMatchObject({
        outcome: "limit",
        cause: expect.stringMatching(/^total-time: \d+ of /),
      });
      await brief.idle();
    },
  );
});

describe("Pilotlight-Explain", () => {
  const explained = new RegExp(
    '^capacity;desc="own/linked", pool;desc="shared", queue;dur=\\d+\\.\\d+, start;dur=\\d+\\.\\d+, run;dur=\\d+\\.\\d+, instance;desc="clean"(?:, expected;desc="no")?' +
      ', why;desc="own/ready: none is idle"$',
  );

  it("tells callers on this machine where the time went", async () => {
    const response = await node.get("/hello", { headers: { "Pilotlight-Explain": "1" } });
    expect(response.headers.get("server-timing")).toMatch(explained);
    expect((await node.get("/hello")).headers.get("server-timing")).toBeNull();
    expect((await node.get("/hello", { headers: { "Pilotlight-Explain": "0" } })).headers.get("server-timing")).toBeNull();
  });

  it("is nothing to callers from elsewhere, and neither is Pilotlight-Debug", async (context) => {
    const address = Object.values(networkInterfaces())
      .flat()
      .find((entry) => entry?.family === "IPv4" && !entry.internal)?.address;
    if (address === undefined) return context.skip("this machine has no address but loopback");
    const { port } = await node.runtime.dataFront().listen({ host: address, port: 0 });
    const headers = { "Pilotlight-Explain": "1", "Pilotlight-Debug": "1" };
    const response = await fetch(`http://${address}:${port}/hello`, { headers });
    expect([await response.text(), response.headers.get("server-timing")]).toEqual(["Hello, WASI!\n", null]);
    const trapped = await fetch(`http://${address}:${port}/trap`, { headers });
    expect((await problemOf(trapped)).detail).toBeUndefined();
  });
});

describe.each(WASI)("what a guest of WASI %s writes", (wasi) => {
  it("to stdout, stderr and wasi:logging is logged with its run, its task and its level", async () => {
    const response = await node.get(`/logger${wasi === "p3" ? "-p3" : ""}?level=warn`);
    const run = runOf(response);
    expect(await response.text()).toBe("logged\n");
    await node.log.run(run);
    const lines = node.log
      .all({ msg: "guest", run })
      .map(({ level, task, origin, context, text }) => ({ level, task, origin, context, text }));
    const task = `logger-${wasi}`;
    expect(lines.sort((a, b) => String(a.origin).localeCompare(String(b.origin)))).toEqual([
      { level: 30, task, origin: "stderr", context: undefined, text: "a line on stderr" },
      { level: 30, task, origin: "stdout", context: undefined, text: "a line on stdout" },
      { level: 40, task, origin: "wasi:logging", context: "logger", text: "a line through wasi:logging" },
    ]);
  });
});
