/** A request's way through the stages, over a fake engine: what the front hears, and what the guest sees. */
import { describe, expect, it } from "vitest";
import type { HeaderList } from "../../src/base/headers.js";
import { PROBLEMS, type Problem } from "../../src/base/problem.js";
import type { HttpFrame } from "../../src/engine/engine.js";
import type { Exchange, Incoming, Reply } from "../../src/invoke/invocation.js";
import { createInvoke } from "../../src/invoke/pipeline.js";
import type { Task } from "../../src/tasks/task.js";
import { callerOf, mayDebug } from "../../src/tenants/access.js";
import { TenantGates } from "../../src/tenants/quotas.js";
import type { Caller, Quotas, Scope } from "../../src/tenants/tenant.js";
import { fakeTask } from "../tasks/fake-task.js";
import { incoming } from "./requests.js";
import { Workbench } from "./workbench.js";

/** The callers whose keys these are. */
const KEYS: Readonly<Record<string, Caller>> = {
  pl_own: caller("own", "default", ["invoke", "debug"]),
  pl_reader: caller("reader", "default", ["read"]),
  pl_node: caller("node", undefined, ["admin"]),
  pl_other: caller("other", "other", ["admin"]),
};

function caller(id: string, tenant: string | undefined, scopes: Scope[]): Caller {
  return callerOf({ id, tenant, scopes, note: undefined, createdAt: "", expiresAt: undefined });
}

/** What a front was told, in order. */
class Told implements Reply {
  readonly calls: string[] = [];
  headers: HeaderList = [];
  said: Problem | undefined;

  head(status: number, headers: HeaderList, body: Uint8Array | undefined, ended: boolean): void {
    this.headers = headers;
    this.calls.push(`head ${status} ${body === undefined ? "-" : Buffer.from(body).toString()}${ended ? " ended" : ""}`);
  }
  chunk(bytes: Uint8Array): void {
    this.calls.push(`chunk ${Buffer.from(bytes).toString()}`);
  }
  end(trailers: HeaderList | undefined): void {
    this.calls.push(`end ${JSON.stringify(trailers)}`);
  }
  problem(problem: Problem, headers: HeaderList): void {
    this.said = problem;
    this.headers = headers;
    this.calls.push(`problem ${PROBLEMS[problem.code].status} ${problem.code}`);
  }
  reset(): void {
    this.calls.push("reset");
  }
  wantInput(bytes: number): void {
    this.calls.push(`want ${bytes}`);
  }
  header(name: string): string | undefined {
    const at = this.headers.indexOf(name);
    return at < 0 ? undefined : this.headers[at + 1];
  }
}

class Pipe {
  readonly bench: Workbench;
  readonly task: Task;
  readonly refusals: string[] = [];
  draining = false;
  quotas: Quotas = {};
  readonly gates = new TenantGates(() => this.quotas);
  readonly invoke: (parts?: Partial<Incoming>) => { exchange: Exchange; told: Told; handle: number };

  constructor(options: ConstructorParameters<typeof Workbench>[0] = {}, fields: Parameters<typeof fakeTask>[1] = {}) {
    this.bench = new Workbench(options);
    this.task = this.bench.deploy(fakeTask("a", fields));
    const { executor, engine, clock } = this.bench;
    const invoke = createInvoke({
      tasks: {
        match: (_authority, path) =>
          path === "/a" ? { choices: [{ task: this.task, weight: 1 }], total: 1, sticky: undefined } : undefined,
      },
      tenants: {
        identify: (key) => KEYS[key],
        enter: (tenant, memoryBytes, now) => this.gates.enter(tenant, memoryBytes, now),
        mayDebug: (caller, tenant) => mayDebug(caller, tenant),
      },
      random: () => 0,
      wall: () => 0,
      executor,
      launcher: {
        launch: (run) => executor.submit(run),
        cancel: (run) => executor.cancel(run),
        responds: () => false,
        respond: (_run, head, told) => told(head),
        taken: (_run, bytes) => bytes,
        unread: (run) => executor.cancel(run),
      },
      engine,
      clock,
      draining: () => this.draining,
      refused: (request, run, problem) => void this.refusals.push(`${request.target} ${run.length} ${problem.code}`),
    });
    this.invoke = (parts = {}) => {
      const told = new Told();
      const exchange = invoke(incoming({ target: "/a", ...parts }), told);
      return { exchange, told, handle: this.bench.executor.live(exchange.run)?.handle ?? 0 };
    };
  }
}

const HEAD = {
  kind: "head",
  status: 200,
  headers: ["x", "1"],
  body: undefined,
  ended: false,
  trailers: undefined,
  startNanoseconds: 0,
} as const;

describe("a request that a task answers", () => {
  it("crosses to the guest whole, without the fields of the connection and ours", () => {
    const pipe = new Pipe();
    const body = Buffer.from("body");
    const { handle } = pipe.invoke({
      method: "POST",
      scheme: "https",
      authority: "h:1",
      target: "/a?q=%2F",
      headers: ["Host", "h:1", "Connection", "X-Hop", "X-Hop", "1", "Pilotlight-Key", "pl_1", "Accept", "*/*"],
      body,
    });
    const expected: HttpFrame = {
      kind: "http",
      method: "POST",
      scheme: "https",
      authority: "h:1",
      target: "/a?q=%2F",
      headers: ["Host", "h:1", "Accept", "*/*"],
      body,
      more: false,
    };
    expect(pipe.bench.engine.run(handle).frame).toEqual(expected);
  });

  it("hears the answer as it comes, with the run's id", () => {
    const { bench, invoke } = new Pipe();
    const { exchange, told, handle } = invoke();
    bench.engine.emit({ ...HEAD, run: handle, body: Buffer.from("one") });
    bench.engine.emit({ kind: "chunk", run: handle, bytes: Buffer.from("two") }, { kind: "end", run: handle, trailers: ["t", "1"] });
    bench.engine.settle(handle);
    expect(told.calls).toEqual(["head 200 one", "chunk two", 'end ["t","1"]']);
    expect(told.headers).toEqual(["x", "1", "Pilotlight-Run", exchange.run]);
    expect(bench.executor.known(exchange.run)?.record).toMatchObject({ status: 200, outcome: "ok" });
  });

  it("passes what the front takes, sends and gives up on to the engine", () => {
    const { bench, invoke } = new Pipe();
    const { exchange, told, handle } = invoke({ streaming: true });
    expect((bench.engine.run(handle).frame as HttpFrame).more).toBe(true);
    bench.engine.emit({ kind: "need-input", run: handle, bytes: 100 });
    exchange.input(Buffer.from("in"));
    exchange.inputEnd(["t", "1", "Connection", "close"]);
    exchange.taken(5);
    exchange.cancel();
    expect(told.calls).toEqual(["want 100"]);
    expect(bench.engine.sent.slice(1)).toEqual([
      { kind: "chunk", run: handle, bytes: Buffer.from("in") },
      { kind: "end", run: handle, trailers: ["t", "1"] },
      { kind: "credit", run: handle, bytes: 5 },
      { kind: "cancel", run: handle },
    ]);
  });

  it("hears nothing more, and sends nothing more, when the run has settled", () => {
    const { bench, invoke } = new Pipe();
    const { exchange, told, handle } = invoke();
    bench.engine.emit({ ...HEAD, run: handle, ended: true });
    bench.engine.settle(handle);
    exchange.input(Buffer.from("late"));
    exchange.inputEnd(undefined);
    exchange.taken(5);
    exchange.cancel();
    expect(told.calls).toEqual(["head 200 - ended"]);
    expect(bench.engine.sent.map(({ kind }) => kind)).toEqual(["run"]);
  });

  it("is told that no more input is wanted when its run has settled", () => {
    const { bench, invoke } = new Pipe();
    const { told, handle } = invoke({ streaming: true });
    bench.engine.emit({ ...HEAD, run: handle, ended: true });
    bench.engine.settle(handle);
    expect(told.calls).toEqual(["head 200 - ended", "want 0"]);
  });
});

describe("a run that fails", () => {
  it("before its head is a problem with the run's id", () => {
    const { bench, invoke } = new Pipe();
    const { exchange, told, handle } = invoke();
    bench.engine.settle(handle, { kind: "trap", message: "inside" });
    expect(told.calls).toEqual(["problem 500 guest/trap"]);
    expect([told.said?.detail, told.headers]).toEqual([undefined, ["Pilotlight-Run", exchange.run]]);
  });

  it("after its head breaks the connection", () => {
    const { bench, invoke } = new Pipe();
    const { told, handle } = invoke();
    bench.engine.emit({ ...HEAD, run: handle });
    bench.engine.settle(handle, { kind: "trap", message: "inside" });
    expect(told.calls).toEqual(["head 200 -", "reset"]);
  });

  it("after all of its answer is a secret of the log", () => {
    const { bench, invoke } = new Pipe();
    const { exchange, told, handle } = invoke();
    bench.engine.emit({ ...HEAD, run: handle, ended: true });
    bench.engine.settle(handle, { kind: "trap", message: "inside" });
    expect(told.calls).toEqual(["head 200 - ended"]);
    expect(bench.executor.known(exchange.run)?.record.outcome).toBe("trap");
  });

  it("tells the trap's message to those who ask for it and hold debug on its tenant, and to nobody else", () => {
    const { bench, invoke } = new Pipe();
    const detail = (...headers: string[]): string | undefined => {
      const { told, handle } = invoke({ headers });
      bench.engine.settle(handle, { kind: "trap", message: "inside" });
      return told.said?.detail;
    };
    expect(detail("Pilotlight-Debug", "1", "Pilotlight-Key", "pl_own")).toBe("inside");
    expect(detail("Pilotlight-Debug", "1", "Authorization", "Bearer pl_node")).toBe("inside");
    expect(detail("Pilotlight-Debug", "0", "Pilotlight-Key", "pl_own")).toBeUndefined();
    expect(detail("Pilotlight-Key", "pl_own")).toBeUndefined();
    for (const key of ["pl_reader", "pl_other", "pl_nobody"])
      expect(detail("Pilotlight-Debug", "1", "Pilotlight-Key", key), key).toBeUndefined();
    expect(detail("Pilotlight-Debug", "1")).toBeUndefined();
  });

  it("says when to try again where that helps", () => {
    const { bench, invoke } = new Pipe({ capacity: 1 }, { capacity: { whenFull: "reject" } });
    const first = invoke();
    const second = invoke();
    expect([second.told.calls, second.told.header("Retry-After")]).toEqual([["problem 503 capacity/node-full"], "1"]);
    bench.engine.settle(first.handle, { kind: "platform", code: "instance-lost", message: "" });
    expect([first.told.calls, first.told.header("Retry-After")]).toEqual([["problem 503 platform/instance-lost"], "1"]);
    const third = invoke();
    bench.engine.settle(third.handle, { kind: "limit", limit: "cpu", used: 2, allowed: 1 });
    expect(third.told.header("Retry-After")).toBeUndefined();
  });

  it("because its answer cannot be sent ends as the guest's error", () => {
    const { bench, invoke } = new Pipe();
    const { exchange, told, handle } = invoke();
    bench.engine.emit({ ...HEAD, run: handle });
    exchange.refuse("two lengths");
    bench.engine.settle(handle, { kind: "cancelled" });
    expect(told.calls).toEqual(["head 200 -"]);
    expect(bench.executor.known(exchange.run)?.record.outcome).toBe("guest-error");
    expect(bench.seen).toEqual(["settled " + exchange.run.slice(-2) + " guest-error"]);
  });
});

describe("a request that is refused", () => {
  const refused = async (parts: Partial<Incoming>, pipe = new Pipe({}, { limits: { requestBody: "10B" } })) => {
    const { exchange, told } = pipe.invoke(parts);
    // The exchange is in the front's hands first.
    expect(told.calls).toEqual([]);
    await Promise.resolve();
    for (const method of [
      () => exchange.input(Buffer.alloc(1)),
      () => exchange.inputEnd(undefined),
      () => exchange.taken(1),
      () => exchange.cancel(),
      () => exchange.refuse(""),
    ])
      method();
    expect(pipe.bench.engine.sent).toEqual([]);
    expect(told.header("Pilotlight-Run")).toBe(exchange.run);
    expect(exchange.run).toMatch(/^[0-9a-f]{32}$/);
    return { calls: told.calls, refusals: pipe.refusals, retry: told.header("Retry-After") };
  };

  it("because no task answers costs no capacity, and is told to the log", async () => {
    expect(await refused({ target: "/b" })).toEqual({
      calls: ["problem 404 request/not-found"],
      refusals: ["/b 32 request/not-found"],
      retry: undefined,
    });
  });

  it("because it is too large costs no capacity", async () => {
    expect(await refused({ contentLength: 11, streaming: true })).toMatchObject({ calls: ["problem 413 request/body-too-large"] });
  });

  it("because the node drains is told to come again", async () => {
    const pipe = new Pipe();
    pipe.draining = true;
    expect(await refused({}, pipe)).toEqual({
      calls: ["problem 503 platform/draining"],
      refusals: ["/a 32 platform/draining"],
      retry: "1",
    });
  });
});
