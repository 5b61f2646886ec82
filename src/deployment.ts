/** What the program that embeds Pilotlight says of a deploy, and is told of it. */
import { UserError } from "./base/errors.js";
import { ProblemError } from "./base/problem.js";
import type { ComponentInfo } from "./engine/program.js";
import type { ManifestInput } from "./tasks/manifest.js";
import { patternsOf } from "./tasks/router.js";
import type { OwnGrants } from "./tasks/spec.js";
import type { Task } from "./tasks/task.js";

/** What `deploy` takes: a manifest, and the component's bytes. */
export interface Deployment {
  readonly manifest: Omit<ManifestInput, "component"> & { readonly component?: string };
  readonly component: Uint8Array;
  /** Names the component in messages. */
  readonly source?: string;
  /** Grants of the user's own machine; not for code of others. */
  readonly own?: Partial<OwnGrants>;
}

export interface DeployedTask {
  readonly name: string;
  readonly version: string;
  readonly routes: readonly string[];
  /** Undefined while the task is not linked, as before its first run after a start. */
  readonly component: ComponentInfo | undefined;
}

/** A live task, as the embedding program sees it. */
export function described(task: Task, component: ComponentInfo | undefined): DeployedTask {
  return { name: task.name, version: task.version.label, routes: patternsOf(task), component };
}

/** Problems for people: the same words, as the embedding program or the command line says them. */
export async function told<T>(where: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    const { errors } = error.problem;
    if (errors === undefined) throw new UserError(error.message, { cause: error });
    const lines = errors.map(({ field, message }) => `  ${field.replace(/^manifest\./, "")}: ${message}`);
    throw new UserError(`${where} is not a valid manifest:\n${lines.join("\n")}`, { cause: error });
  }
}
