/** Runs that answer later, from outside: what is accepted, what becomes of it, and how one gets at its answer. */
import { describe, expect, it } from "vitest";
import { guestTask } from "../support/guests.js";
import { startRuntime, type StartedRuntime } from "../support/runtime.js";
import { tempDir } from "../support/files.js";
import { until } from "../support/until.js";
import type { Fields } from "./records-node.js";

const LATER = { prefer: "respond-async" };

function worker(fields: Fields = {}): ReturnType<typeof guestTask> {
  return guestTask("reader", { name: "worker", routes: ["/*"], stores: ["default"], ...fields });
}

interface Accepted {
  readonly id: string;
  readonly location: string;
}

async function accepted(response: Response): Promise<Accepted> {
  const document = (await response.json()) as { id: string; state: string };
  expect([response.status, document.id]).toEqual([202, response.headers.get("pilotlight-run")]);
  return { id: document.id, location: response.headers.get("location") as string };
}

async function shown(node: StartedRuntime, { location }: Accepted): Promise<Record<string, unknown>> {
  return (await (await node.get(location)).json()) as Record<string, unknown>;
}

async function over(node: StartedRuntime, run: Accepted): Promise<Record<string, unknown>> {
  return until("it is over", async () => {
    const document = await shown(node, run);
    return document["ended"] === true ? document : undefined;
  });
}

describe("a request that can wait", () => {
  it("is accepted at once, and its answer is there when its run is over", async () => {
    const node = await startRuntime([worker()]);
    const response = await node.get("/get?keys=a&ms=300", { headers: LATER });
    expect(response.headers.get("preference-applied")).toBe("respond-async");
    const run = await accepted(response);
    const early = await node.get(`${run.location}/result`);
    expect([early.status, early.headers.get("retry-after")]).toEqual([409, "1"]);
    expect(await early.json()).toMatchObject({ type: "https://pilotlight.dev/problems/request/run-not-over" });
    expect(await over(node, run)).toMatchObject({ state: "done", status: 200, starts: 1, task: "worker" });
    const result = await node.get(`${run.location}/result`);
    expect([result.status, await result.text(), result.headers.get("pilotlight-run")]).toEqual([200, "a!\n", run.id]);
    expect(node.log.all({ msg: "run", run: run.id })).toHaveLength(1);
    await node.idle();
  });

  it("tells who asks how it went, with the decision and with its answer, and others nothing of that", async () => {
    const node = await startRuntime([worker({ idempotent: {} })]);
    const asked = await node.get("/get?keys=a", { headers: { ...LATER, "pilotlight-explain": "1" } });
    expect(asked.headers.get("server-timing")).toMatch(/^deferral;desc="now: .*cost=1.*"$/);
    const run = await accepted(asked);
    expect((await over(node, run))["ran"]).toMatchObject({ task: "worker", outcome: "ok", expected: false, record: { how: "miss" } });
    expect((await shown(node, run))["ran"]).not.toHaveProperty("cell");
    const { headers } = await node.get(`${run.location}/result`);
    expect(headers.get("server-timing")).toMatch(/^capacity;desc=.*, instance;desc="clean", expected;desc="no", deferral;desc="now: /);
    expect(headers.get("cache-status")).toMatch(/^pilotlight; fwd=miss/);
    const other = await accepted(await node.get("/get?keys=b", { headers: LATER }));
    await over(node, other);
    expect((await node.get(`${other.location}/result`)).headers.get("server-timing")).toBeNull();
    // Answered in time, it is told once.
    const quick = await node.get("/get?keys=c", { headers: { prefer: "respond-async, wait=5", "pilotlight-explain": "1" } });
    expect(quick.headers.get("server-timing")).toMatch(/^capacity;desc="(?:(?!capacity).)*$/);
    expect(quick.headers.get("cache-status")).toMatch(/^pilotlight; fwd=\w+[^,]*$/);
  });

  it("is answered now where that takes no longer than it waits", async () => {
    const node = await startRuntime([worker()]);
    const quick = await node.get("/get?keys=a", { headers: { prefer: "respond-async, wait=5" } });
    expect([quick.status, await quick.text()]).toEqual([200, "a!\n"]);
    const slow = await node.get("/get?keys=a&ms=1500", { headers: { prefer: "respond-async, wait=1" } });
    const run = await accepted(slow);
    expect(await over(node, run)).toMatchObject({ state: "done" });
  });

  it("may have a body of any size up to what is kept, and its guest sees all of it, and no preference", async () => {
    const node = await startRuntime([worker()]);
    const body = "x".repeat(300_000);
    const run = await accepted(await node.get("/echo", { method: "POST", body, headers: LATER }));
    await over(node, run);
    const text = await (await node.get(`${run.location}/result`)).text();
    expect(text).toContain(body);
    expect(text).not.toMatch(/^prefer:/m);
  });

  it("of a task that is marked so always is", async () => {
    const node = await startRuntime([worker({ async: true })]);
    const response = await node.get("/get?keys=a");
    expect(response.headers.get("preference-applied")).toBeNull();
    await over(node, await accepted(response));
  });

  it("is refused where what it asks for cannot be", async () => {
    const node = await startRuntime([worker({ limits: { requestBody: "100KiB" } })]);
    const ask = async (headers: Record<string, string>, init: RequestInit = {}): Promise<unknown> => {
      const response = await node.get("/get?keys=a", { ...init, headers });
      return [response.status, ((await response.json()) as { detail: string }).detail];
    };
    expect(await ask({ prefer: "respond-async, wait=soon" })).toEqual([
      400,
      "Prefer says wait=soon; expected whole seconds, such as wait=5.",
    ]);
    expect(await ask({ ...LATER, "pilotlight-not-after": "tomorrow" })).toEqual([
      400,
      'Pilotlight-Not-After says "tomorrow"; expected a time such as 2026-01-31T18:00:00Z.',
    ]);
    const [status, detail] = (await ask({ ...LATER, "pilotlight-not-after": "2020-01-01T00:00:00Z" })) as [number, string];
    expect([status, detail]).toEqual([
      422,
      expect.stringMatching(/^Pilotlight-Not-After is 2020-01-01T00:00:00.000Z, and here it is .*: nothing can start by then.$/),
    ]);
    expect(await ask(LATER, { method: "POST", body: Buffer.alloc(200_000) })).toEqual([413, expect.stringContaining("102400")]);
  });

  it("that fails has its problem for an answer; one that may be repeated is, until it works or was tried often enough", async () => {
    const node = await startRuntime([worker({ repeat: true, retries: { max: 2, delay: "10ms" } })]);
    const run = await accepted(await node.get("/trap", { headers: LATER }));
    expect(await over(node, run)).toMatchObject({ state: "failed", starts: 3, fault: { code: "guest/trap" } });
    const result = await node.get(`${run.location}/result`);
    expect([result.status, ((await result.json()) as { type: string }).type]).toEqual([500, "https://pilotlight.dev/problems/guest/trap"]);
    await node.runtime.deploy(worker());
    const once = await accepted(await node.get("/trap", { headers: LATER }));
    expect(await over(node, once)).toMatchObject({ state: "failed", starts: 1 });
  });

  it("can be called off, while it waits and while it runs", async () => {
    const node = await startRuntime([worker()]);
    const run = await accepted(await node.get("/get?keys=a&ms=5000", { headers: LATER }));
    await until("it runs", async () => (await shown(node, run))["state"] === "running");
    expect((await node.get(run.location, { method: "DELETE" })).status).toBe(202);
    expect(await over(node, run)).toMatchObject({ state: "cancelled" });
    expect((await node.get(`${run.location}/result`)).status).toBe(499);
    expect((await node.get(run.location, { method: "DELETE" })).status).toBe(200);
  });

  it("is a call of a function, too", async () => {
    const node = await startRuntime([worker()]);
    const call = (headers: Record<string, string>): Promise<Response> =>
      node.get("/-/tasks/worker/demo:memo/lookup@1.0.0/get", {
        method: "POST",
        body: '["a"]',
        headers: { "content-type": "application/json", ...headers },
      });
    const run = await accepted(await call(LATER));
    expect(await over(node, run)).toMatchObject({ state: "done" });
    expect(await (await node.get(`${run.location}/result`)).json()).toBeNull();
    const now = await call({ prefer: "respond-async, wait=5" });
    expect([now.status, await now.json()]).toEqual([200, null]);
  });

  it("is not taken on where a record answers it already", async () => {
    const node = await startRuntime([worker({ idempotent: {} })]);
    await (await node.get("/get?keys=a")).text();
    const again = await until("it is recorded", async () => {
      const response = await node.get("/get?keys=a", { headers: LATER });
      await response.text();
      return response.status === 200 ? response : undefined;
    });
    expect(again.headers.get("cache-status")).toMatch(/^pilotlight; hit/);
  });
});

describe("what triggers have started", () => {
  it("is for those who look into the tenant's runs, though its id can be worked out; a trap's own words are for nobody else", async () => {
    const node = await startRuntime([], { data: tempDir(), durable: true });
    await node.runtime.start();
    const { control, operator } = node.runtime;
    await node.runtime.deploy(worker({ triggers: [{ queue: "mails", path: "/trap" }] }));
    const send = { body: Buffer.from("hello"), type: "text/plain", key: "order-17" };
    const { id } = await control.send(operator, "default", "mails", send);
    await node.runtime.deferred.over(id, 5000);
    const { text: key } = await control.issueKey(operator, "default", { scopes: ["invoke"] });
    const { text: debug } = await control.issueKey(operator, "default", { scopes: ["debug"] });
    const ask = async (path: string, headers: Record<string, string> = {}): Promise<number> => (await node.get(path, { headers })).status;
    for (const path of [`/-/runs/${id}`, `/-/runs/${id}/result`]) {
      expect([await ask(path), await ask(path, { "pilotlight-key": key })]).toEqual([404, 404]);
      expect(await ask(path, { "pilotlight-key": debug })).toBe(path.endsWith("result") ? 500 : 200);
    }
    expect((await node.get(`/-/runs/${id}`, { method: "DELETE" })).status).toBe(404);
    const shown = await accepted(await node.get("/trap", { headers: LATER }));
    const document = await over(node, shown);
    expect(document).toMatchObject({ state: "failed", fault: { code: "guest/trap" } });
    expect(JSON.stringify(document)).not.toMatch(/unreachable/);
    expect((await (await node.get(`${shown.location}/result`)).text()).includes("unreachable")).toBe(false);
    expect(control.deferredRun(operator, "default", shown.id).fault?.detail).toMatch(/unreachable/);
  });
});

describe("after a restart", () => {
  it("what was accepted runs, and what had begun is interrupted or begins again", async () => {
    const data = tempDir();
    const before = await startRuntime(
      [worker({ limits: { concurrency: 1 } }), worker({ name: "again", routes: ["/again/*"], repeat: true })],
      {
        data,
        durable: true,
      },
    );
    const begun = await accepted(await before.get("/get?keys=a&ms=4000", { headers: LATER }));
    const again = await accepted(await before.get("/again/sleep?ms=4000", { headers: LATER }));
    await until(
      "both run",
      async () => (await shown(before, begun))["state"] === "running" && (await shown(before, again))["state"] === "running",
    );
    const waiting = await accepted(await before.get("/get?keys=b", { headers: LATER }));
    await before.runtime.close(50);
    const after = await startRuntime([], { data, durable: true });
    await after.runtime.start();
    expect(await over(after, begun)).toMatchObject({ state: "interrupted", starts: 1 });
    expect(await over(after, waiting)).toMatchObject({ state: "done", starts: 1 });
    expect(await over(after, again)).toMatchObject({ state: "done", starts: 2 });
  });
});
