/**
 * The programs that the pool knows by number: what is behind a number, and how far its code is.
 *
 * A number is given when a version is deployed or found at a start; it stays, while the pool has the program linked for
 * the runs that it expects and lowered again when it is not wanted. Linking takes the secrets of that moment. All of it
 * happens beside the requests that run.
 */
import { hash } from "node:crypto";
import type { CompiledCache } from "../artefacts/compiled.js";
import type { ComponentStore, Digest } from "../artefacts/components.js";
import { messageOf } from "../base/errors.js";
import { ProblemError } from "../base/problem.js";
import type { Engine, ProgramId } from "../engine/engine.js";
import { EngineError } from "../engine/native.js";
import type { Outcome } from "../engine/outcome.js";
import type { ComponentInfo, OutboundGrant } from "../engine/program.js";
import type { CodePort, Executor } from "../invoke/executor.js";
import type { Binding } from "../invoke/launch.js";
import type { Code } from "../pool/types.js";
import { effectiveCapacity } from "../tasks/capacity.js";
import type { Manifest } from "../tasks/manifest.js";
import { asksOf, poolProgram, programSpec, reuseDependsOnInfo, type OwnGrants } from "../tasks/spec.js";
import { taskKey, type Task } from "../tasks/task.js";
import type { SidecarEntry } from "../sidecars/plan.js";
import { callable } from "../wit/callable.js";
import type { CapacityTerms } from "../tenants/tenant.js";
import { canonical } from "./checks.js";
import { storing } from "./ledger.js";
import { SidecarCheck, exportServing, listOf, wrongIn } from "./sidecar-check.js";

export interface ProgramPorts {
  readonly engine: Engine;
  readonly executor: Pick<Executor, "tell" | "try" | "retire">;
  readonly components: ComponentStore;
  readonly forms: CompiledCache;
  /** What the tenant may have of the node's capacity, now. */
  terms(tenant: string): CapacityTerms;
  /** Some task of the node provides the capability. */
  isProvided(capability: string): boolean;
  /** The component of a task that the tenant's manifests may name in `uses`; undefined: there is none of that name. */
  used(tenant: string, task: string): Promise<ComponentInfo> | undefined;
  readonly sidecars: SidecarPort;
  /** Changes when one of the manifest's secrets does. */
  secretsAt(tenant: string, manifest: Manifest): string;
}

/** The sidecars that a tenant's manifests may name: tasks of its own, and those that Pilotlight ships. */
export interface SidecarPort {
  find(tenant: string, name: string): Task | undefined;
  /** Names of all that there are. */
  names(tenant: string): readonly string[];
  describe(task: Task): Promise<ComponentInfo>;
  /** Starts one as the entry says; resolves with what its `start` has against that. */
  try(entry: SidecarEntry, task: Task): Promise<string | undefined>;
}

export interface ProgramRequest {
  readonly tenant: string;
  readonly manifest: Manifest;
  readonly digest: Digest;
  /** Names and values as they are now, each time it is linked. Throws what is missing. */
  secrets(): readonly (readonly [string, string])[];
  readonly own: OwnGrants;
  /** Names the component in messages. */
  readonly source: string;
}

/** A program that the pool knows, and that nothing leads to yet. */
export interface Prepared {
  /** With the sidecars that were found for imports that nothing else satisfies. */
  readonly manifest: Manifest;
  readonly program: number;
  /** Those, as a manifest has them. */
  readonly found: readonly FoundSidecar[];
}

/** A sidecar that serves an import which the manifest does not speak of. */
export interface FoundSidecar {
  readonly import: string;
  readonly use: string;
}

interface Linked {
  readonly engine: ProgramId;
  readonly info: ComponentInfo;
  readonly bytes: number;
  /** It may call other tasks. */
  readonly calls: boolean;
  readonly bindings: readonly Binding[];
}

interface Known {
  readonly program: number;
  readonly request: ProgramRequest;
  linked: Linked | undefined;
  raising: boolean;
  /** What an unused instance holds has been measured, or will be. */
  weighed: boolean;
  /** What it is made of, without its secrets and sidecars, once somebody has asked. */
  print?: string;
}

/** How often code was brought nearer, ever: components compiled or mapped, and programs linked. */
export interface CodeSteps {
  readonly load: number;
  readonly link: number;
}

/** What a program is made of that nobody knows any more. */
const GONE = "gone";
const NO_BINDINGS: readonly Binding[] = Object.freeze([]);

/** How long a deploy waits for the first instance; whatever takes longer is found by the first run. */
const WARM_MS = 12_000;

/**
 * What a linked program holds: so much, and this share of its compiled form. Measured on Linux x86-64 as the growth of a
 * process's resident memory by 400 linked programs of 46 to 147 KiB of compiled form (114 to 242 KiB each) and by 30 of
 * 5.1 MiB (1.4 MiB each); a quarter to a half of it is the process's own, the rest are pages of the file that runs touch.
 */
const LINKED_BYTES = 128 * 1024;
const MAPPED_SHARE = 0.25;

/** What an unused instance holds is measured when the first one is made ahead, this much later: runs go before. Milliseconds. */
const WEIGH_AFTER = 1000;
/** Measuring takes up to 8 instances: not where runs would miss them. */
const WEIGH_ROOM = 16;

export class Programs implements CodePort {
  readonly #ports: ProgramPorts;
  readonly #sidecars: SidecarCheck;
  readonly #known = new Map<number, Known>();
  /** Components that are being compiled or mapped: what two programs have in common is loaded once. */
  readonly #loading = new Map<Digest, Promise<ComponentInfo>>();
  /** One at a time: the process's memory is looked at. */
  #weighing: Promise<void> = Promise.resolve();
  #resting = false;
  #next = 1;
  #loads = 0;
  #links = 0;

  constructor(ports: ProgramPorts) {
    this.#ports = ports;
    this.#sidecars = new SidecarCheck({
      sidecars: ports.sidecars,
      missing: (info) => this.#missing(info),
      isProvided: (name) => ports.isProvided(name),
      scripted: (digest) => ports.engine.scripted?.(digest) ?? [],
    });
  }

  /**
   * Compiles (or finds compiled), links, and gives it a number. Throws `request/invalid` with the engine's words, which name
   * the source and what is missing; `platform/storage` when the component cannot be read.
   */
  async prepare(request: ProgramRequest): Promise<Prepared> {
    const info = await this.#load(request);
    checkProvides(request.manifest, info, request.source);
    await this.#checkUses(request, info);
    const { found, manifest } = await this.#sidecars.settle(request, info);
    const settled = { ...request, manifest };
    const linked = await this.#link(settled, info, true);
    return { manifest, program: this.#add(settled, "linked", linked), found };
  }

  /** Makes one instance of it, so that a component that cannot even start is refused before it gets a request. Throws `request/invalid`. */
  async try({ program }: Prepared, source: string): Promise<void> {
    const outcome = await this.#ports.executor.try(program, WARM_MS);
    // What is the node's own, such as no room for one more instance, says nothing about the component.
    if (outcome === undefined || outcome.kind === "platform" || outcome.kind === "refused") return;
    throw new ProblemError("request/invalid", `${source}: no instance of it can be made: ${wordsOf(outcome)}`);
  }

  /** Gives a stored version a number; its code stays where it is until the pool wants it linked. */
  register(request: ProgramRequest): number {
    return this.#add(request, this.#ports.forms.has(request.digest) ? "compiled" : "stored", undefined);
  }

  /** The same program under another number, to be linked anew. */
  again(program: number): number {
    return this.register(this.#need(program).request);
  }

  /** It takes no more runs; those that go on finish. */
  retire(program: number): void {
    this.#ports.executor.retire(program);
  }

  /** True while it is linked, or about to be: then it has its secrets already. */
  isRaised(program: number): boolean {
    const known = this.#known.get(program);
    return known !== undefined && (known.linked !== undefined || known.raising);
  }

  /** True while it is linked. */
  isLinked(program: number): boolean {
    return this.#known.get(program)?.linked !== undefined;
  }

  /** What its component is; undefined while it is not linked, as a description may take more memory than all else of it. */
  info(program: number): ComponentInfo | undefined {
    return this.#known.get(program)?.linked?.info;
  }

  /** Whose it is, and the sidecars that each run of it has. */
  beside(program: number): { readonly tenant: string; readonly sidecars: readonly SidecarEntry[] } | undefined {
    const request = this.#known.get(program)?.request;
    return request && { tenant: request.tenant, sidecars: request.manifest.sidecars };
  }

  /** Which of its imports its sidecars serve; none while it is not linked. */
  bindings(program: number): readonly Binding[] {
    return this.#known.get(program)?.linked?.bindings ?? NO_BINDINGS;
  }

  /** What its component is, loaded for it if need be. Throws as `prepare` does. */
  async describe(program: number): Promise<ComponentInfo> {
    const { request, linked } = this.#need(program);
    return linked?.info ?? this.#load(request);
  }

  /**
   * What it is made of, as text that differs where runs could give other answers: bytes, manifest, secrets (by their versions), and
   * the same of its sidecars.
   */
  print(program: number): string {
    const known = this.#known.get(program);
    if (known === undefined) return GONE;
    const { request } = known;
    const { secrets, sidecars } = request.manifest;
    known.print ??= printOf(request);
    if (secrets.length === 0 && sidecars.length === 0) return known.print;
    const beside = sidecars.map(({ use }) => {
      const task = this.#ports.sidecars.find(request.tenant, use);
      return task === undefined ? "" : this.print(task.version.program);
    });
    return hash("sha256", JSON.stringify([known.print, this.#ports.secretsAt(request.tenant, request.manifest), beside]), "hex").slice(
      0,
      32,
    );
  }

  /** Where its guests may send requests. */
  outbound(program: number): Pick<OutboundGrant, "origins" | "anyAddress"> {
    const { manifest, own } = this.#need(program).request;
    return { origins: manifest.outbound, anyAddress: own.anyAddress };
  }

  /** Names a program in messages: `hello v7`, as whoever deployed it did, with its tenant. */
  named(program: number): { readonly tenant: string; readonly source: string } | undefined {
    return this.#known.get(program)?.request;
  }

  steps(): CodeSteps {
    return { load: this.#loads, link: this.#links };
  }

  /** The tenant's terms have changed: so may have what its programs pick among them. */
  amend(tenant: string): void {
    const terms = this.#ports.terms(tenant);
    for (const { program, request } of this.#known.values()) {
      if (request.tenant !== tenant) continue;
      this.#ports.executor.tell({ kind: "amend", program, ...effectiveCapacity(request.manifest.capacity, terms) });
    }
  }

  /** Components whose compiled forms are in use. */
  digestsInUse(): Set<Digest> {
    const digests = new Set<Digest>(this.#loading.keys());
    for (const { request, linked, raising } of this.#known.values()) if (linked !== undefined || raising) digests.add(request.digest);
    return digests;
  }

  /** The compiled forms of these components are gone. */
  compiledGone(digests: Iterable<Digest>): void {
    for (const digest of digests) this.#moved(digest, "stored");
  }

  async raise(program: number): Promise<{ readonly bytes: number }> {
    const known = this.#need(program);
    known.raising = true;
    try {
      const linked = await this.#link(known.request, await this.#load(known.request), false);
      // Nobody waits for it any more.
      if (this.#known.get(program) !== known) this.#ports.engine.unlink(linked.engine);
      else this.#raised(known, linked);
      return { bytes: linked.bytes };
    } finally {
      known.raising = false;
    }
  }

  lower(program: number): void {
    const known = this.#known.get(program);
    if (known?.linked === undefined) return;
    this.#ports.engine.unlink(known.linked.engine);
    known.linked = undefined;
    // The pool takes it for compiled.
    if (!this.#ports.forms.has(known.request.digest)) this.#ports.executor.tell({ kind: "code", program, code: "stored" });
  }

  forget(program: number): void {
    const linked = this.#known.get(program)?.linked;
    this.#known.delete(program);
    if (linked !== undefined) this.#ports.engine.unlink(linked.engine);
  }

  engineProgram(program: number): ProgramId | undefined {
    return this.#known.get(program)?.linked?.engine;
  }

  prepares(program: number): void {
    const known = this.#known.get(program);
    if (known === undefined || known.weighed) return;
    known.weighed = true;
    setTimeout(() => {
      this.#weighing = this.#weighing.then(() => this.#weigh(known));
    }, WEIGH_AFTER).unref();
  }

  /** Measures nothing any more. Resolves when no instance is left of what was being measured: the engine does not know of those. */
  rest(): Promise<void> {
    this.#resting = true;
    return this.#weighing;
  }

  #add(request: ProgramRequest, code: Code, linked: Linked | undefined): number {
    const program = this.#next++;
    const known = { program, request, linked, raising: false, weighed: false };
    this.#known.set(program, known);
    this.#tell(known, code);
    return program;
  }

  #tell({ program, request, linked }: Known, code: Code): void {
    const { tenant, manifest } = request;
    const terms = this.#ports.terms(tenant);
    const { info, bytes, calls = Object.keys(manifest.uses).length > 0 } = linked ?? { info: undefined, bytes: undefined };
    this.#ports.executor.tell({ kind: "add", program: poolProgram({ program, tenant, manifest, info, terms, code, bytes, calls }) });
  }

  #raised(known: Known, linked: Linked): void {
    known.linked = linked;
    // Told anew under its number it is the same program, with what was not known before.
    if (linked.calls || reuseDependsOnInfo(known.request.manifest)) this.#tell(known, "linked");
  }

  /** `isNew`: what nobody provides is refused. A stored version was linked before: its calls fail until somebody does. */
  async #link(request: ProgramRequest, info: ComponentInfo, isNew: boolean): Promise<Linked> {
    const { tenant, manifest, own } = request;
    const bindings = await this.#sidecars.bindings(tenant, manifest, this.#missing(info));
    const calls = this.#callsOf(manifest, info, isNew, bindings);
    const spec = programSpec({ info, tenant, manifest, secrets: request.secrets(), own, calls });
    this.#links++;
    const engine = await explained(request.source, () => this.#ports.engine.link(spec));
    return {
      engine,
      info,
      bytes: linkedBytes(info, this.#ports.forms.keeps),
      calls: calls.length > 0 || asksOf(info).length > 0,
      bindings,
    };
  }

  /** Imports that neither WASI nor the host satisfies. */
  #missing(info: ComponentInfo): string[] {
    return this.#ports.engine.check(info.digest, asksOf(info)).missing.map((each) => each.interface);
  }

  /** Imported interfaces that others serve: sidecars, those that the manifest says, and those that some task provides. */
  #callsOf({ uses }: Manifest, info: ComponentInfo, isNew: boolean, bindings: readonly Binding[]): string[] {
    const { engine } = this.#ports;
    const missing = this.#missing(info);
    const isBound = (name: string): boolean => bindings.some((binding) => binding.import === name);
    const calls = missing.filter((name) => isBound(name) || Object.hasOwn(uses, name) || this.#ports.isProvided(name));
    if (isNew || calls.length === missing.length) return calls;
    const scripted = engine.scripted?.(info.digest) ?? [];
    return missing.filter((name) => calls.includes(name) || !scripted.includes(name));
  }

  /** What the manifest's `uses` says must be so: the component imports it, the task is there and has it. */
  async #checkUses({ tenant, manifest, source }: ProgramRequest, info: ComponentInfo): Promise<void> {
    const imports = info.imports.map(({ name }) => name);
    for (const [name, { task }] of Object.entries(manifest.uses)) {
      const wrong = wrongIn(source, `uses[${JSON.stringify(name)}]`, `uses.${name}`);
      if (!imports.includes(name)) throw wrong(`the component does not import it; it imports ${listOf(imports)}`);
      const component = await this.#used(tenant, task, wrong);
      if (exportServing(component, name) === undefined)
        throw wrong(
          `the task ${task} does not export it in a version that fits; it exports ${listOf(component.exports.map((each) => each.name))}`,
        );
    }
  }

  /** The component of a task that the manifest names. Throws what `wrong` makes of there being none. */
  async #used(tenant: string, task: string, wrong: (message: string) => ProblemError): Promise<ComponentInfo> {
    const component = await this.#ports.used(tenant, task);
    if (component === undefined) throw wrong(`there is no task ${task}; deploy it first`);
    return component;
  }

  async #load(request: ProgramRequest): Promise<ComponentInfo> {
    const { digest, source } = request;
    let loading = this.#loading.get(digest);
    if (loading === undefined) {
      loading = this.#loadAlone(request).finally(() => this.#loading.delete(digest));
      this.#loading.set(digest, loading);
    }
    return explained(source, () => loading);
  }

  async #loadAlone({ digest, source }: ProgramRequest): Promise<ComponentInfo> {
    const { engine, components, forms } = this.#ports;
    const bytes = await storing(() => components.get(digest));
    if (bytes === undefined) {
      throw new ProblemError(
        "platform/storage",
        `${source}: its component ${digest} is not in the data folder; deploy it again, or restore a backup`,
      );
    }
    this.#loads++;
    const info = await engine.load(bytes);
    if (await forms.used(digest)) this.#moved(digest, "compiled");
    return info;
  }

  /** The compiled form of a component has come or gone. */
  #moved(digest: Digest, code: "compiled" | "stored"): void {
    for (const { program, request, linked, raising } of this.#known.values()) {
      // One that is being raised is told of when that is done; what it took is the price of where it was.
      if (request.digest !== digest || linked !== undefined || raising) continue;
      this.#ports.executor.tell({ kind: "code", program, code });
    }
  }

  /** Tells the pool what an unused instance holds; until it can be measured the pool goes on with what it thinks. */
  async #weigh(known: Known): Promise<void> {
    const { engine, executor } = this.#ports;
    const { program, linked } = known;
    known.weighed = false;
    try {
      const { capacity, instances } = engine.stats();
      if (this.#resting || linked === undefined || capacity - instances < WEIGH_ROOM) return;
      executor.tell({ kind: "footprint", program, bytes: await engine.footprint(linked.engine) });
      known.weighed = true;
    } catch {
      // The next instance that is made ahead is another chance.
    }
  }

  #need(program: number): Known {
    const known = this.#known.get(program);
    if (known === undefined) throw new Error(`there is no program ${program}`);
    return known;
  }
}

/** What of a manifest says how runs are let in, found and bounded, and not what they answer. */
function printOf({ digest, manifest, own }: ProgramRequest): string {
  const { name: _name, routes: _routes, access: _access, limits, capacity: _capacity, build: _build, ...made } = manifest;
  // A guest can tell how much room it has.
  const { memory, handles, values } = limits;
  const { ttl: _ttl, maxStale: _stale, ...idempotent } = manifest.idempotent ?? { ttl: 0, maxStale: 0 };
  return hash("sha256", canonical([digest, { ...made, idempotent, room: [memory, handles, values] }, own]), "hex").slice(0, 32);
}

/** What leads to a program: a task at one of its versions. */
export function taskOf(tenant: string, name: string, label: string, { manifest, program }: Pick<Prepared, "manifest" | "program">): Task {
  return { tenant, name, key: taskKey(tenant, name), version: { label, manifest, program } };
}

/** `mapped`: its compiled form is a file, of which only what is touched is in memory. */
export function linkedBytes({ compiledBytes }: Pick<ComponentInfo, "compiledBytes">, mapped: boolean): number {
  return LINKED_BYTES + Math.round(compiledBytes * (mapped ? MAPPED_SHARE : 1));
}

/** Throws `request/invalid` unless the component exports what the manifest says it provides, and it can be called. */
function checkProvides({ provides }: Manifest, info: ComponentInfo, source: string): void {
  for (const [i, name] of provides.entries()) {
    const wrong = wrongIn(source, `provides[${i}]`, `provides[${i}]`);
    const exported = info.exports.find((each) => each.name === name);
    if (exported === undefined)
      throw wrong(`the component does not export ${name}; it exports ${listOf(info.exports.map((each) => each.name))}`);
    for (const each of exported.functions) {
      const known = callable(name, each);
      if ("refused" in known) throw wrong(`${name} cannot be called from outside: ${known.refused}`);
    }
  }
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
