/**
 * The engine over wasmtime: the only importer of the native addon.
 *
 * Commands become positional calls, one for each; events come out of `drain` as one flat array that `decode`
 * reads, tag by tag. The table in `native/src/drain.rs` is the other half of this file.
 */
import { createRequire } from "node:module";
import { addonCandidates } from "./addon.js";
import { decodeEvents, joinHeaders } from "./frames.js";
import type { Command, Engine, EngineEvent, EngineStats, ProgramId } from "./engine.js";
import type { ComponentInfo, LinkReport, ProgramSpec } from "./program.js";

/** What `new NativeEngine` takes, as JSON. See `native/core/src/settings.rs`. */
export interface EngineSettings {
  /** Folder of compiled components; created when missing. Nothing is kept without. */
  readonly cache: string | null;
  /** Most instances at once. */
  readonly instances: number;
  /** Threads that run guests; 0 = as many as there are cores. */
  readonly threads: number;
  readonly keepResidentBytes: number;
  /** Trap messages name the guest's functions. Costs on every trap. */
  readonly backtraces: boolean;
}

/** An error of the engine itself or of what it was given; the message says what, where and what would be right. */
export class EngineError extends Error {
  override readonly name = "EngineError";
}

interface NativeEngine {
  load(request: number, bytes: Uint8Array): void;
  check(digest: string, scripts: readonly string[]): string;
  link(request: number, spec: string): void;
  unlink(program: number): void;
  prepare(slot: number, generation: number, program: number): void;
  runHttp(
    slot: number,
    generation: number,
    program: number,
    run: number,
    last: boolean,
    head: number,
    idle: number,
    total: number,
    method: string,
    scheme: string,
    authority: string,
    target: string,
    headers: string,
    body: Uint8Array | undefined,
    more: boolean,
  ): void;
  runCall(
    slot: number,
    generation: number,
    program: number,
    run: number,
    last: boolean,
    head: number,
    total: number,
    iface: string,
    func: string,
    args: string,
  ): void;
  runCommand(slot: number, generation: number, program: number, run: number, last: boolean, head: number, total: number): void;
  chunk(run: number, bytes: Uint8Array): void;
  end(run: number, trailers: string | undefined): void;
  credit(run: number, bytes: number): void;
  answer(ask: number, ok: string | undefined, error: string | undefined): void;
  cancel(run: number): void;
  retire(slot: number, generation: number): void;
  drain(): unknown[];
  stats(): string;
  close(): void;
}

interface Addon {
  NativeEngine: new (settings: string, wake: () => void) => NativeEngine;
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

  const settle = (request: number, value: unknown, error: string | undefined): void => {
    const entry = waiting.get(request);
    waiting.delete(request);
    if (error === undefined) entry?.resolve(value as never);
    else entry?.reject(new EngineError(error));
  };

  const wake = (): void => {
    const events: EngineEvent[] = [];
    decodeEvents(native.drain(), events, {
      loaded: (request, json, error) => settle(request, json === undefined ? undefined : JSON.parse(json), error),
      linked: settle,
      closed: () => closed?.(),
    });
    if (events.length > 0) listener(events);
  };

  const native = construct(NativeEngine, settings, wake);
  // The addon's own handle is weak; this one keeps the process alive until the engine is closed.
  const alive = setInterval(() => {}, 2 ** 31 - 1);

  const request = <T>(send: (id: number) => void): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      const id = nextRequest++;
      waiting.set(id, { resolve, reject });
      send(id);
    });

  let closing: Promise<void> | undefined;

  return {
    load: (bytes) => request<ComponentInfo>((id) => native.load(id, bytes)),
    check: (digest, scripts) => JSON.parse(guard(() => native.check(digest, scripts))) as LinkReport,
    link: (spec: ProgramSpec) => request<ProgramId>((id) => guard(() => native.link(id, JSON.stringify(spec)))),
    unlink: (program) => native.unlink(program),
    send: (command) => send(native, command),
    listen: (next) => {
      listener = next;
    },
    stats: () => JSON.parse(native.stats()) as EngineStats,
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

function construct(NativeEngine: Addon["NativeEngine"], settings: EngineSettings, wake: () => void): NativeEngine {
  return guard(() => new NativeEngine(JSON.stringify(settings), wake));
}

function guard<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new EngineError((error as Error).message, { cause: error });
  }
}

function send(native: NativeEngine, command: Command): void {
  switch (command.kind) {
    case "run":
      return sendRun(native, command);
    case "prepare":
      return native.prepare(command.slot, command.generation, command.program);
    case "chunk":
      return native.chunk(command.run, command.bytes);
    case "end":
      return native.end(command.run, command.trailers === undefined ? undefined : joinHeaders(command.trailers));
    case "credit":
      return native.credit(command.run, command.bytes);
    case "answer":
      return native.answer(command.ask, command.ok, command.error);
    case "cancel":
      return native.cancel(command.run);
    case "retire":
      return native.retire(command.slot, command.generation);
  }
}

function sendRun(native: NativeEngine, command: Command & { kind: "run" }): void {
  const { slot, generation, program, run, last, frame } = command;
  const { head, idle, total } = command.deadlines;
  switch (frame.kind) {
    case "http":
      return native.runHttp(
        slot,
        generation,
        program,
        run,
        last,
        head,
        idle,
        total,
        frame.method,
        frame.scheme,
        frame.authority,
        frame.target,
        joinHeaders(frame.headers),
        frame.body,
        frame.more,
      );
    case "call":
      return native.runCall(slot, generation, program, run, last, head, total, frame.interface, frame.function, frame.arguments);
    case "command":
      return native.runCommand(slot, generation, program, run, last, head, total);
  }
}
