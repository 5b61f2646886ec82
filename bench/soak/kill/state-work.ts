/** What the state's process does and its parent looks for: components, and versions, aliases and audit entries that name them. */
import { join } from "node:path";
import { folderComponents } from "../../../src/artefacts/folder.js";
import type { ComponentStore } from "../../../src/artefacts/components.js";
import { openState } from "../../../src/state/lmdb.js";
import { table, type StateStore } from "../../../src/state/store.js";
import { Random } from "../support/random.js";

/** By `task/change`: one for each task that has an alias. */
export const VERSIONS = table<{ readonly change: string; readonly digest: string }>("versions");
/** By task: the change that it leads to. */
export const ALIASES = table<string>("aliases");
/** By change: the task. */
export const AUDIT = table<string>("audit");

/** Writers at once, each with tasks of its own, so that the changes of a task follow each other. */
export const WRITERS = 8;
export const TASKS_OF_EACH = 4;
const COMPONENTS = 30;
const MOST_BYTES = 150_000;

export function tasksOf(writer: number): string[] {
  return Array.from({ length: TASKS_OF_EACH }, (_, i) => `task-${writer}-${i}`);
}

export function openData(folder: string): { readonly state: StateStore; readonly components: ComponentStore } {
  return { state: openState(folder), components: folderComponents(componentsIn(folder)) };
}

export function componentsIn(folder: string): string {
  return join(folder, "components");
}

/** One of a few components, so that many versions name the same and many go out of use. */
export function anyComponent(seed: number, random: Random): Buffer {
  const which = random.below(COMPONENTS);
  const own = new Random(seed, 1_000_000 + which);
  return own.bytes(1 + own.below(MOST_BYTES));
}

/** What the process says, one line each. */
export type Said =
  | { readonly kind: "working" }
  /** Said before it is asked of the state; `deploys` undefined: the task goes. */
  | { readonly kind: "asked"; readonly change: string; readonly task: string; readonly digest: string | undefined }
  | { readonly kind: "answered"; readonly change: string };
