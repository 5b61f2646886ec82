/**
 * Typed calls from outside: one exported function of a named task, or of whoever provides a capability.
 *
 * The same stages as for a request, without a guest's HTTP in between: resolve, identify, admit, choose, lease, run,
 * settle. Arguments and result are the engine's JSON (`docs/values.md`); what a client sends becomes that before it gets here.
 */
import { ProblemError, type Problem } from "../base/problem.js";
import type { CallFrame } from "../engine/engine.js";
import type { ComponentInfo, InterfaceInfo } from "../engine/program.js";
import type { Task } from "../tasks/task.js";
import { mayInvoke } from "../tenants/access.js";
import type { Caller } from "../tenants/tenant.js";
import { callable, type Callable, type Uncallable } from "../wit/callable.js";
import { isServedBy, parseInterfaceName } from "../wit/capability.js";
import { Attempt, type AttemptPorts, type Candidate } from "./attempt.js";
import type { BesideRequest } from "./beside.js";
import { failureOf } from "./blame.js";
import { endOfCalled, fromChain } from "./chain.js";
import { functionKey, type Choices, type Choosing } from "./choosing.js";
import type { Later } from "./later.js";
import type { Run } from "./run.js";
import type { Waiter } from "./waiter.js";

export type CallTarget =
  | { readonly kind: "task"; readonly tenant: string; readonly task: string }
  | { readonly kind: "capability"; readonly capability: string };

export interface TypedCall {
  readonly target: CallTarget;
  /** With its version or without; empty: a function of the component's world. */
  readonly interface: string;
  readonly function: string;
  /** The arguments as JSON, once the function is known. Throws `request/invalid-argument`. */
  arguments(callable: Callable): string;
  /** What the client sent, in bytes. */
  readonly bytes: number;
  readonly caller: Caller;
  /** Asks for traps' own words. */
  readonly debug: boolean;
  readonly prefer: string | undefined;
  readonly requestId: string | undefined;
  readonly traceparent: string | undefined;
  readonly waiter: Waiter;
  /** Its answer may come later. */
  readonly later?: Later | undefined;
  /** The request as sidecars see it; undefined: there is none. */
  readonly request?: Pick<BesideRequest, "head" | "header"> | undefined;
  /** The run whose guest calls, where one does: its rights and its time hold. */
  readonly from?: Run;
}

export interface TypedAnswer {
  readonly run: Run;
  readonly callable: Callable;
  /** Undefined: the function returns nothing. */
  readonly json: string | undefined;
}

/** A call that came to no result. */
export class CallFailure extends ProblemError {
  constructor(
    problem: Problem,
    readonly run: string | undefined,
    readonly settled: Run | undefined,
  ) {
    const { code, detail, ...more } = problem;
    super(code, detail, more);
  }
}

export interface TypedCallPorts extends AttemptPorts {
  readonly choosing: Choosing;
  /** One of the versions that requests get now, by weight. */
  pick(tenant: string, task: string): Task | undefined;
  /** What the task's component is, loaded for it if need be. */
  describe(task: Task): Promise<ComponentInfo>;
  draining(): boolean;
  /** The caller sees traps' own words. */
  mayDebug(caller: Caller, tenant: string): boolean;
  /** Whether a record would answer the call here and now. */
  holds(task: Task, frame: CallFrame, from: Run | undefined): boolean;
}

interface CallCandidate extends Candidate {
  readonly call: CallFrame;
}

export class TypedCalls {
  readonly #ports: TypedCallPorts;

  constructor(ports: TypedCallPorts) {
    this.#ports = ports;
  }

  /** Throws as `call` does where there is nothing to call. */
  async describe(target: CallTarget, caller: Caller): Promise<readonly (Callable | Uncallable)[]> {
    const [first] = this.#candidates(target, undefined, 0, caller, undefined).candidates;
    const info = await this.#ports.describe((first as Found).task);
    const functions: (Callable | Uncallable)[] = [];
    const wanted = target.kind === "capability" ? exportOf(info, target.capability)?.name : undefined;
    for (const each of info.exports) {
      if (wanted !== undefined && each.name !== wanted) continue;
      for (const one of each.functions) {
        const known = callable(each.name, one);
        functions.push("refused" in known ? { interface: each.name, name: one.name, refused: known.refused } : known);
      }
    }
    return functions;
  }

  /** Rejects with a `CallFailure`, or with the `ProblemError` of a call that could not be made. */
  async call(call: TypedCall): Promise<TypedAnswer> {
    // What goes on may end, with all that it calls.
    if (this.#ports.draining() && call.from === undefined) throw new ProblemError("platform/draining", undefined);
    const { target, caller } = call;
    const { candidates, pick } = this.#candidates(target, call.function, call.bytes, caller, call.prefer, call.from);
    const first = (candidates[0] as Found).task;
    const named = callableOf(await this.#ports.describe(first), call.interface, call.function, first.name);
    const limit = first.version.manifest.limits.requestBody;
    if (call.bytes > limit)
      throw new ProblemError("request/body-too-large", `limits.requestBody allows ${limit} bytes; the request has ${call.bytes}.`);
    const json = call.arguments(named);
    const frames = await Promise.all(candidates.map(({ task }) => this.#frame(task, call, named, json)));
    const recalled = pick === undefined ? -1 : frames.findIndex((each) => this.#ports.holds(each.task, each.call, call.from));
    if (recalled < 0) return this.#run(call, frames, pick, named, json);
    // To look at a record costs next to nothing, whatever running takes.
    const [cheapest] = frames.splice(recalled, 1) as [CallCandidate];
    const why = `${cheapest.task.name} has a record that holds`;
    return this.#run(call, [cheapest, ...frames], { ...(pick as Choices["pick"]), why }, named, json);
  }

  #run(
    call: TypedCall,
    candidates: readonly Candidate[],
    pick: Choices["pick"] | undefined,
    named: Callable,
    args: string,
  ): Promise<TypedAnswer> {
    return new Promise((resolve, reject) => {
      let json: string | undefined;
      const attempt = new Attempt(this.#ports, {
        candidates,
        origin: {
          kind: call.from === undefined ? "call" : "guest",
          method: undefined,
          path: `${named.interface}#${named.name}`,
          requestId: call.requestId,
          traceparent: call.traceparent,
        },
        caller: call.caller,
        ...(call.request !== undefined && { request: asBeside(call.request, args) }),
        ...(call.later !== undefined && { later: call.later }),
        descent: call.from === undefined ? { pick } : { pick, parent: call.from, until: endOfCalled(call.from) },
        listener: {
          event: (_run, event) => {
            if (event.kind === "result") json = event.json;
          },
          settled: (run) => {
            stays();
            run.argumentBytes = call.bytes;
            this.#ports.choosing.settled(run, functionKey(named.interface, named.name));
            const { outcome } = run;
            if (outcome?.kind === "ok") return resolve({ run, callable: named, json });
            const debug = call.debug && this.#ports.mayDebug(call.caller, run.task.tenant);
            const problem = outcome === undefined ? undefined : failureOf(run, debug);
            reject(new CallFailure(problem ?? { code: "platform/internal", detail: undefined }, run.id, run));
          },
          refused: (problem, run) => {
            stays();
            reject(new CallFailure(problem, run, undefined));
          },
        },
      });
      const leave = (): void => attempt.cancel();
      const stays = call.waiter.whenLeft(leave);
      attempt.begin();
      if (call.waiter.hasLeft()) leave();
    });
  }

  /** Other candidates than the first may export another version of the interface. */
  async #frame(task: Task, call: TypedCall, named: Callable, json: string): Promise<CallCandidate> {
    const info = await this.#ports.describe(task);
    const exported = call.interface === "" ? undefined : exportOf(info, call.interface);
    const frame: CallFrame = {
      kind: "call",
      interface: exported?.name ?? named.interface,
      function: call.function,
      arguments: json,
    };
    return { task, call: frame, frame: ({ beside }) => withArguments(frame, beside?.transformed?.body) };
  }

  #candidates(
    target: CallTarget,
    func: string | undefined,
    bytes: number,
    caller: Caller,
    prefer: string | undefined,
    from?: Run,
  ): { readonly candidates: readonly Found[]; readonly pick: Choices["pick"] | undefined } {
    if (target.kind === "task") {
      const task = this.#ports.pick(target.tenant, target.task);
      if (task !== undefined && mayInvoke(caller, { tenant: task.tenant, access: task.version.manifest.access }))
        return { candidates: [{ task }], pick: undefined };
      throw noTask(target.task);
    }
    const found = this.#ports.choosing.choose({
      capability: target.capability,
      function: func,
      bytes,
      prefer,
      ...(from === undefined ? { authority: { kind: "caller", caller }, chain: new Set(), chainText: () => "" } : fromChain(from)),
    });
    if (!("code" in found)) return found;
    const { code, detail, ...more } = found;
    throw new ProblemError(code, detail, more);
  }
}

/** The arguments, as JSON, are the body that transforms work on. */
function asBeside(request: Pick<BesideRequest, "head" | "header">, args: string): BesideRequest {
  return {
    head: () => request.head(),
    header: (name, task) => request.header(name, task),
    body: (most, must, told) => {
      const bytes = Buffer.from(args);
      if (bytes.byteLength <= most) told(bytes);
      else told(must ? "too-long" : "long");
    },
  };
}

function withArguments(frame: CallFrame, bytes: Uint8Array | undefined): CallFrame {
  return bytes === undefined ? frame : { ...frame, arguments: Buffer.from(bytes).toString("utf8") };
}

interface Found {
  readonly task: Task;
}

function noTask(name: string): ProblemError {
  return new ProblemError(
    "request/not-found",
    `There is no task ${JSON.stringify(name)} that this request may call; a task that is not public takes a key with the scope invoke.`,
  );
}

/** The export that a name means: of exactly that name, or of a version that serves it. */
function exportOf({ exports }: ComponentInfo, name: string): InterfaceInfo | undefined {
  const exact = exports.find((each) => each.name === name);
  if (exact !== undefined) return exact;
  const wanted = parseInterfaceName(name);
  return wanted === undefined ? undefined : exports.find((each) => isServedBy(wanted, parseInterfaceName(each.name)));
}

/** Says why a function cannot be called. */
export function notCallable({ interface: iface, name, refused }: Uncallable): ProblemError {
  return new ProblemError("call/not-callable", `${iface}#${name} cannot be called from outside: ${refused}.`);
}

/** The function that is called. Throws `call/no-function` with what there is, or `call/not-callable` with the reason. */
function callableOf(info: ComponentInfo, iface: string, name: string, task: string): Callable {
  const exported = exportOf(info, iface);
  if (exported === undefined) {
    const names = info.exports.map((each) => each.name).filter((each) => each !== "");
    throw new ProblemError(
      "call/no-function",
      `${task} does not export ${iface === "" ? "functions of its world" : iface}; it exports ${names.length === 0 ? "no interface" : names.join(", ")}.`,
    );
  }
  const found = exported.functions.find((each) => each.name === name);
  if (found === undefined) {
    const names = exported.functions.map((each) => each.name);
    throw new ProblemError(
      "call/no-function",
      `There is no function ${name} in ${iface === "" ? "the world" : exported.name}; there are ${names.join(", ")}.`,
    );
  }
  const known = callable(exported.name, found);
  if ("refused" in known) throw notCallable({ interface: exported.name, name, refused: known.refused });
  return known;
}
