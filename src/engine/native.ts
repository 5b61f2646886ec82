/**
 * The engine over wasmtime: the only importer of the native addon.
 *
 * Commands become calls, one for each; the hot one, and the events that come out of `drain`, go through memory
 * that both sides know (`frames.ts`). `native/src` is the other half of this file.
 */
import { createRequire } from "node:module";
import { addonCandidates } from "./addon.js";
import { EventReader, FrameWriter, joinHeaders } from "./frames.js";
import { keyValue, kvError, type KeyValueSettings, type NativeKv } from "./kv.js";
import type { CellUsage, Command, Engine, EngineEvent, EngineStats, ProgramId } from "./engine.js";
import { ConsultWriter, type Consulted } from "./sidecars.js";
import type { ComponentInfo, LinkReport, ProgramSpec } from "./program.js";
import type { Probed } from "./trace.js";

/** What `new NativeEngine` takes, as JSON. See `native/core/src/settings.rs`. */
export interface EngineSettings {
  /** Folder of compiled components; created when missing. Nothing is kept without. */
  readonly cache: string | null;
  /** Most instances at once. */
  readonly instances: number;
  /** Threads that run guests; 0 = as many as there are cores. */
  readonly threads: number;
  readonly keepResidentBytes: number;
  /** Memory as it is needed instead of from a pool: components of any shape, at the price of slower instances. */
  readonly onDemand: boolean;
  /** Trap messages name the guest's functions. Costs on every trap. */
  readonly backtraces: boolean;
  /** Where key-value data is; in memory, as long as the engine, when left out. */
  readonly keyValue?: KeyValueSettings;
}

/** An error of the engine itself or of what it was given; the message says what, where and what would be right. */
export class EngineError extends Error {
  override readonly name = "EngineError";
}

interface NativeEngine extends NativeKv {
  load(request: number, bytes: Uint8Array): void;
  check(digest: string, scripts: readonly string[], calls: readonly string[]): string;
  link(request: number, spec: string): void;
  unlink(program: number): void;
  prepare(slot: number, generation: number, program: number, cell: number, charge: number): void;
  runHttp(largeBody: Uint8Array | undefined): void;
  runCall(
    slot: number,
    generation: number,
    program: number,
    cell: number,
    run: number,
    last: boolean,
    traced: boolean,
    head: number,
    total: number,
    iface: string,
    func: string,
    args: string,
  ): void;
  runLinked(
    slot: number,
    generation: number,
    program: number,
    cell: number,
    run: number,
    last: boolean,
    traced: boolean,
    head: number,
    total: number,
    call: number,
    iface: string,
    func: string,
    keep: number,
  ): void;
  runCommand(
    slot: number,
    generation: number,
    program: number,
    cell: number,
    run: number,
    last: boolean,
    traced: boolean,
    head: number,
    total: number,
    args: string[],
  ): void;
  runSidecar(
    slot: number,
    generation: number,
    program: number,
    cell: number,
    run: number,
    last: boolean,
    traced: boolean,
    head: number,
    total: number,
    config: string,
  ): void;
  consult(count: number, body: Uint8Array | undefined): string | null;
  bind(run: number, imported: string, sidecar: number, exported: string, limit: number, open: boolean): void;
  unbind(run: number): void;
  attach(call: number, sidecar: number, exported: string, limit: number, open: boolean): void;
  document(sidecar: number, url: string, text: string): void;
  stop(run: number): void;
  pause(run: number, paused: boolean): void;
  chunk(run: number, bytes: Uint8Array): void;
  end(run: number, trailers: string | undefined): void;
  credit(run: number, bytes: number): void;
  answer(ask: number, ok: string | undefined, error: string | undefined): void;
  release(run: number): void;
  refuseCall(call: number, message: string): void;
  callArguments(call: number): string | null;
  answerCall(call: number, results: string): void;
  cancel(run: number): void;
  retire(slot: number, generation: number): void;
  cell(cell: number, bytes: number, reserved: boolean): void;
  closeCell(cell: number): void;
  cells(): string;
  isPublic(address: string): boolean;
  footprint(request: number, program: number): void;
  probe(request: number, probe: string): void;
  drain(): Buffer[] | undefined;
  stats(): string;
  close(): void;
}

interface Addon {
  NativeEngine: new (settings: string, wake: () => void, numbers: Float64Array, bytes: Buffer) => NativeEngine;
}

let addon: Addon | undefined;

/** Opens the addon: a local build wins over the platform's package. */
function loadAddon(): Addon {
  if (addon !== undefined) return addon;
  const require = createRequire(import.meta.url);
  const failures: string[] = [];
  for (const candidate of addonCandidates()) {
    try {
      addon = require(candidate) as Addon;
      return addon;
    } catch (error) {
      failures.push(`${candidate}: ${(error as Error).message.split("\n")[0]}`);
    }
  }
  throw new EngineError(
    `Pilotlight's native addon could not be loaded on ${process.platform}-${process.arch}. In a checkout run "npm run setup"; ` +
      `installed from a registry, install again without --omit=optional. Tried:\n  ${failures.join("\n  ")}`,
  );
}

/** The shared memory: a batch that does not fit comes in several drains. Heads are limited to far less. */
const NUMBERS = 16 * 1024;
const BYTES = 512 * 1024;

interface Waiting {
  resolve(value: never): void;
  reject(error: Error): void;
}

/** Starts an engine. Throws an `EngineError` when the addon or the cache folder cannot be used. */
export function startEngine(settings: EngineSettings): Engine {
  const { NativeEngine } = loadAddon();
  const waiting = new Map<number, Waiting>();
  let nextRequest = 1;
  let listener: (events: readonly EngineEvent[]) => void = () => {};
  let closed: (() => void) | undefined;

  const settle = (request: number, value: unknown, error: Error | undefined): void => {
    const entry = waiting.get(request);
    waiting.delete(request);
    if (error === undefined) entry?.resolve(value as never);
    else entry?.reject(error);
  };
  const failure = (error: string | undefined): EngineError | undefined => (error === undefined ? undefined : new EngineError(error));

  const numbers = new Float64Array(NUMBERS);
  const bytes = Buffer.allocUnsafeSlow(BYTES);
  const reader = new EventReader(numbers, bytes);
  const frame = new FrameWriter(numbers, bytes);
  const consult = new ConsultWriter(numbers, bytes);
  const replies = {
    loaded: (request: number, json: string | undefined, error: string | undefined) =>
      settle(request, json === undefined ? undefined : JSON.parse(json), failure(error)),
    linked: (request: number, program: number | undefined, error: string | undefined) => settle(request, program, failure(error)),
    written: (request: number, revision: number | undefined, error: string | undefined) =>
      settle(request, revision, error === undefined ? undefined : kvError(error)),
    measured: (request: number, bytes: number | undefined, error: string | undefined) => settle(request, bytes, failure(error)),
    probed: (request: number, json: string | undefined, error: string | undefined) =>
      settle(request, json === undefined ? undefined : JSON.parse(json), failure(error)),
    closed: () => closed?.(),
  };
  const wake = (): void => {
    let more = true;
    while (more) {
      // All of a batch is read before anything is told of it: what is told may send commands through the same memory.
      const events: EngineEvent[] = [];
      more = reader.read(native.drain(), events, replies);
      if (events.length > 0) listener(events);
    }
  };

  const native = guard(() => new NativeEngine(JSON.stringify(settings), wake, numbers, bytes));
  // The addon's own handle is weak; this one keeps the process alive until the engine is closed.
  const alive = setInterval(() => {}, 2 ** 31 - 1);

  const request = <T>(send: (id: number) => void): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      const id = nextRequest++;
      send(id);
      waiting.set(id, { resolve, reject });
    });

  let closing: Promise<void> | undefined;

  return {
    load: (bytes) => request<ComponentInfo>((id) => native.load(id, bytes)),
    check: (digest, scripts, calls = []) => JSON.parse(guard(() => native.check(digest, scripts, calls))) as LinkReport,
    link: (spec: ProgramSpec) => request<ProgramId>((id) => guard(() => native.link(id, JSON.stringify(spec)))),
    unlink: (program) => native.unlink(program),
    send: (command) => send(native, command, numbers, frame),
    consult: (consultations) => {
      const bodies = consult.write(consultations);
      const answers = native.consult(consultations.length, bodies[0]);
      return answers === null ? NO_ANSWERS : (JSON.parse(answers) as [number, Consulted][]);
    },
    listen: (next) => {
      listener = next;
    },
    kv: keyValue(native, request),
    stats: () => JSON.parse(native.stats()) as EngineStats,
    isPublic: (address) => native.isPublic(address),
    cells: () => JSON.parse(native.cells()) as CellUsage[],
    callArguments: (call) => {
      try {
        return native.callArguments(call) ?? undefined;
      } catch {
        // What cannot be written down cannot be looked up by.
        return undefined;
      }
    },
    probe: (probe) => request<Probed>((id) => guard(() => native.probe(id, JSON.stringify(probe)))),
    footprint: (program) => request<number>((id) => native.footprint(id, program)),
    close: () =>
      (closing ??= new Promise<void>((resolve) => {
        closed = () => {
          clearInterval(alive);
          resolve();
        };
        native.close();
      })),
  };
}

function guard<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new EngineError((error as Error).message, { cause: error });
  }
}

const NO_ANSWERS: readonly never[] = Object.freeze([]);
/** What crosses for an instance that counts in no cell. */
const NO_CELL = 0;
/** What crosses for one that counts what its memories have. */
const NO_CHARGE = -1;

function send(native: NativeEngine, command: Command, numbers: Float64Array, frame: FrameWriter): void {
  switch (command.kind) {
    case "run":
      return sendRun(native, command, numbers, frame);
    case "prepare":
      return native.prepare(command.slot, command.generation, command.program, command.cell ?? NO_CELL, command.charge ?? NO_CHARGE);
    case "chunk":
      return native.chunk(command.run, command.bytes);
    case "end":
      return native.end(command.run, command.trailers === undefined ? undefined : joinHeaders(command.trailers));
    case "credit":
      return native.credit(command.run, command.bytes);
    case "answer":
      return native.answer(command.ask, command.ok, command.error);
    case "release":
      return native.release(command.run);
    case "answer-call":
      return native.answerCall(command.call, command.results);
    case "refuse-call":
      return native.refuseCall(command.call, command.message);
    case "cancel":
      return native.cancel(command.run);
    case "bind":
      return native.bind(command.run, command.import, command.sidecar, command.export, command.limitMs, command.open);
    case "unbind":
      return native.unbind(command.run);
    case "attach":
      return native.attach(command.call, command.sidecar, command.export, command.limitMs, command.open);
    case "document":
      return native.document(command.sidecar, command.url, command.text);
    case "stop":
      return native.stop(command.run);
    case "pause":
      return native.pause(command.run, command.paused);
    case "retire":
      return native.retire(command.slot, command.generation);
    case "cell":
      if (command.cell === NO_CELL) throw new EngineError("cell 0 stands for no cell; a cell's number is 1 or more");
      return native.cell(command.cell, command.bytes, command.reserved ?? false);
    case "close-cell":
      return native.closeCell(command.cell);
  }
}

function sendRun(native: NativeEngine, command: Command & { kind: "run" }, numbers: Float64Array, writer: FrameWriter): void {
  const { slot, generation, program, cell = NO_CELL, run, last, traced = false, frame, deadlines } = command;
  switch (frame.kind) {
    case "http": {
      numbers[0] = slot;
      numbers[1] = generation;
      numbers[2] = program;
      numbers[3] = run;
      numbers[4] = last ? 1 : 0;
      numbers[5] = deadlines.head;
      numbers[6] = deadlines.idle;
      numbers[7] = deadlines.total;
      numbers[8] = frame.more ? 1 : 0;
      numbers[9] = cell;
      numbers[10] = traced ? 1 : 0;
      const written = writer.write(11, [frame.method, frame.scheme, frame.authority, frame.target, joinHeaders(frame.headers)], frame.body);
      if (written === undefined) throw new EngineError(`a request head of this size cannot cross; at most ${BYTES} bytes can`);
      return native.runHttp(written.large);
    }
    case "call":
      return native.runCall(
        slot,
        generation,
        program,
        cell,
        run,
        last,
        traced,
        deadlines.head,
        deadlines.total,
        frame.interface,
        frame.function,
        frame.arguments,
      );
    case "linked":
      return native.runLinked(
        slot,
        generation,
        program,
        cell,
        run,
        last,
        traced,
        deadlines.head,
        deadlines.total,
        frame.call,
        frame.interface,
        frame.function,
        frame.keep,
      );
    case "sidecar":
      return native.runSidecar(
        slot,
        generation,
        program,
        cell,
        run,
        last,
        traced,
        deadlines.head,
        deadlines.total,
        JSON.stringify(frame.config),
      );
    case "command":
      return native.runCommand(slot, generation, program, cell, run, last, traced, deadlines.head, deadlines.total, [
        ...(frame.arguments ?? []),
      ]);
  }
}
