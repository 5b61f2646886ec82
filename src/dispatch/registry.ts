/**
 * Which tasks provide what. A task provides what the versions say that its live alias leads to; the index is by interface
 * without version, so that finding providers costs what there are of them.
 */
import type { Choice, LiveTask } from "../tasks/router.js";
import { isServedBy, parseInterfaceName, type InterfaceName } from "../wit/capability.js";

/** A task, and those of its versions that serve a capability. */
export interface Provider {
  readonly tenant: string;
  readonly name: string;
  /** `tenant/name` */
  readonly key: string;
  readonly choices: readonly ServingChoice[];
}

/** A version by its weight among those of its task. */
export interface ServingChoice {
  readonly choice: Choice;
  /** As it provides it, with its version. */
  readonly provided: string;
}

interface Entry {
  readonly live: LiveTask;
  readonly key: string;
  readonly provides: readonly { readonly choice: Choice; readonly name: InterfaceName; readonly text: string }[];
}

export class Registry {
  /** By interface without version, then by task. */
  readonly #index = new Map<string, Map<string, Entry>>();
  readonly #entries = new Map<string, Entry>();

  /** The task provides this from now on, and nothing else. */
  put(live: LiveTask): void {
    const key = `${live.tenant}/${live.name}`;
    this.remove(live.tenant, live.name);
    const provides = live.choices.flatMap((choice) =>
      choice.task.version.manifest.provides.flatMap((text) => {
        const name = parseInterfaceName(text);
        return name === undefined ? [] : [{ choice, name, text }];
      }),
    );
    if (provides.length === 0) return;
    const entry = { live, key, provides };
    this.#entries.set(key, entry);
    for (const { name } of provides) {
      let tasks = this.#index.get(name.base);
      if (tasks === undefined) this.#index.set(name.base, (tasks = new Map()));
      tasks.set(key, entry);
    }
  }

  remove(tenant: string, name: string): void {
    const key = `${tenant}/${name}`;
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    for (const { name: provided } of entry.provides) {
      const tasks = this.#index.get(provided.base);
      tasks?.delete(key);
      if (tasks?.size === 0) this.#index.delete(provided.base);
    }
  }

  /** Tasks with a version that serves it. */
  serving(wanted: InterfaceName): Provider[] {
    const found: Provider[] = [];
    for (const { live, key, provides } of this.#index.get(wanted.base)?.values() ?? []) {
      const choices = provides
        .filter(({ name }) => isServedBy(wanted, name))
        .map(({ choice, text }): ServingChoice => ({ choice, provided: text }));
      if (choices.length > 0) found.push({ tenant: live.tenant, name: live.name, key, choices });
    }
    return found;
  }

  /** What is provided under the name, whatever its version: for messages. */
  versions(base: string): string[] {
    const texts = new Set<string>();
    for (const { provides } of this.#index.get(base)?.values() ?? [])
      for (const { name, text } of provides) if (name.base === base) texts.add(text);
    return [...texts].sort();
  }

  /** Everything that is provided, by capability and task. */
  list(): { readonly capability: string; readonly provider: Provider }[] {
    const all = [...this.#entries.values()].flatMap(({ live, key, provides }) => {
      const texts = [...new Set(provides.map(({ text }) => text))];
      return texts.map((capability) => {
        const choices = provides.filter(({ text }) => text === capability).map(({ choice, text }) => ({ choice, provided: text }));
        return { capability, provider: { tenant: live.tenant, name: live.name, key, choices } };
      });
    });
    return all.sort((a, b) => compareText(`${a.capability} ${a.provider.key}`, `${b.capability} ${b.provider.key}`));
  }
}

/** One of the versions, by weight. `random` gives [0, 1). */
export function pickServing({ choices }: Provider, random: () => number): ServingChoice {
  if (choices.length === 1) return choices[0] as ServingChoice;
  let at = random() * choices.reduce((sum, { choice }) => sum + choice.weight, 0);
  for (const each of choices) {
    at -= each.choice.weight;
    if (at < 0) return each;
  }
  return choices.at(-1) as ServingChoice;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
