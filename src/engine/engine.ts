/**
 * The engine port: what the rest of Pilotlight asks of whatever executes components.
 *
 * TypeScript decides, the engine obeys. Instances are named by the caller as (slot, generation); the
 * generation is the fencing token, and a command that names a stale one is answered `lease-refused`.
 * Commands are synchronous and cheap; everything that takes time comes back as an event, many in one
 * batch. Every `run` command is answered by exactly one `settled` event, and nothing about that run
 * follows it. `native.ts` is the implementation over wasmtime.
 */
import type { HeaderList } from "../base/headers.js";
import type { Consultation, Consulted } from "./sidecars.js";
import type { KeyValue } from "./kv.js";
import type { ComponentInfo, LinkReport, ProgramSpec } from "./program.js";
import type { Outcome, Usage } from "./outcome.js";
import type { Probe, Probed, Trace } from "./trace.js";

/** Bytes that may be on their way in one direction of one run before the receiver has asked for more. */
export const CREDIT_BYTES = 256 * 1024;
/** A request body up to this size travels inside `run`; an answer up to this size comes in one `head` event. */
export const INLINE_BYTES = 64 * 1024;

/** Identifies a linked program inside one engine; never reused. */
export type ProgramId = number;
/** Identifies a run inside one engine; never reused. The public run id is another thing. */
export type RunHandle = number;

/** An HTTP request for a component that exports a `wasi:http` handler of either version. */
export interface HttpFrame {
  readonly kind: "http";
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  /** Path and query exactly as on the wire. */
  readonly target: string;
  /** Without hop-by-hop fields. */
  readonly headers: HeaderList;
  /** The body, or its beginning. */
  readonly body: Uint8Array | undefined;
  /** True when `chunk` and `end` commands will follow. */
  readonly more: boolean;
}

/** One call of an exported function; arguments and result are JSON by the mapping of `docs/values.md`. */
export interface CallFrame {
  readonly kind: "call";
  /** `ns:pkg/interface@version`, or empty for a function exported by the world itself. */
  readonly interface: string;
  readonly function: string;
  /** A JSON array of arguments, or a JSON object by parameter name. */
  readonly arguments: string;
}

/**
 * Runs a call that a guest made of another task: its arguments wait in the engine under `call`, and its results go from
 * there to the caller. A `result` event follows where the run is traced.
 */
export interface LinkedFrame {
  readonly kind: "linked";
  readonly call: number;
  /** The export that serves it, by its own name. */
  readonly interface: string;
  readonly function: string;
  /**
   * So many milliseconds the instance stays with the caller's run for more calls like this one (the same function, arguments
   * of the same order of magnitude), which then come to it without a word; Infinity: for all calls of the interface while the
   * caller's run goes on. 0: it takes this call alone. The run settles when the last of them is over.
   */
  readonly keep: number;
}

/** Runs a `wasi:cli/run` component to its end. */
export interface CommandFrame {
  readonly kind: "command";
  /** What it is told, its own name first; left out: what its program says. For an instance that serves this run alone. */
  readonly arguments?: readonly string[];
}

/**
 * Starts a sidecar (`pilotlight:sidecar`, all of it optional) and has it stand for calls: of `consult`, and of runs that it is
 * bound to. A `result` event says that it has started with its configuration; the run goes on until `stop`, or until it
 * fails. The deadline `head` is each call's.
 */
export interface SidecarFrame {
  readonly kind: "sidecar";
  readonly config: readonly (readonly [string, string])[];
}

export type Frame = HttpFrame | CallFrame | LinkedFrame | CommandFrame | SidecarFrame;

/** Has a standing sidecar serve an interface that a run's component imports. */
interface Serving {
  readonly sidecar: RunHandle;
  /** The interface as the sidecar exports it. */
  readonly export: string;
  /** Milliseconds that a call may wait and take. */
  readonly limitMs: number;
  /** Where a call of it fails the run goes on, if its type lets it. */
  readonly open: boolean;
}

export type Command =
  /** Makes an instance of `program` in an unused slot. Answered by `ready` or `failed`. */
  | {
      readonly kind: "prepare";
      readonly slot: number;
      readonly generation: number;
      readonly program: ProgramId;
      /** The cell that it counts in; none when left out. */
      readonly cell?: number;
      /** Bytes that it counts there until its first run; what its memories have when left out. */
      readonly charge?: number;
    }
  /**
   * Runs a frame on the instance (slot, generation); one that was not prepared is made on the way.
   * `deadlines` are milliseconds from now: `head` until the answer begins, `idle` the longest silence of
   * either body after it, `total` everything. `last` retires the instance when the run has settled.
   */
  | {
      readonly kind: "run";
      readonly slot: number;
      readonly generation: number;
      readonly program: ProgramId;
      /** The cell of an instance that is made on the way; none when left out. */
      readonly cell?: number;
      readonly run: RunHandle;
      readonly frame: Frame;
      readonly deadlines: { readonly head: number; readonly idle: number; readonly total: number };
      readonly last: boolean;
      /** What the results depend on is told when it has settled; of a run that has its instance to itself. */
      readonly traced?: boolean;
    }
  /** More of the request body, at most what `need-input` has asked for. */
  | { readonly kind: "chunk"; readonly run: RunHandle; readonly bytes: Uint8Array }
  | { readonly kind: "end"; readonly run: RunHandle; readonly trailers: HeaderList | undefined }
  /** The client has taken `bytes` of the answer; as many more may come. */
  | { readonly kind: "credit"; readonly run: RunHandle; readonly bytes: number }
  /** Answers an `ask`: the JSON array of results, or an error that traps the caller. */
  | { readonly kind: "answer"; readonly ask: number; readonly ok: string | undefined; readonly error: string | undefined }
  /** A call that waits in the engine fails with the message; one that has begun, or whose caller is gone, is left alone. */
  | { readonly kind: "refuse-call"; readonly call: number; readonly message: string }
  /** A call that waits in the engine has come to these results, a JSON array, without anybody being run for it. */
  | { readonly kind: "answer-call"; readonly call: number; readonly results: string }
  /** Instances that wait for the next call of the run's guest (`keep` of a `linked` frame) wait no more: their runs settle. */
  | { readonly kind: "release"; readonly run: RunHandle }
  | { readonly kind: "cancel"; readonly run: RunHandle }
  /** Before the `run` command of the run: the sidecar serves all its calls of the interface. */
  | ({ readonly kind: "bind"; readonly run: RunHandle; readonly import: string } & Serving)
  /** What was bound for a run that is not ordered after all. */
  | { readonly kind: "unbind"; readonly run: RunHandle }
  /** Answers a `call`: the sidecar serves it, and those of the interface that follow in the run. */
  | ({ readonly kind: "attach"; readonly call: number } & Serving)
  /** What a sidecar finds at an address when it asks again (`pilotlight:sidecar/jwks`). */
  | { readonly kind: "document"; readonly sidecar: RunHandle; readonly url: string; readonly text: string }
  /** A sidecar does what waits for it, and its run settles. */
  | { readonly kind: "stop"; readonly run: RunHandle }
  /** The guest's code goes no further than the next tick, or goes on. Its deadlines go on either way. */
  | { readonly kind: "pause"; readonly run: RunHandle; readonly paused: boolean }
  | { readonly kind: "retire"; readonly slot: number; readonly generation: number }
  /**
   * A share of the node's memory: growth of instances in it past `bytes`, all together, fails in the guest that grows.
   * The same number again sets the bytes anew.
   */
  | {
      readonly kind: "cell";
      readonly cell: number;
      readonly bytes: number;
      /** Its instances run on threads of their own, before everybody else's; said when it is made. */
      readonly reserved?: boolean;
    }
  /** Forgets a cell; instances that are left in it count there until they go. */
  | { readonly kind: "close-cell"; readonly cell: number };

export type EngineEvent =
  | { readonly kind: "ready"; readonly slot: number; readonly generation: number; readonly nanoseconds: number }
  /** A `prepare` that did not work out; the slot is free again. */
  | { readonly kind: "failed"; readonly slot: number; readonly generation: number; readonly outcome: Outcome }
  | { readonly kind: "lease-refused"; readonly slot: number; readonly generation: number; readonly run: RunHandle }
  /** The answer begins. `body` is what has been written so far; `ended` says that this was all of it. */
  | {
      readonly kind: "head";
      readonly run: RunHandle;
      readonly status: number;
      readonly headers: HeaderList;
      readonly body: Uint8Array | undefined;
      readonly ended: boolean;
      readonly trailers: HeaderList | undefined;
      /** Making the instance, when it was made for this run; 0 when it was ready. */
      readonly startNanoseconds: number;
      /** Of a run that is traced: what it has done so far (`NOTE`). */
      readonly notes?: number;
    }
  | { readonly kind: "chunk"; readonly run: RunHandle; readonly bytes: Uint8Array }
  | { readonly kind: "end"; readonly run: RunHandle; readonly trailers: HeaderList | undefined }
  /** The guest has taken `bytes` of the request body; as many more may be sent. */
  | { readonly kind: "need-input"; readonly run: RunHandle; readonly bytes: number }
  /** The result of a call: the JSON value, before `settled`. */
  | { readonly kind: "result"; readonly run: RunHandle; readonly json: string }
  /** The guest called an import that TypeScript answers. */
  | {
      readonly kind: "ask";
      readonly run: RunHandle;
      readonly ask: number;
      readonly interface: string;
      readonly function: string;
      readonly arguments: string;
    }
  /** A guest calls a function that another task serves. Answered by a `run` with a `linked` frame, or by `refuse-call`. */
  | {
      readonly kind: "call";
      /** The caller's; 0 where several runs share its instance. */
      readonly run: RunHandle;
      readonly call: number;
      /** The imported interface. */
      readonly target: string;
      readonly function: string;
      /** What the arguments come to in the engine's memory. */
      readonly bytes: number;
    }
  | {
      readonly kind: "consulted";
      readonly request: number;
      /** The one that they stand beside. */ readonly run: RunHandle;
      readonly answer: Consulted;
    }
  | { readonly kind: "log-batch"; readonly lines: readonly GuestLine[] }
  | {
      readonly kind: "settled";
      readonly run: RunHandle;
      readonly outcome: Outcome;
      readonly usage: Usage;
      /** The guest's export was entered. Of a `linked` frame that was not, the call still waits. */
      readonly began: boolean;
      /** Of a run that is traced: what its results depend on. */
      readonly trace?: Trace;
    }
  | { readonly kind: "retired"; readonly slot: number; readonly generation: number };

/** One line that a guest wrote. */
export interface GuestLine {
  readonly slot: number;
  /** The run it belongs to; undefined while instantiating, or when several runs share the instance. */
  readonly run: RunHandle | undefined;
  /** Of a sidecar: the run that it was called for when it wrote this. */
  readonly on: RunHandle | undefined;
  readonly origin: "stdout" | "stderr" | "wasi:logging";
  /** Only for `wasi:logging`. */
  readonly level: "trace" | "debug" | "info" | "warn" | "error" | "critical" | undefined;
  readonly context: string | undefined;
  readonly text: string;
}

/** What the engine holds at this moment; all of it goes back to the start when nothing runs. */
export interface EngineStats {
  /** Instances that exist, ready or busy. */
  readonly instances: number;
  /** Runs that have begun and not settled. */
  readonly runs: number;
  /** Programs linked. */
  readonly programs: number;
  /** Linear memory and tables of all instances, in bytes. */
  readonly guestBytes: number;
  /** Outbound connections that are open. */
  readonly connections: number;
  /** Asks waiting for an answer. */
  readonly asks: number;
  /** Most instances that can exist at once. */
  readonly capacity: number;
  /** `pooling` or `on-demand`. */
  readonly allocator: string;
}

/** What a cell really holds. */
export interface CellUsage {
  readonly cell: number;
  readonly limitBytes: number;
  /** Memories and tables of its instances that run or ran, and the charge of those that wait for their first run. */
  readonly heldBytes: number;
  readonly instances: number;
  /** Growths that the cell refused, ever. */
  readonly refusals: number;
}

export interface Engine {
  /**
   * Compiles a component, or maps its compiled form from the cache, and describes it. Off the request path.
   * Rejects with an `EngineError` whose message says what the bytes are when they are not a component.
   */
  load(bytes: Uint8Array): Promise<ComponentInfo>;
  /** Says which imports of a loaded component nothing satisfies; empty lists mean that `link` will work. */
  check(digest: string, scripts: readonly string[], calls?: readonly string[]): LinkReport;
  /** Interfaces that a loaded component imports and the embedder's functions answer; left out: there are no such functions. */
  scripted?(digest: string): readonly string[];
  /** Links a loaded component into a program ready to instantiate. Rejects with the complete list of what is missing. */
  link(spec: ProgramSpec): Promise<ProgramId>;
  /** Forgets a program; instances of it live on until they are retired. */
  unlink(program: ProgramId): void;
  send(command: Command): void;
  /**
   * Asks sidecars, in this order. Gives the answers that come at once, by request: where those that are asked are known to be
   * quick and have nothing else to do. The others come by `consulted`, and for `request` 0 only what has failed. Throws a
   * `RangeError` when one of them is too large to cross; then none was asked.
   */
  consult(consultations: readonly Consultation[]): readonly (readonly [request: number, answer: Consulted])[];
  /** Sets the one listener; it is called with a batch, on the JavaScript thread. */
  listen(listener: (events: readonly EngineEvent[]) => void): void;
  stats(): EngineStats;
  cells(): readonly CellUsage[];
  /**
   * What an unused instance of a linked program adds to this process's resident memory, in bytes, as measured over a few
   * that are made and let go. Rejects with an `EngineError` when none can be made.
   */
  footprint(program: ProgramId): Promise<number>;
  /** The arguments of a call that waits in the engine, as a JSON array; undefined: nobody waits for it, or it is too large. */
  callArguments(call: number): string | undefined;
  /** Makes a request as a program may, and reads its answer to the end. Rejects with an `EngineError` where none comes. */
  probe(probe: Probe): Promise<Probed>;
  /** Whether an address is public: one that outbound requests may go to without its being listed. */
  isPublic(address: string): boolean;
  /** Key-value data of tenants, the same that guests see. */
  readonly kv: KeyValue;
  /** Ends every instance and gives everything back. Runs that are still going settle as `platform`. */
  close(): Promise<void>;
}
