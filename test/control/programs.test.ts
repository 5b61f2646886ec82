/** What is behind the pool's numbers: raising, lowering, secrets, compiled forms. */
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { CompiledCache } from "../../src/artefacts/compiled.js";
import { digestOf } from "../../src/artefacts/components.js";
import { memoryComponents } from "../../src/artefacts/memory.js";
import { Programs, linkedBytes, type ProgramRequest } from "../../src/control/programs.js";
import type { Outcome } from "../../src/engine/outcome.js";
import type { PoolEvent, PoolProgram } from "../../src/pool/types.js";
import { readManifest, type ManifestInput } from "../../src/tasks/manifest.js";
import { NO_GRANTS } from "../../src/tasks/spec.js";
import { USUAL_TERMS, type CapacityTerms } from "../../src/tenants/tenant.js";
import { tempDir } from "../support/files.js";
import { LinkingEngine, NO_SIDECARS } from "./linking-engine.js";

const BYTES = Buffer.from("a component");
const DIGEST = digestOf(BYTES);
const MiB = 2 ** 20;

async function bench(folder: string | null = tempDir()) {
  const engine = new LinkingEngine(folder);
  const told: PoolEvent[] = [];
  const components = memoryComponents();
  await components.put(BYTES);
  const tried: { outcome: Outcome | undefined } = { outcome: undefined };
  const terms: { now: CapacityTerms } = { now: USUAL_TERMS };
  const forms = new CompiledCache(folder);
  const programs = new Programs({
    engine,
    executor: {
      tell: (event) => void told.push(event),
      try: async () => tried.outcome,
      retire: (program) => void told.push({ kind: "remove", program }),
    },
    components,
    forms,
    terms: () => terms.now,
    isProvided: () => false,
    used: () => undefined,
    sidecars: NO_SIDECARS,
    secretsAt: () => "",
  });
  return { engine, told, programs, tried, terms, forms };
}

function request(fields: Partial<ManifestInput> = {}, parts: Partial<ProgramRequest> = {}): ProgramRequest {
  const manifest = readManifest({ name: "a", component: "a.wasm", ...fields }, "a");
  return { tenant: "acme", manifest, digest: DIGEST, secrets: () => [], own: NO_GRANTS, source: "a v1", ...parts };
}

/** The programs that the pool was told of. */
function added(told: readonly PoolEvent[]): PoolProgram[] {
  return told.flatMap((event) => (event.kind === "add" ? [event.program] : []));
}

describe("a version that is deployed", () => {
  it("is linked and known to the pool by a number of its own, with what it holds", async () => {
    const { programs, engine, told } = await bench();
    const prepared = await programs.prepare(request({ limits: { memory: "64MiB", concurrency: 3 }, capacity: { ready: 2 } }));
    expect(added(told)).toEqual([
      {
        program: 1,
        tenant: "acme",
        task: "acme/a",
        reuse: prepared.manifest.reuse,
        concurrency: 3,
        ready: 2,
        pool: "shared",
        whenFull: "wait",
        memoryLimit: 64 * MiB,
        code: "linked",
        bytes: MiB + 128 * 1024,
      },
    ]);
    expect([prepared.program, programs.engineProgram(1), engine.loads]).toEqual([1, 101, 1]);
    expect([programs.info(1)?.digest, programs.isLinked(1)]).toEqual([DIGEST, true]);
    expect((await programs.prepare(request())).program).toBe(2);
  });

  it("is refused in the engine's words, and no number is given", async () => {
    const { programs, engine, told } = await bench();
    engine.fails = "these are not the bytes of a component";
    await expect(programs.prepare(request())).rejects.toMatchObject({
      problem: { code: "request/invalid", detail: "a v1: these are not the bytes of a component" },
    });
    expect(told).toEqual([]);
  });

  it("whose component is gone says where it should be", async () => {
    const { programs } = await bench();
    const digest = "0".repeat(64);
    await expect(programs.prepare(request({}, { digest }))).rejects.toMatchObject({
      problem: {
        code: "platform/storage",
        detail: `a v1: its component ${digest} is not in the data folder; deploy it again, or restore a backup`,
      },
    });
  });

  it.each<[Outcome | undefined, string | undefined]>([
    [undefined, undefined],
    [{ kind: "refused", code: "node-full", message: "x" }, undefined],
    [{ kind: "platform", code: "internal", message: "x" }, undefined],
    [{ kind: "trap", message: "unreachable" }, "the file: no instance of it can be made: unreachable"],
    [
      { kind: "limit", limit: "memory", used: 9, allowed: 8 },
      "the file: no instance of it can be made: the limit memory is 8, and it takes 9",
    ],
  ])("whose trial ended with %j says: %s", async (outcome, message) => {
    const { programs, tried } = await bench();
    const prepared = await programs.prepare(request());
    tried.outcome = outcome;
    const said = await programs.try(prepared, "the file").catch((error: Error) => error.message);
    expect(said).toBe(message);
  });
});

describe("a version that is stored", () => {
  it("is registered where its code is, and nothing is loaded", async () => {
    const folder = tempDir({ [`${DIGEST}-0123456789abcdef.cwasm`]: "code" });
    const { programs, engine, told } = await bench(folder);
    expect(programs.register(request())).toBe(1);
    expect(programs.register(request({}, { digest: "0".repeat(64) }))).toBe(2);
    expect(added(told).map(({ program, code }) => [program, code])).toEqual([
      [1, "compiled"],
      [2, "stored"],
    ]);
    expect([engine.loads, programs.engineProgram(1), programs.info(1), programs.isRaised(1)]).toEqual([0, undefined, undefined, false]);
  });

  it("is raised with the secrets of that moment, and lowered again", async () => {
    const { programs, engine } = await bench();
    let value = "old";
    const program = programs.register(request({ secrets: ["TOKEN"] }, { secrets: () => [["TOKEN", value]] }));
    value = "new";
    const raising = programs.raise(program);
    expect([programs.isRaised(program), programs.isLinked(program)]).toEqual([true, false]);
    expect(await raising).toEqual({ bytes: MiB + 128 * 1024 });
    expect(engine.linked.map(({ config }) => config)).toEqual([[["TOKEN", "new"]]]);
    expect([programs.engineProgram(program), programs.isRaised(program)]).toEqual([101, true]);
    programs.lower(program);
    expect([engine.unlinked, programs.engineProgram(program), programs.isRaised(program)]).toEqual([[101], undefined, false]);
    await programs.raise(program);
    expect(programs.engineProgram(program)).toBe(102);
    programs.forget(program);
    expect(engine.unlinked).toEqual([101, 102]);
  });

  it("that cannot be raised says why, and may be tried again", async () => {
    const { programs, engine } = await bench();
    const program = programs.register(request());
    engine.fails = "it imports what nobody provides";
    await expect(programs.raise(program)).rejects.toThrow("a v1: it imports what nobody provides");
    expect(programs.isRaised(program)).toBe(false);
    engine.fails = undefined;
    await programs.raise(program);
    expect(programs.isLinked(program)).toBe(true);
  });

  it("lets go at once of what was linked for nobody", async () => {
    const { programs, engine } = await bench();
    const program = programs.register(request());
    const raising = programs.raise(program);
    programs.forget(program);
    await raising;
    expect([engine.unlinked, programs.engineProgram(program)]).toEqual([[101], undefined]);
  });

  it("shares its instances only once its component is known to allow it, and the pool is told before it is raised", async () => {
    const shared = { reuse: { maxRequests: 10, maxConcurrent: 5 } };
    const most = async (http: "0.2" | "0.3"): Promise<number[]> => {
      const { programs, engine, told } = await bench();
      engine.http = http;
      await programs.raise(programs.register(request(shared)));
      return added(told).map(({ reuse }) => reuse.maxConcurrent);
    };
    expect([await most("0.3"), await most("0.2")]).toEqual([
      [1, 5],
      [1, 1],
    ]);
  });

  it("is described without being linked", async () => {
    const { programs, engine } = await bench();
    const program = programs.register(request());
    expect((await programs.describe(program)).digest).toBe(DIGEST);
    expect([engine.linked, programs.info(program)]).toEqual([[], undefined]);
    expect(programs.named(program)).toMatchObject({ tenant: "acme", source: "a v1" });
  });
});

describe("a component that several programs have", () => {
  it("is loaded once for all that are raised at once, and told to be compiled for the rest", async () => {
    const { programs, engine, told } = await bench();
    const [one, two, rest] = [1, 2, 3].map(() => programs.register(request())) as [number, number, number];
    let open = (): void => {};
    engine.loading = new Promise((resolve) => (open = resolve));
    const both = Promise.all([programs.raise(one), programs.raise(two)]);
    await new Promise(setImmediate);
    open();
    await both;
    expect([engine.loads, engine.linked.length]).toEqual([1, 2]);
    expect(told.filter(({ kind }) => kind === "code")).toEqual([{ kind: "code", program: rest, code: "compiled" }]);
  });

  it("whose compiled form is gone is stored for those that are not linked", async () => {
    const { programs, told, forms } = await bench();
    const [linked, aside] = [programs.register(request()), programs.register(request())];
    await programs.raise(linked);
    expect(programs.digestsInUse()).toEqual(new Set([DIGEST]));
    told.length = 0;
    programs.compiledGone(await forms.enforce(0, new Set()));
    expect(told).toEqual([{ kind: "code", program: aside, code: "stored" }]);
    // What was linked from it meanwhile is found to be without when it is lowered.
    programs.lower(linked);
    expect(told.at(-1)).toEqual({ kind: "code", program: linked, code: "stored" });
    expect(programs.digestsInUse()).toEqual(new Set());
  });
});

describe("without a folder for compiled forms", () => {
  it("everything is stored until it is linked, and again when it is lowered", async () => {
    const { programs, told } = await bench(null);
    const program = programs.register(request());
    // All of the compiled form is memory of the process then.
    expect(await programs.raise(program)).toEqual({ bytes: 4 * MiB + 128 * 1024 });
    programs.lower(program);
    expect([added(told)[0]?.code, told.at(-1)]).toEqual(["stored", { kind: "code", program, code: "stored" }]);
  });
});

describe("a tenant's terms that change", () => {
  it("are told to the pool for all of its programs", async () => {
    const { programs, told, terms } = await bench();
    programs.register(request());
    programs.register(request({ capacity: { pool: "shared", whenFull: "reject" } }));
    programs.register(request({}, { tenant: "globex" }));
    told.length = 0;
    terms.now = { ...USUAL_TERMS, dedicated: 2, whenFull: ["spill"] };
    programs.amend("acme");
    expect(told).toEqual([
      { kind: "amend", program: 1, pool: "dedicated", whenFull: "spill" },
      { kind: "amend", program: 2, pool: "shared", whenFull: "reject" },
    ]);
  });
});

describe("what an unused instance holds", () => {
  function timed(): void {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
  }

  it("is measured once, a while after the first one was made ahead", async () => {
    const { programs, engine, told } = await bench();
    const { program } = await programs.prepare(request());
    timed();
    programs.prepares(program);
    programs.prepares(program);
    expect(engine.weighed).toEqual([]);
    await vi.advanceTimersByTimeAsync(1000);
    programs.prepares(program);
    await vi.advanceTimersByTimeAsync(1000);
    expect(engine.weighed).toEqual([101]);
    expect(told.at(-1)).toEqual({ kind: "footprint", program, bytes: 77_000 });
  });

  it("is not measured where runs would miss the instances, or it is lowered; later it is", async () => {
    const { programs, engine } = await bench();
    const { program } = await programs.prepare(request());
    timed();
    const later = async (): Promise<void> => {
      programs.prepares(program);
      await vi.advanceTimersByTimeAsync(1000);
    };
    engine.instances = 90;
    await later();
    engine.instances = 0;
    programs.lower(program);
    await later();
    expect(engine.weighed).toEqual([]);
    await programs.raise(program);
    await later();
    expect(engine.weighed).toEqual([102]);
  });

  it("is finished before all rests, and not begun after that", async () => {
    const { programs, engine, told } = await bench();
    const { program } = await programs.prepare(request());
    const another = await programs.prepare(request());
    let measured = (_bytes: number): void => {};
    engine.footprint = (() => new Promise<number>((resolve) => (measured = resolve))) as never;
    timed();
    programs.prepares(program);
    programs.prepares(another.program);
    await vi.advanceTimersByTimeAsync(1000);
    let rests = false;
    const rest = programs.rest().then(() => (rests = true));
    await vi.advanceTimersByTimeAsync(1000);
    expect(rests).toBe(false);
    measured(1);
    await rest;
    expect(told.filter(({ kind }) => kind === "footprint")).toEqual([{ kind: "footprint", program, bytes: 1 }]);
  });
});

it("a linked program is thought to hold a constant and the touched part of its compiled form", () => {
  expect(linkedBytes({ compiledBytes: 0 }, true)).toBe(128 * 1024);
  expect(linkedBytes({ compiledBytes: 4 * MiB }, true)).toBe(MiB + 128 * 1024);
});
