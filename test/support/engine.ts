/**
 * The real engine for tests: guests by name, instances named for the caller, and all that comes back kept run by
 * run.
 *
 * The order of events is judged as they come: a run has one ending and nothing after it. `useEngine` holds its
 * file to that, and to gauges that are back at zero when every test is done.
 */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, onTestFinished } from "vitest";
import type {
  Command,
  Engine,
  EngineEvent,
  EngineStats,
  Frame,
  GuestLine,
  HttpFrame,
  ProgramId,
  RunHandle,
} from "../../src/engine/engine.js";
import { startEngine, type EngineSettings } from "../../src/engine/native.js";
import type { Outcome, Usage } from "../../src/engine/outcome.js";
import type { ComponentInfo, ProgramLimits, ProgramSpec } from "../../src/engine/program.js";

type RunCommand = Extract<Command, { kind: "run" }>;

const LIMITS: ProgramLimits = {
  memoryBytes: 32 * 2 ** 20,
  cpuMs: 5_000,
  requestBodyBytes: 10 * 2 ** 20,
  responseBodyBytes: 10 * 2 ** 20,
  headerBytes: 128 * 1024,
  handles: 1000,
  logBytes: 64 * 1024,
  valueBytes: 2 ** 20,
};

/** What a program may differ in from one with these limits and no grants at all. */
export type Terms = Partial<Omit<ProgramSpec, "digest" | "limits">> & { readonly limits?: Partial<ProgramLimits> };

export interface InstanceName {
  readonly slot: number;
  readonly generation: number;
}

/** How a run came to its end. */
export interface Ended {
  readonly outcome: Outcome;
  readonly usage: Usage;
}

export interface Answer extends Ended {
  readonly status: number | undefined;
  /** In lower case; the last of several. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly trailers: readonly string[] | undefined;
}

interface RunOptions {
  readonly traced?: boolean;
  readonly on?: InstanceName;
  /** Where an instance that is made on the way counts. */
  readonly cell?: number;
  readonly last?: boolean;
  readonly deadlines?: Partial<RunCommand["deadlines"]>;
  /** False: bytes of the answer are not acknowledged. */
  readonly credit?: boolean;
}

/** A GET of `target`, or whatever `parts` make of it. */
export function http(target: string, parts: Partial<HttpFrame> = {}): HttpFrame {
  return {
    kind: "http",
    method: "GET",
    scheme: "http",
    authority: "guest.test",
    target,
    headers: [],
    body: undefined,
    more: false,
    ...parts,
  };
}

export function call(iface: string, func: string, args: unknown): Frame {
  return { kind: "call", interface: iface, function: func, arguments: typeof args === "string" ? args : JSON.stringify(args) };
}

export function guestBytes(name: string): Buffer {
  return readFileSync(new URL(`../../guests/${name}/${name}.wasm`, import.meta.url));
}

export class TestRun {
  readonly handle: RunHandle;
  readonly on: InstanceName;
  /** Everything that named this run, in order; its log lines are in `lines`. */
  readonly events: EngineEvent[] = [];
  readonly lines: GuestLine[] = [];
  /** Resolves when the run has settled; rejects when its lease was refused. */
  readonly ended: Promise<Ended>;
  /** Set once nothing may follow. */
  over: "settled" | "lease-refused" | undefined;
  readonly #engine: TestEngine;
  readonly #credit: boolean;
  #resolve!: (ended: Ended) => void;
  #reject!: (error: Error) => void;

  constructor(engine: TestEngine, handle: RunHandle, on: InstanceName, credit: boolean) {
    this.#engine = engine;
    this.handle = handle;
    this.on = on;
    this.#credit = credit;
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever does not ask is told by `over`.
    this.ended.catch(() => {});
  }

  receive(event: EngineEvent): void {
    this.events.push(event);
    switch (event.kind) {
      case "head":
      case "chunk": {
        const bytes = event.kind === "head" ? event.body : event.bytes;
        if (this.#credit && bytes !== undefined) this.#engine.send({ kind: "credit", run: this.handle, bytes: bytes.byteLength });
        break;
      }
      case "settled":
        this.over = "settled";
        this.#resolve(event);
        break;
      case "lease-refused":
        this.over = "lease-refused";
        this.#reject(new Error(`the lease of run ${this.handle} on ${event.slot}/${event.generation} was refused`));
        break;
      default:
    }
  }

  /** The first event of that kind, as soon as there is one. */
  async first<K extends EngineEvent["kind"]>(kind: K): Promise<Extract<EngineEvent, { kind: K }>> {
    const found = (): EngineEvent | undefined => this.events.find((event) => event.kind === kind);
    await this.#engine.until(() => found() !== undefined || this.over !== undefined);
    const event = found();
    if (event === undefined) throw new Error(`run ${this.handle} ended without ${kind}: ${JSON.stringify(this.events.at(-1))}`);
    return event as Extract<EngineEvent, { kind: K }>;
  }

  async outcome(): Promise<Outcome> {
    return (await this.ended).outcome;
  }

  /** All of the answer, once the run has settled. */
  async answer(): Promise<Answer> {
    const { outcome, usage } = await this.ended;
    const head = this.events.find((event) => event.kind === "head");
    const end = this.events.find((event) => event.kind === "end");
    const headers: Record<string, string> = {};
    const fields = head?.headers ?? [];
    for (let i = 0; i < fields.length; i += 2) headers[(fields[i] as string).toLowerCase()] = fields[i + 1] as string;
    return {
      status: head?.status,
      headers,
      body: this.bytes().toString("latin1"),
      trailers: head?.ended === true ? head.trailers : end?.trailers,
      outcome,
      usage,
    };
  }

  /** What has come of the answer's body. */
  bytes(): Buffer {
    const pieces = this.events.map((event) => (event.kind === "head" ? event.body : event.kind === "chunk" ? event.bytes : undefined));
    return Buffer.concat(pieces.filter((piece) => piece !== undefined));
  }

  /** Kinds of events, in order. */
  kinds(): string[] {
    return this.events.map(({ kind }) => kind);
  }

  /** Bytes of the request body that the guest has asked for. */
  wanted(): number {
    return this.events.reduce((sum, event) => sum + (event.kind === "need-input" ? event.bytes : 0), 0);
  }

  cancel(): void {
    this.#engine.send({ kind: "cancel", run: this.handle });
  }

  chunk(bytes: Uint8Array | string): void {
    this.#engine.send({ kind: "chunk", run: this.handle, bytes: typeof bytes === "string" ? Buffer.from(bytes) : bytes });
  }

  end(trailers?: readonly string[]): void {
    this.#engine.send({ kind: "end", run: this.handle, trailers });
  }

  credit(bytes: number): void {
    this.#engine.send({ kind: "credit", run: this.handle, bytes });
  }
}

export class TestEngine {
  readonly port: Engine;
  /** Everything that came, in order. */
  readonly events: EngineEvent[] = [];
  /** Promises of the protocol that were broken. */
  readonly violations: string[] = [];
  readonly #runs = new Map<RunHandle, TestRun>();
  readonly #guests = new Map<string, Promise<ComponentInfo>>();
  readonly #programs = new Map<string, Promise<ProgramId>>();
  #watchers: (() => void)[] = [];
  #nextRun = 1;
  #nextSlot = 0;

  constructor(settings: Partial<EngineSettings> = {}) {
    this.port = startEngine({
      cache: null,
      instances: 64,
      threads: 2,
      keepResidentBytes: 2 ** 20,
      onDemand: false,
      backtraces: false,
      ...settings,
    });
    this.port.listen((events) => this.#receive(events));
  }

  /** A guest by its name, or a component of the test's own. */
  load(name: string | Uint8Array): Promise<ComponentInfo> {
    if (typeof name !== "string") return this.port.load(name);
    let guest = this.#guests.get(name);
    if (guest === undefined) this.#guests.set(name, (guest = this.port.load(guestBytes(name))));
    return guest;
  }

  /** The program of a guest on these terms; the same one when asked again. */
  program(name: string, terms: Terms = {}): Promise<ProgramId> {
    const key = `${name} ${JSON.stringify(terms)}`;
    let program = this.#programs.get(key);
    if (program === undefined) this.#programs.set(key, (program = this.link(name, terms)));
    return program;
  }

  async link(name: string | Uint8Array, { limits, ...terms }: Terms = {}): Promise<ProgramId> {
    const { digest } = await this.load(name);
    return this.port.link({ ...NO_GRANTS, ...terms, digest, limits: { ...LIMITS, ...limits } });
  }

  /** A slot that was never used. */
  slot(generation = 1): InstanceName {
    return { slot: this.#nextSlot++, generation };
  }

  /** Makes an instance; resolves when it is ready. */
  async prepare(
    program: ProgramId,
    on: InstanceName = this.slot(),
    counts: { readonly cell?: number; readonly charge?: number } = {},
  ): Promise<InstanceName> {
    this.send({ kind: "prepare", ...on, program, ...counts });
    await this.until(() => this.saw("ready", on) || this.saw("failed", on));
    if (this.saw("failed", on)) throw new Error(`the instance ${on.slot}/${on.generation} could not be made`);
    return on;
  }

  /** Runs a frame, or a GET, on a new instance that then retires, unless `options` say otherwise. */
  run(
    program: ProgramId,
    frame: Frame | string,
    { on = this.slot(), cell = 0, last = true, traced = false, deadlines, credit = true }: RunOptions = {},
  ): TestRun {
    const run = new TestRun(this, this.#nextRun++, on, credit);
    this.#runs.set(run.handle, run);
    this.send({
      kind: "run",
      ...on,
      program,
      cell,
      run: run.handle,
      frame: typeof frame === "string" ? http(frame) : frame,
      deadlines: { head: 10_000, idle: 10_000, total: 20_000, ...deadlines },
      last,
      traced,
    });
    return run;
  }

  /** The answer of a guest to one frame. */
  async ask(name: string, frame: Frame | string, terms: Terms = {}, options: RunOptions = {}): Promise<Answer> {
    return this.run(await this.program(name, terms), frame, options).answer();
  }

  send(command: Command): void {
    this.port.send(command);
  }

  retire(on: InstanceName): void {
    this.send({ kind: "retire", ...on });
  }

  saw(kind: "ready" | "failed" | "retired", { slot, generation }: InstanceName): boolean {
    return this.events.some((event) => event.kind === kind && event.slot === slot && event.generation === generation);
  }

  async gone(on: InstanceName): Promise<void> {
    await this.until(() => this.saw("retired", on));
  }

  /** Resolves as soon as something is so; looked at after each batch of events. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }

  /** Resolves when the gauges say so. No event tells of them, so they are looked at again and again, for a while. */
  async gauges(condition: (stats: EngineStats) => boolean, patienceMs = 10_000): Promise<void> {
    const limit = performance.now() + patienceMs;
    while (!condition(this.port.stats())) {
      if (performance.now() > limit) throw new Error(`the gauges stay at ${JSON.stringify(this.port.stats())}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Resolves when no instance and no run is left. */
  idle(patienceMs?: number): Promise<void> {
    return this.gauges(({ instances, runs }) => instances === 0 && runs === 0, patienceMs);
  }

  close(): Promise<void> {
    return this.port.close();
  }

  #receive(events: readonly EngineEvent[]): void {
    for (const event of events) {
      this.events.push(event);
      if (event.kind === "log-batch") {
        for (const line of event.lines) if (line.run !== undefined) this.#line(line, line.run);
      } else if ("run" in event) {
        this.#concerns(event.run, event.kind)?.receive(event);
      }
    }
    const watchers = this.#watchers;
    this.#watchers = [];
    for (const wake of watchers) wake();
  }

  #line(line: GuestLine, handle: RunHandle): void {
    this.#concerns(handle, "a log line")?.lines.push(line);
  }

  #concerns(handle: RunHandle, what: string): TestRun | undefined {
    const run = this.#runs.get(handle);
    if (run === undefined) this.violations.push(`${what} of run ${handle}, which nobody started`);
    else if (run.over !== undefined) this.violations.push(`${what} of run ${handle} after ${run.over}`);
    return run;
  }
}

const NO_GRANTS: Omit<ProgramSpec, "digest" | "limits"> = {
  environment: [],
  arguments: [],
  directories: [],
  config: [],
  outbound: { origins: [], anyAddress: false, connectMs: 1000, firstByteMs: 1000, betweenBytesMs: 1000, connections: 4 },
  sockets: false,
  stdio: "capture",
  maxConcurrent: 1,
  scripts: [],
};

/** One engine for the tests of a file. */
export function useEngine(settings: Partial<EngineSettings> = {}): TestEngine {
  const engine = new TestEngine(settings);
  beforeAll(() => expect(engine.port.stats().runs).toBe(0));
  afterAll(async () => {
    await engine.idle();
    expect(engine.port.stats()).toMatchObject({ instances: 0, runs: 0, guestBytes: 0, connections: 0, asks: 0 });
    await engine.close();
    expect(engine.violations).toEqual([]);
  });
  return engine;
}

/** An engine of its own for one test. */
export function openEngine(settings: Partial<EngineSettings> = {}): TestEngine {
  const engine = new TestEngine(settings);
  onTestFinished(async () => {
    await engine.close();
    expect(engine.violations).toEqual([]);
  });
  return engine;
}
