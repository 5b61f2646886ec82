import { expect, it } from "vitest";
import type { ComponentInfo, ProgramSpec } from "../../src/engine/program.js";
import { readManifest } from "../../src/tasks/manifest.js";
import type { PoolProgram } from "../../src/pool/types.js";
import { NO_GRANTS, poolProgram, programSpec, reuseDependsOnInfo, type PoolProgramInput, type SpecInput } from "../../src/tasks/spec.js";
import { USUAL_TERMS } from "../../src/tenants/tenant.js";
import { fakeInfo } from "./fake-task.js";

const INFO = fakeInfo("0.3");

const spec = (parts: Partial<SpecInput>): ProgramSpec =>
  programSpec({ info: INFO, tenant: "acme", manifest, secrets: [], own: NO_GRANTS, ...parts });

const info = (http: "0.2" | "0.3"): ComponentInfo => ({
  digest: INFO.digest,
  imports: [],
  exports: [],
  runs: { http, command: undefined },
  cached: false,
  compileNanoseconds: 0,
  compiledBytes: 0,
});

const manifest = readManifest(
  {
    name: "a",
    component: "a.wasm",
    limits: {
      memory: "1MiB",
      cpu: "1s",
      requestBody: "2B",
      responseBody: "3B",
      headers: "4B",
      handles: 5,
      logs: "6B",
      values: "7B",
      concurrency: 8,
    },
    reuse: { maxRequests: 10, maxConcurrent: 9 },
    capacity: { ready: 11, whenFull: "reject" },
    config: { k: "v" },
    secrets: ["TOKEN"],
    stores: ["default", "uploads"],
    env: { A: "1", B: "2" },
    files: [{ host: "/h", guest: "/g" }],
    outbound: ["https://api.example.com"],
    sockets: true,
  },
  "a",
);

it("a manifest asks the engine for its limits and grants, and for nothing else", () => {
  expect(spec({ info: info("0.3"), manifest, own: NO_GRANTS })).toEqual({
    digest: INFO.digest,
    tenant: "acme",
    stores: ["default", "uploads"],
    calls: [],
    limits: {
      memoryBytes: 1_048_576,
      cpuMs: 1000,
      requestBodyBytes: 2,
      responseBodyBytes: 3,
      headerBytes: 4,
      handles: 5,
      logBytes: 6,
      valueBytes: 7,
    },
    environment: [
      ["A", "1"],
      ["B", "2"],
    ],
    arguments: [],
    directories: [{ host: "/h", guest: "/g", readOnly: true }],
    config: [["k", "v"]],
    outbound: {
      origins: ["https://api.example.com"],
      anyAddress: false,
      connectMs: 10_000,
      firstByteMs: 60_000,
      betweenBytesMs: 60_000,
      connections: 100,
    },
    sockets: true,
    stdio: "capture",
    maxConcurrent: 9,
    scripts: [],
  });
});

it("an empty manifest is granted nothing: no files, environment, network or sockets", () => {
  expect(spec({ info: info("0.3"), manifest: readManifest({ name: "a", component: "a.wasm" }, "a") })).toMatchObject({
    environment: [],
    arguments: [],
    directories: [],
    config: [],
    outbound: { origins: [], anyAddress: false },
    sockets: false,
    stdio: "capture",
    maxConcurrent: 1,
    scripts: [],
  });
});

it("grants of the user's own machine come from the command line, never from a manifest", () => {
  const own = { anyAddress: true, arguments: ["file", "x"], stdio: "inherit" } as const;
  expect(spec({ info: info("0.3"), manifest, own })).toMatchObject({
    outbound: { anyAddress: true },
    arguments: ["file", "x"],
    stdio: "inherit",
  });
});

const asked = (parts: Partial<PoolProgramInput>): PoolProgram =>
  poolProgram({ program: 7, tenant: "acme", manifest, info: info("0.3"), terms: USUAL_TERMS, code: "linked", bytes: 9, ...parts });

it("a manifest asks the pool for its reuse, its concurrency, its memory and its ready instances", () => {
  expect(asked({})).toEqual({
    program: 7,
    tenant: "acme",
    task: `acme/${manifest.name}`,
    reuse: { maxRequests: 10, maxConcurrent: 9, maxMemory: 33_554_432, maxIdle: 5000, maxAge: 600_000 },
    concurrency: 8,
    ready: 11,
    pool: "shared",
    whenFull: "reject",
    memoryLimit: manifest.limits.memory,
    code: "linked",
    bytes: 9,
  });
});

it("where a manifest picks no sub-pool, its tenant's terms do", () => {
  expect(asked({ terms: { ...USUAL_TERMS, dedicated: 1 } }).pool).toBe("dedicated");
});

it("instances of a 0.2 handler are never shared, whatever its manifest says: a second run would only wait for the first", () => {
  expect(spec({ info: info("0.2"), manifest, own: NO_GRANTS }).maxConcurrent).toBe(1);
  expect(asked({ info: info("0.2") }).reuse).toMatchObject({ maxRequests: 10, maxConcurrent: 1 });
});

it("nor are those of a component that nobody has looked at", () => {
  const program = asked({ info: undefined, code: "stored", bytes: undefined });
  expect([program.reuse.maxConcurrent, program.code, "bytes" in program]).toEqual([1, "stored", false]);
  expect([reuseDependsOnInfo(manifest), reuseDependsOnInfo(readManifest({ name: "a", component: "a.wasm" }, "a"))]).toEqual([true, false]);
});
