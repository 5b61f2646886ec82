/** An engine whose programs may import what the embedder provides. */
import { messageOf } from "../base/errors.js";
import type { Command, Engine, EngineEvent, ProgramId, RunHandle } from "../engine/engine.js";
import { EngineError } from "../engine/native.js";
import type { ComponentInfo, FunctionInfo, InterfaceInfo, LinkReport, ProgramSpec } from "../engine/program.js";
import type { Provider } from "./imports.js";
import { parseInterfaceName } from "../wit/capability.js";
import { providerFor } from "./match.js";
import { memberOf } from "../wit/names.js";
import { callScript, signatureOf, type Signature } from "./script-function.js";
import { UnusableType } from "../wit/wit-type.js";

/** A function of the embedder's as one program sees it. */
interface Bound {
  /** Types and all, as WIT text: two programs with the same text mean the same. */
  readonly text: string;
  readonly signature: Signature;
  readonly work: (...args: unknown[]) => unknown;
}

/** By `interface#function`. */
type Bindings = ReadonlyMap<string, Bound>;
type Ask = Extract<EngineEvent, { kind: "ask" }>;

/**
 * `engine`, with `providers` behind it: `link` binds the imports that nothing else provides and that one of them has, and
 * refuses a program of which something is left, with the whole list; what its runs then ask is answered here.
 */
export function withImports(engine: Engine, providers: readonly Provider[]): Engine {
  if (providers.length === 0) return engine;
  const components = new Map<string, ComponentInfo>();
  const programs = new Map<ProgramId, Bindings>();
  const runs = new Map<RunHandle, ProgramId>();

  /** Whose question it is cannot always be told: of an instance that is being made, or that several runs share. */
  const boundTo = (ask: Ask): Bound => {
    const name = `${ask.interface}#${ask.function}`;
    const program = runs.get(ask.run);
    const own = program === undefined ? undefined : programs.get(program)?.get(name);
    if (own !== undefined) return own;
    const [first, ...others] = [...programs.values()].flatMap((bindings) => bindings.get(name) ?? []);
    if (first === undefined) throw new Error("nothing answers it");
    if (others.some(({ text }) => text !== first.text)) {
      throw new Error("tasks import it with different types, and which of them asks cannot be told; give the interface a new version");
    }
    return first;
  };

  const answer = async (ask: Ask): Promise<void> => {
    try {
      const { work, signature } = boundTo(ask);
      engine.send({ kind: "answer", ask: ask.ask, ok: await callScript(work, signature, ask.arguments), error: undefined });
    } catch (error) {
      engine.send({ kind: "answer", ask: ask.ask, ok: undefined, error: messageOf(error) });
    }
  };

  return {
    ...engine,
    load: async (bytes) => {
      const info = await engine.load(bytes);
      components.set(info.digest, info);
      return info;
    },
    link: async (spec: ProgramSpec) => {
      const info = components.get(spec.digest);
      if (info === undefined) return engine.link(spec);
      const { scripts, bindings } = bind(providers, info, engine.check(spec.digest, spec.scripts, spec.calls));
      const program = await engine.link({ ...spec, scripts: [...spec.scripts, ...scripts] });
      if (bindings.size > 0) programs.set(program, bindings);
      return program;
    },
    scripted: (digest) => {
      const imports = components.get(digest)?.imports ?? [];
      return imports.filter(({ name }) => providerOf(providers, name) !== undefined).map(({ name }) => name);
    },
    unlink: (program) => {
      programs.delete(program);
      engine.unlink(program);
    },
    send: (command: Command) => {
      if (command.kind === "run" && programs.has(command.program)) runs.set(command.run, command.program);
      engine.send(command);
    },
    listen: (listener) =>
      engine.listen((events) => {
        const others: EngineEvent[] = [];
        for (const event of events) {
          if (event.kind === "ask" && !isOurs(event.interface)) {
            void answer(event);
            continue;
          }
          if (event.kind === "settled" || event.kind === "lease-refused") runs.delete(event.run);
          others.push(event);
        }
        if (others.length > 0) listener(others);
      }),
  };
}

/** What guests ask of Pilotlight itself is answered above. */
function isOurs(name: string): boolean {
  return name.startsWith("pilotlight:");
}

/** Finds a provider for each import that is missing. Throws an `EngineError` that lists whatever is left. */
function bind(
  providers: readonly Provider[],
  info: ComponentInfo,
  { missing }: LinkReport,
): { readonly scripts: readonly string[]; readonly bindings: Bindings } {
  const scripts: string[] = [];
  const bindings = new Map<string, Bound>();
  const left: string[] = [];
  const hints: string[] = [];
  for (const { interface: name, items } of missing) {
    const imported = info.imports.find((candidate) => candidate.name === name);
    const provider = imported === undefined ? undefined : providerOf(providers, name);
    if (imported === undefined || provider === undefined) {
      left.push(`${name === "" ? "the world" : name} (${items.join(", ")})`);
      hints.push(...otherVersions(providers, name));
      continue;
    }
    const found = bindInterface(imported, provider);
    if (found.lacking.length > 0) {
      left.push(`${name} (${found.lacking.join(", ")})`);
      hints.push(`imports[${JSON.stringify(provider.key)}] has ${functionsOf(provider)}`);
    }
    scripts.push(name);
    for (const [key, bound] of found.bindings) bindings.set(key, bound);
  }
  if (left.length > 0) throw new EngineError(["nothing provides these imports: " + left.join("; "), ...hints].join("; "));
  return { scripts, bindings };
}

function bindInterface(imported: InterfaceInfo, provider: Provider): { readonly bindings: Bindings; readonly lacking: readonly string[] } {
  const bindings = new Map<string, Bound>();
  // Only what is there is plain values; a resource would have to live on both sides.
  const lacking: string[] = imported.resources.map((name) => `resource ${name}, which TypeScript cannot provide`);
  for (const info of imported.functions) {
    if (info.name.startsWith("[")) continue; // a resource's own
    const work = memberOf(provider.functions, info.name);
    if (typeof work !== "function") lacking.push(info.name);
    else {
      const signature = usable(info);
      if (typeof signature === "string") lacking.push(`${info.name}: ${signature}`);
      else
        bindings.set(`${imported.name}#${info.name}`, {
          text: textOf(info),
          signature,
          work: (...args) => work.apply(provider.functions, args) as unknown,
        });
    }
  }
  return { bindings, lacking };
}

/** Its signature, or why TypeScript cannot provide it. */
function usable(info: FunctionInfo): Signature | string {
  try {
    return signatureOf(info);
  } catch (error) {
    if (error instanceof UnusableType) return error.message;
    throw error;
  }
}

function textOf({ parameters, result }: FunctionInfo): string {
  return `(${parameters.map(({ name, type }) => `${name}: ${type}`).join(", ")}) -> ${result ?? "_"}`;
}

function providerOf(providers: readonly Provider[], name: string): Provider | undefined {
  const wanted = parseInterfaceName(name);
  return wanted === undefined ? undefined : providerFor(providers, wanted);
}

function otherVersions(providers: readonly Provider[], name: string): string[] {
  const base = parseInterfaceName(name)?.base;
  return providers
    .filter((provider) => provider.interface.base === base)
    .map(({ key }) => `imports[${JSON.stringify(key)}] is another version`);
}

/** The functions that an embedder's object has, its class's too, for a message. */
function functionsOf({ functions }: Provider): string {
  const names = new Set<string>();
  for (
    let object: object | null = functions;
    object !== null && object !== Object.prototype;
    object = Object.getPrototypeOf(object) as object | null
  ) {
    for (const name of Object.getOwnPropertyNames(object))
      if (name !== "constructor" && typeof functions[name] === "function") names.add(name);
  }
  return names.size === 0 ? "no functions" : [...names].join(", ");
}
