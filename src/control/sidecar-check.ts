/**
 * What a manifest says of sidecars, held against what there is: they are there, do what they are named for, start with their
 * configuration, and stand in no circle; and which of the component's imports each of them serves.
 */
import { ProblemError } from "../base/problem.js";
import type { ComponentInfo } from "../engine/program.js";
import type { Binding } from "../invoke/launch.js";
import { ATTACHMENTS } from "../sidecars/wire.js";
import type { SidecarEntry } from "../sidecars/plan.js";
import type { Manifest } from "../tasks/manifest.js";
import { isServedBy, parseInterfaceName } from "../wit/capability.js";
import type { FoundSidecar, ProgramRequest, SidecarPort } from "./programs.js";

export interface SidecarCheckPorts {
  readonly sidecars: SidecarPort;
  /** Imports that neither WASI nor the host satisfies. */
  missing(info: ComponentInfo): readonly string[];
  /** Some task of the node provides the capability. */
  isProvided(capability: string): boolean;
  /** Interfaces that the embedder's functions answer. */
  scripted(digest: string): readonly string[];
}

export class SidecarCheck {
  readonly #ports: SidecarCheckPorts;

  constructor(ports: SidecarCheckPorts) {
    this.#ports = ports;
  }

  /** The manifest, with what was found for imports that nothing else satisfies. Throws `request/invalid`. */
  async settle(
    request: ProgramRequest,
    info: ComponentInfo,
  ): Promise<{ readonly manifest: Manifest; readonly found: readonly FoundSidecar[] }> {
    const { tenant, manifest, source } = request;
    const missing = this.#ports.missing(info);
    await this.#check(request, missing);
    const found = await this.#find(tenant, manifest, source, info, missing);
    if (found.length === 0) return { manifest, found };
    const added = [...new Set(found.map(({ use }) => use))].map((use): SidecarEntry => ({
      use,
      when: "used",
      onFailure: "closed",
      config: {},
    }));
    return { manifest: { ...manifest, sidecars: [...manifest.sidecars, ...added] }, found };
  }

  /** Which of these imports the manifest's sidecars serve; one that is gone by now serves none. */
  async bindings(tenant: string, { sidecars, uses }: Manifest, missing: readonly string[]): Promise<readonly Binding[]> {
    const bindings: Binding[] = [];
    if (missing.length === 0) return bindings;
    for (const { use } of sidecars) {
      const task = this.#ports.sidecars.find(tenant, use);
      if (task === undefined) continue;
      const component = await this.#ports.sidecars.describe(task);
      for (const name of missing) {
        if (Object.hasOwn(uses, name) || bindings.some((binding) => binding.import === name)) continue;
        const exported = exportServing(component, name);
        if (exported !== undefined) bindings.push({ import: name, use, export: exported });
      }
    }
    return bindings;
  }

  async #check({ tenant, manifest, source }: ProgramRequest, missing: readonly string[]): Promise<void> {
    const { sidecars } = this.#ports;
    /** Who serves each import. */
    const serving = new Map<string, string>();
    for (const [i, entry] of manifest.sidecars.entries()) {
      const { use } = entry;
      const wrong = wrongIn(source, `sidecars[${i}].use`, `sidecars.${i}.use`);
      const task = sidecars.find(tenant, use);
      if (task === undefined)
        throw wrong(`there is no task ${use}, and none of the sidecars that Pilotlight ships has that name; deploy it first`);
      const circle = this.#circle(tenant, manifest.name, use);
      if (circle !== undefined) throw wrong(`sidecars stand in a circle: ${circle.join(" → ")}`);
      const component = await sidecars.describe(task);
      const exports = component.exports.map(({ name }) => name);
      const served = missing.filter((name) => exportServing(component, name) !== undefined);
      if (served.length === 0 && !exports.some((name) => ATTACHMENTS.includes(name)))
        throw wrong(
          `the task ${use} is no sidecar of this one: it exports none of ${listOf([...ATTACHMENTS, ...missing])}, but ${listOf(exports)}`,
        );
      if (entry.when === "used" && served.length === 0)
        throw wrongIn(
          source,
          `sidecars[${i}].when`,
          `sidecars.${i}.when`,
        )(`"used" is for a sidecar that serves an import; ${use} exports none of ${listOf(missing)}`);
      for (const name of served) {
        const other = serving.get(name);
        if (other !== undefined) throw wrong(`${other} and ${use} both serve the import ${name}; keep one of them`);
        serving.set(name, use);
      }
      const refused = await sidecars.try(entry, task);
      if (refused !== undefined)
        throw wrongIn(source, `sidecars[${i}].config`, `sidecars.${i}.config`)(`${use} does not start with this configuration: ${refused}`);
    }
  }

  /** The way from a task through its sidecars back to it. */
  #circle(tenant: string, from: string, to: string, way: readonly string[] = [from]): readonly string[] | undefined {
    const next = [...way, to];
    if (to === from) return next;
    // A circle that does not come back here is somebody else's.
    if (way.includes(to)) return undefined;
    for (const { use } of this.#ports.sidecars.find(tenant, to)?.version.manifest.sidecars ?? []) {
      const circle = this.#circle(tenant, from, use, next);
      if (circle !== undefined) return circle;
    }
    return undefined;
  }

  /** One sidecar for each import that nothing else satisfies, where there is one. Throws where there are several. */
  async #find(
    tenant: string,
    manifest: Manifest,
    source: string,
    info: ComponentInfo,
    missing: readonly string[],
  ): Promise<FoundSidecar[]> {
    const found: FoundSidecar[] = [];
    const own = (await this.bindings(tenant, manifest, missing)).map((binding) => binding.import);
    const scripted = this.#ports.scripted(info.digest);
    const open = missing.filter(
      (name) => !own.includes(name) && !Object.hasOwn(manifest.uses, name) && !this.#ports.isProvided(name) && !scripted.includes(name),
    );
    for (const name of open) {
      const names: string[] = [];
      for (const use of this.#ports.sidecars.names(tenant)) {
        const task = use === manifest.name ? undefined : this.#ports.sidecars.find(tenant, use);
        if (task !== undefined && exportServing(await this.#ports.sidecars.describe(task), name) !== undefined) names.push(use);
      }
      if (names.length > 1)
        throw wrongIn(source, "sidecars", "sidecars")(`the import ${name} is served by ${names.join(" and by ")}; name the one to use`);
      if (names.length === 1) found.push({ import: name, use: names[0] as string });
    }
    return found;
  }
}

/** Makes the problem of a place in a manifest: `place` as messages name it, `field` as `errors` does. */
export function wrongIn(source: string, place: string, field: string): (message: string) => ProblemError {
  return (message) => new ProblemError("request/invalid", `${source}: ${place}: ${message}`, { errors: [{ field, message }] });
}

/** The component's export that serves an imported interface. */
export function exportServing({ exports }: Pick<ComponentInfo, "exports">, imported: string): string | undefined {
  const wanted = parseInterfaceName(imported);
  if (wanted === undefined) return undefined;
  const names = exports.map(({ name }) => name);
  return names.find((name) => name === imported) ?? names.find((name) => isServedBy(wanted, parseInterfaceName(name)));
}

export function listOf(names: readonly string[]): string {
  const shown = names.filter((name) => name !== "");
  return shown.length === 0 ? "no interface" : shown.join(", ");
}
