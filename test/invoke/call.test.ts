import { describe, expect, it } from "vitest";
import type { Outcome } from "../../src/engine/outcome.js";
import { CallError, execute, type CallPorts } from "../../src/invoke/call.js";
import { fakeTask } from "../tasks/fake-task.js";
import { Workbench } from "./workbench.js";

const FRAME = { kind: "call", interface: "i", function: "f", arguments: "[1]" } as const;

function portsOf({ executor, clock }: Workbench): CallPorts {
  return { executor, clock, start: (run) => executor.submit(run) };
}

function started(kind: "call" | "command" = "call") {
  const bench = new Workbench();
  const task = bench.deploy(fakeTask("a"));
  const result = execute(portsOf(bench), task, kind, kind === "call" ? FRAME : { kind: "command" });
  return { bench, result, handle: 1 };
}

describe("a call by name", () => {
  it("sends its frame and resolves with the result and the run", async () => {
    const { bench, result, handle } = started();
    expect(bench.engine.run(handle).frame).toEqual(FRAME);
    bench.engine.emit({ kind: "result", run: handle, json: '{"a":1}' });
    bench.engine.settle(handle);
    expect(await result).toEqual({ json: '{"a":1}', exit: 0, run: expect.stringMatching(/^[0-9a-f]{32}$/) as unknown });
  });

  it("of a command resolves with its exit status", async () => {
    const { bench, result, handle } = started("command");
    bench.engine.settle(handle, { kind: "ok", exit: 7 });
    expect(await result).toMatchObject({ json: undefined, exit: 7 });
  });

  it.each<[Outcome, string, string]>([
    [{ kind: "trap", message: "wasm trap: unreachable" }, "wasm trap: unreachable", "guest/trap"],
    [{ kind: "refused", code: "invalid-argument", message: "missing argument b" }, "Missing argument b.", "request/invalid-argument"],
    [{ kind: "limit", limit: "cpu", used: 2, allowed: 1 }, "limits.cpu allows 1 ms; this run came to 2 ms.", "guest/cpu"],
    [
      { kind: "refused", code: "node-full", message: "every instance of the node is in use" },
      "every instance of the node is in use",
      "capacity/node-full",
    ],
    [{ kind: "cancelled" }, "cancelled", "request/cancelled"],
  ])("that ends with %j rejects with what an HTTP client would be told, and why", async (outcome, message, code) => {
    const { bench, result, handle } = started();
    bench.engine.settle(handle, outcome);
    const error = await result.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(CallError);
    expect(error).toMatchObject({
      name: "CallError",
      message,
      outcome,
      problem: { code },
      run: expect.stringMatching(/^[0-9a-f]{32}$/) as unknown,
    });
  });
});
