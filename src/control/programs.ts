/**
 * From a component's bytes to a program that can take requests: compiled, linked, and tried once.
 *
 * All of it happens beside the requests that run. A program that no alias leads to any more takes no further runs,
 * and is given back when its last one has ended.
 */
import { messageOf } from "../base/errors.js";
import { ProblemError } from "../base/problem.js";
import type { ComponentStore } from "../artefacts/components.js";
import type { Engine, ProgramId } from "../engine/engine.js";
import { EngineError } from "../engine/native.js";
import type { Outcome } from "../engine/outcome.js";
import type { ComponentInfo } from "../engine/program.js";
import type { Executor } from "../invoke/executor.js";
import type { Manifest } from "../tasks/manifest.js";
import { poolProgram, programSpec, type OwnGrants } from "../tasks/spec.js";
import { UNLINKED, taskKey, type Task } from "../tasks/task.js";
import { storing } from "./ledger.js";

export interface ProgramPorts {
  readonly engine: Engine;
  readonly executor: Executor;
  readonly components: ComponentStore;
}

export interface ProgramRequest {
  readonly tenant: string;
  readonly manifest: Manifest;
  readonly digest: string;
  /** Names and values, as the guest gets them. */
  readonly secrets: readonly (readonly [string, string])[];
  readonly own: OwnGrants;
  /** Names the component in messages. */
  readonly source: string;
}

/** A program that the pool knows, and that nothing leads to yet. */
export interface Prepared {
  readonly info: ComponentInfo;
  readonly manifest: Manifest;
  readonly program: ProgramId;
}

/** How long a deploy waits for the first instance; whatever takes longer is found by the first run. */
const WARM_MS = 12_000;

export class Programs {
  readonly #ports: ProgramPorts;

  constructor(ports: ProgramPorts) {
    this.#ports = ports;
  }

  /**
   * Compiles (or finds compiled) and links. Throws `request/invalid` with the engine's words, which name the source
   * and what is missing; `platform/storage` when the component cannot be read.
   */
  async prepare(request: ProgramRequest): Promise<Prepared> {
    const { engine, executor, components } = this.#ports;
    const { tenant, manifest, secrets, own } = request;
    const bytes = await storing(() => components.get(request.digest));
    if (bytes === undefined) {
      throw new ProblemError(
        "platform/storage",
        `${request.source}: its component ${request.digest} is not in the data folder; deploy it again, or restore a backup`,
      );
    }
    const info = await explained(request.source, () => engine.load(bytes));
    const spec = programSpec({ info, tenant, manifest, secrets, own });
    const program = await explained(request.source, () => engine.link(spec));
    executor.addProgram(poolProgram(program, info, manifest));
    return { info, manifest, program };
  }

  /** Makes one instance of it, so that a component that cannot even start is refused before it gets a request. Throws `request/invalid`. */
  async try(prepared: Prepared, source: string): Promise<void> {
    const outcome = await this.#ports.executor.warm(prepared.program, WARM_MS);
    // What is the node's own, such as no room for one more instance, says nothing about the component.
    if (outcome === undefined || outcome.kind === "platform" || outcome.kind === "refused") return;
    throw new ProblemError("request/invalid", `${source}: no instance of it can be made: ${wordsOf(outcome)}`);
  }

  /** It takes no more runs; those that go on finish. */
  retire(program: ProgramId): void {
    if (program !== UNLINKED) this.#ports.executor.removeProgram(program);
  }
}

/** What leads to a program: a task at one of its versions. */
export function taskOf(tenant: string, name: string, label: string, { info, manifest, program }: Prepared): Task {
  return { tenant, name, key: taskKey(tenant, name), version: { label, info, manifest, program } };
}

/** The same, not linked yet. */
export function unlinked(tenant: string, name: string, label: string, manifest: Manifest): Task {
  return { tenant, name, key: taskKey(tenant, name), version: { label, info: undefined, manifest, program: UNLINKED } };
}

async function explained<T>(source: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof EngineError) throw new ProblemError("request/invalid", `${source}: ${messageOf(error)}`, { cause: error });
    throw error;
  }
}

function wordsOf(outcome: Outcome): string {
  switch (outcome.kind) {
    case "limit":
      return `the limit ${outcome.limit} is ${outcome.allowed}, and it takes ${outcome.used}`;
    case "ok":
    case "cancelled":
      return outcome.kind;
    default:
      return outcome.message;
  }
}
