/**
 * The sidecars that Pilotlight ships: components beside their sources in `guests/`, named in a manifest as any task is.
 *
 * A tenant that names one has it as a program of its own: its instances count in the tenant's cells, and a task of the same
 * name that the tenant has deployed goes before it.
 */
import { existsSync, readFileSync } from "node:fs";
import { digestOf, type ComponentStore } from "../artefacts/components.js";
import { readManifest, type Manifest, type ManifestInput } from "../tasks/manifest.js";
import { NO_GRANTS } from "../tasks/spec.js";
import { taskKey, type Task } from "../tasks/task.js";
import type { ComponentInfo } from "../engine/program.js";
import type { Programs } from "./programs.js";

/** Where they are: in a checkout and in the package alike. */
const GUESTS = new URL("../../guests/", import.meta.url);

/** `sidecar.json` beside the source of each. */
interface Described {
  readonly version: string;
  readonly about: string;
  /** What differs from the usual manifest. */
  readonly manifest?: Partial<ManifestInput>;
}

export interface Shipped {
  readonly name: string;
  readonly version: string;
  readonly about: string;
  readonly digest: string;
  readonly bytes: number;
}

const NAMES = ["auth-jwt", "auth-key", "log-access", "log-redact", "debug", "headers"] as const;

interface Loaded extends Shipped {
  readonly component: Uint8Array;
  readonly manifest: Manifest;
}

/** Small, and an authority over nothing: what a tenant's entry says is all that it is given. */
const USUAL: Partial<ManifestInput> = {
  routes: [],
  access: "key",
  limits: { memory: "16MiB", timeout: "5s", cpu: "1s" },
  sidecar: { scope: "task" },
};

export class Library {
  readonly #programs: () => Programs;
  readonly #loaded = new Map<string, Loaded>();
  readonly #tasks = new Map<string, Task>();

  constructor(programs: () => Programs) {
    this.#programs = programs;
  }

  /** Of those that are there: a build may leave some out. */
  readonly names: readonly string[] = NAMES.filter((name) => existsSync(new URL(`${name}/sidecar.json`, GUESTS)));

  list(): Shipped[] {
    return this.names.map((name) => {
      const { version, about, digest, bytes } = this.#load(name);
      return { name, version, about, digest, bytes };
    });
  }

  /** One as a tenant's own; undefined: there is none of that name. */
  task(tenant: string, name: string): Task | undefined {
    if (!this.names.includes(name)) return undefined;
    const key = taskKey(tenant, name);
    let task = this.#tasks.get(key);
    if (task === undefined) {
      const { manifest, digest, version } = this.#load(name);
      const request = { tenant, manifest, digest, secrets: () => [], own: NO_GRANTS, source: `the sidecar ${name} ${version}` };
      const program = this.#programs().register(request);
      this.#tasks.set(key, (task = { tenant, name, key, version: { label: version, manifest, program } }));
    }
    return task;
  }

  describe(task: Task): Promise<ComponentInfo> {
    return this.#programs().describe(task.version.program);
  }

  /** What a tenant had of it, when the tenant goes. */
  forget(tenant: string): void {
    for (const [key, task] of this.#tasks) {
      if (task.tenant !== tenant) continue;
      this.#tasks.delete(key);
      this.#programs().retire(task.version.program);
    }
  }

  /** The store, with these components behind it. */
  behind(components: ComponentStore): ComponentStore {
    return {
      ...components,
      put: (bytes) => components.put(bytes),
      has: (digest) => components.has(digest),
      list: () => components.list(),
      remove: (digest) => components.remove(digest),
      collect: (keep) => components.collect(keep),
      get: async (digest) => this.#component(digest) ?? components.get(digest),
    };
  }

  #component(digest: string): Uint8Array | undefined {
    for (const loaded of this.#loaded.values()) if (loaded.digest === digest) return loaded.component;
    return undefined;
  }

  #load(name: string): Loaded {
    let loaded = this.#loaded.get(name);
    if (loaded === undefined) {
      const folder = new URL(`${name}/`, GUESTS);
      const described = JSON.parse(readFileSync(new URL("sidecar.json", folder), "utf8")) as Described;
      const component = readFileSync(new URL(`${name}.wasm`, folder));
      const { version, about, manifest: more = {} } = described;
      const sidecar = { ...USUAL.sidecar, ...more.sidecar };
      const manifest = readManifest({ ...USUAL, ...more, sidecar, name, component: `${name}.wasm` }, `the manifest of the sidecar ${name}`);
      loaded = { name, version, about, digest: digestOf(component), bytes: component.byteLength, component, manifest };
      this.#loaded.set(name, loaded);
    }
    return loaded;
  }
}
