/**
 * The pipeline of a running node without a front: requests go in and answers come out in process, and of each run its own times
 * are known. Nothing but the front is left out; keys and quotas are nobody's.
 */
import type { Engine } from "#dist/engine/engine.js";
import { systemClock } from "#dist/base/clock.js";
import { Executor } from "#dist/invoke/executor.js";
import type { Incoming, Invoke, Reply } from "#dist/invoke/invocation.js";
import { Launcher } from "#dist/invoke/launch.js";
import { createInvoke } from "#dist/invoke/pipeline.js";
import type { Run } from "#dist/invoke/run.js";
import { EndedRuns } from "#dist/invoke/runs.js";
import type { Runtime } from "#dist/runtime.js";
import { Router } from "#dist/tasks/router.js";
import { TenantGates } from "#dist/tenants/quotas.js";
import { BenchError } from "../support/bench-error.js";
import type { TrustingCache } from "./trusting.js";

/** What one request took, in milliseconds. */
export interface Taken {
  /** From the request's arrival until the head of its answer goes to the front. */
  readonly whole: number;
  /** Of that, from when its run was handed on until the head of the answer was with its listener; undefined: nothing was run. */
  readonly stage: number | undefined;
}

/** Asks once, and resolves when all of it is over. */
export type Ask = () => Promise<Taken>;

export function incoming(target: string): Incoming {
  const headers = ["Host", "bench.test", "Accept", "*/*"];
  const rest = { peer: "127.0.0.1", body: undefined, streaming: false, contentLength: undefined };
  return { method: "GET", scheme: "http", authority: "bench.test", target, headers, ...rest };
}

export class Pipeline {
  readonly #invoke: Invoke;
  #settled: (run: Run) => void = () => {};

  private constructor(invoke: Invoke) {
    this.#invoke = invoke;
    const add = Reflect.get<EndedRuns, "add">(EndedRuns.prototype, "add");
    const settled = (run: Run): void => this.#settled(run);
    Reflect.set(EndedRuns.prototype, "add", function (this: EndedRuns, run: Run): void {
      add.call(this, run);
      settled(run);
    });
  }

  /** Of a node; `path` leads to one of its tasks. */
  static async of(runtime: Runtime, path: string): Promise<Pipeline> {
    const parts = { tasks: next(Router.prototype, "match"), executor: next(Executor.prototype, "newHandle") };
    const launcher = next(Launcher.prototype, "launch");
    await (await runtime.fetch(new Request(`http://bench.test${path}`))).text();
    const gates = new TenantGates(() => ({}));
    const invoke = createInvoke({
      tasks: await parts.tasks,
      executor: await parts.executor,
      launcher: await launcher,
      // Answers are short and requests have no bodies: there is nothing to send on.
      engine: { send: () => failed("something was sent to the engine") } as unknown as Engine,
      tenants: {
        identify: () => undefined,
        enter: (tenant, memoryBytes, now) => gates.enter(tenant, memoryBytes, now),
        mayDebug: () => false,
      },
      clock: systemClock,
      random: Math.random,
      wall: () => Date.now(),
      draining: () => false,
      refused: (_, __, { code, detail }) => failed(`a request was refused: ${code}: ${detail}`),
    });
    return new Pipeline(invoke);
  }

  /** Asks for that; `wanted`: whether it is to come from a record. */
  asks(target: string, wanted: "hit" | "run"): Ask {
    const request = incoming(target);
    return () =>
      new Promise((resolve, reject) => {
        const reply = new TimedReply();
        this.#settled = (run) => {
          const { outcome, memo, headAt, admittedAt } = run;
          const what = outcome?.kind === "ok" ? (memo?.verdict.kind === "hit" ? "hit" : "run") : outcome?.kind;
          if (what !== wanted || headAt === undefined || reply.at === 0)
            reject(new BenchError(`${target} should be a ${wanted}, and was: ${what} ${JSON.stringify(memo?.verdict)}`));
          else resolve({ whole: reply.at - reply.begin, stage: headAt - admittedAt });
        };
        reply.begin = performance.now();
        this.#invoke(request, reply);
      });
  }

  /** The answer to a request, as the front gets it. */
  async answer(target: string): Promise<TimedReply> {
    const reply = new TimedReply();
    await new Promise((resolve) => {
      this.#settled = resolve;
      this.#invoke(incoming(target), reply);
    });
    return reply;
  }
}

/** Asks a cache that trusts time for what was once answered. */
export function asksCache(cache: TrustingCache, target: string, { status, headers, body }: TimedReply): Ask {
  const request = incoming(target);
  cache.keep(request, { status, headers, body, until: Infinity });
  return () =>
    new Promise((resolve) => {
      const reply = new TimedReply();
      reply.told = () => resolve({ whole: reply.at - reply.begin, stage: undefined });
      reply.begin = performance.now();
      if (!cache.answer(request, reply)) failed("the cache has no answer");
    });
}

/** Takes an answer, and notes when its head came. */
export class TimedReply implements Reply {
  begin = 0;
  at = 0;
  status = 0;
  headers: readonly string[] = [];
  body: Uint8Array = new Uint8Array();
  told: (() => void) | undefined;

  head(status: number, headers: readonly string[], body: Uint8Array | undefined): void {
    this.at = performance.now();
    this.status = status;
    this.headers = headers;
    if (body !== undefined) this.body = body;
    this.told?.();
  }

  chunk(): void {}
  end(): void {}
  wantInput(): void {}

  problem(): void {
    failed("a problem was answered");
  }

  reset(): void {
    failed("an answer broke off");
  }
}

/** Whose method of that name is called next; after that it is as it was. */
function next<T extends object>(prototype: T, name: keyof T & string): Promise<T> {
  const own = Reflect.get(prototype, name) as (...args: unknown[]) => unknown;
  return new Promise((resolve) => {
    Reflect.set(prototype, name, function (this: T, ...args: unknown[]): unknown {
      Reflect.set(prototype, name, own);
      resolve(this);
      return own.apply(this, args);
    });
  });
}

function failed(what: string): never {
  throw new BenchError(what);
}
