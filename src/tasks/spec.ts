/** What a manifest asks of the engine. */
import type { ComponentInfo, ProgramSpec } from "../engine/program.js";
import type { Code, PoolProgram } from "../pool/types.js";
import type { CapacityTerms } from "../tenants/tenant.js";
import { effectiveCapacity } from "./capacity.js";
import type { Manifest } from "./manifest.js";
import { taskKey } from "./task.js";

/** Grants that no manifest can give: they are the user's own, of `serve FILE` and `run`. */
export interface OwnGrants {
  /** What outbound requests and sockets are granted holds for every address, private and loopback too. */
  readonly anyAddress: boolean;
  readonly arguments: readonly string[];
  readonly stdio: "capture" | "inherit";
}

export const NO_GRANTS: OwnGrants = { anyAddress: false, arguments: [], stdio: "capture" };

/** Outbound requests of guests wait no longer than this, whatever they ask for. */
const OUTBOUND = { connectMs: 10_000, firstByteMs: 60_000, betweenBytesMs: 60_000, connections: 100 } as const;

export interface SpecInput {
  readonly info: ComponentInfo;
  readonly tenant: string;
  readonly manifest: Manifest;
  /** Names and values of the secrets that the manifest asks for. */
  readonly secrets: readonly (readonly [string, string])[];
  readonly own: OwnGrants;
  /** Imported interfaces that other tasks serve; none when left out. */
  readonly calls?: readonly string[];
}

export function programSpec({ info, tenant, manifest, secrets, own, calls = [] }: SpecInput): ProgramSpec {
  const { limits } = manifest;
  return {
    digest: info.digest,
    tenant,
    stores: manifest.stores,
    limits: {
      memoryBytes: limits.memory,
      cpuMs: limits.cpu,
      requestBodyBytes: limits.requestBody,
      responseBodyBytes: limits.responseBody,
      headerBytes: limits.headers,
      handles: limits.handles,
      logBytes: limits.logs,
      valueBytes: limits.values,
    },
    environment: Object.entries(manifest.env),
    arguments: own.arguments,
    directories: manifest.files,
    config: [...Object.entries(manifest.config), ...secrets],
    outbound: { origins: manifest.outbound, anyAddress: own.anyAddress, ...OUTBOUND },
    sockets: manifest.sockets,
    stdio: own.stdio,
    maxConcurrent: reuseOf(info, manifest, calls.length > 0 || asksOf(info).length > 0).maxConcurrent,
    calls,
    // What guests ask of Pilotlight itself; an embedder's functions are put in on the way (src/imports).
    scripts: asksOf(info),
  };
}

/**
 * How instances are used again. A 0.2 handler is synchronous: a second run on a busy instance would only wait for the
 * first, so its instances are never shared; nor are those of a component that nobody has looked at yet, nor of one whose
 * calls of other tasks would hold up every run on the instance.
 */
function reuseOf(info: ComponentInfo | undefined, manifest: Manifest, calls: boolean): Manifest["reuse"] {
  const isAlone = info === undefined || info.runs.http === "0.2" || (calls && stalls(info));
  return isAlone ? { ...manifest.reuse, maxConcurrent: 1 } : manifest.reuse;
}

/** It imports functions that another component may serve, and waits in the middle of them. */
function stalls({ imports }: ComponentInfo): boolean {
  return imports.some(({ name, functions }) => !isWasi(name) && functions.some((each) => !each.async));
}

/** What it imports of Pilotlight's own: to call others whose names it knows only when it runs, and to know who is calling. */
export function asksOf({ imports }: Pick<ComponentInfo, "imports">): string[] {
  return imports.map(({ name }) => name).filter((name) => ASKED.includes(name));
}

/** See `wit/pilotlight`. */
const ASKED: readonly string[] = [
  "pilotlight:dispatch/dispatch@0.1.0",
  "pilotlight:task/identity@0.1.0",
  "pilotlight:triggers/announce@0.1.0",
  "pilotlight:triggers/queue@0.1.0",
];

function isWasi(name: string): boolean {
  return name.startsWith("wasi:") || name === "";
}

/** Whether the pool is to be told anew of a program once its component is known. */
export function reuseDependsOnInfo({ reuse }: Manifest): boolean {
  return reuse.maxConcurrent > 1;
}

export interface PoolProgramInput {
  readonly program: number;
  readonly tenant: string;
  readonly manifest: Manifest;
  /** Undefined before the component was looked at. */
  readonly info: ComponentInfo | undefined;
  readonly terms: CapacityTerms;
  readonly code: Code;
  /** What its linked form holds; undefined while there is none. */
  readonly bytes: number | undefined;
  /** It may call other tasks. */
  readonly calls?: boolean;
}

/** What the pool is to know of a program. */
export function poolProgram({ program, tenant, manifest, info, terms, code, bytes, calls = false }: PoolProgramInput): PoolProgram {
  const { capacity, limits } = manifest;
  return {
    program,
    tenant,
    task: taskKey(tenant, manifest.name),
    reuse: reuseOf(info, manifest, calls),
    concurrency: limits.concurrency,
    ready: capacity.ready,
    ...effectiveCapacity(capacity, terms),
    memoryLimit: limits.memory,
    code,
    ...(bytes === undefined ? {} : { bytes }),
  };
}
