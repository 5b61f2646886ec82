/** What is asked of sidecars across the engine port, and how it crosses (`native/src/consult.rs`). */
import type { HeaderList } from "../base/headers.js";
import type { RunHandle } from "./engine.js";
import type { OutcomeKind } from "./outcome.js";

/** The run that a sidecar is called for. */
export interface SidecarCall {
  readonly run: string;
  readonly tenant: string;
  readonly task: string;
  readonly version: string;
}

/** A request without its body. */
export interface RequestHead {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly pathWithQuery: string;
  readonly headers: HeaderList;
  readonly peer: string;
}

export interface SidecarLine {
  readonly origin: string;
  readonly level: string | null;
  readonly text: string;
}

/** What all sidecars of a consultation are asked, one after the other. */
export type Question =
  /** Guards; the first refusal ends it. */
  | { readonly kind: "check"; readonly head: RequestHead }
  /** Transforms, each of what the one before has made of it. */
  | { readonly kind: "request"; readonly head: RequestHead; readonly body: Uint8Array }
  /** Those that respond, each likewise. */
  | { readonly kind: "head"; readonly status: number; readonly headers: HeaderList }
  | { readonly kind: "lines"; readonly lines: readonly SidecarLine[] }
  | { readonly kind: "ended"; readonly ending: OutcomeKind | "recalled"; readonly status: number | undefined; readonly nanoseconds: number }
  | { readonly kind: "pause" }
  | { readonly kind: "resume" };

export interface Identity {
  readonly subject: string;
  readonly claims: readonly (readonly [string, string])[];
}

/** What came of it. What is absent has not come up. */
export interface Consulted {
  /** Nanoseconds that each of those that were asked took, waiting for it included. */
  readonly times: readonly number[];
  /** By their place in the order, with the reason; true where the sidecar itself has ended. */
  readonly failed?: readonly (readonly [place: number, reason: string, gone: boolean])[];
  /** The first that a guard found. */
  readonly identity?: Identity;
  readonly refusal?: { readonly status: number; readonly headers: HeaderList; readonly reason: string };
  /** The one that ended it: by its refusal, or as it failed and is not to be passed over. */
  readonly stopped?: number;
  /** What transforms or those that respond have made of it, where one has had its say. */
  readonly head?: Partial<RequestHead> & { readonly status?: number; /** In base64. */ readonly body?: string };
}

/** Asks sidecars, in their order. */
export interface Consultation {
  /** 0: nobody waits; `consulted` comes only for what has failed. */
  readonly request: number;
  /** The run that they stand beside. */
  readonly run: RunHandle;
  readonly call: SidecarCall;
  /** Their own runs. */
  readonly sidecars: readonly RunHandle[];
  /** A bit for each whose failure is passed over. */
  readonly open: number;
  /** Milliseconds that each may take, its wait in the line included. */
  readonly limitMs: number;
  readonly question: Question;
}

const KINDS = ["check", "request", "head", "lines", "ended", "pause", "resume"] as const;

/** Of one consultation, at the most. */
const MOST_NUMBERS = 64;

function tooLarge(most: number): RangeError {
  return new RangeError(`a question of this size cannot cross to a sidecar; at most ${most} bytes can`);
}

/** Writes consultations into the shared memory. Throws a `RangeError` when they do not fit. */
export class ConsultWriter {
  readonly #numbers: Float64Array;
  readonly #bytes: Buffer;
  #n = 0;
  #b = 0;

  constructor(numbers: Float64Array, bytes: Buffer) {
    this.#numbers = numbers;
    this.#bytes = bytes;
  }

  /** Gives the bodies, of which there may be one. */
  write(consultations: readonly Consultation[]): readonly Uint8Array[] {
    this.#n = this.#b = 0;
    const bodies: Uint8Array[] = [];
    for (const consultation of consultations) {
      if (this.#n + MOST_NUMBERS > this.#numbers.length) throw tooLarge(this.#bytes.length);
      this.#one(consultation);
      if (consultation.question.kind === "request") bodies.push(consultation.question.body);
    }
    if (bodies.length > 0 && consultations.length > 1) throw new RangeError("a question with a body is asked alone");
    return bodies;
  }

  #one({ request, run, call, sidecars, open, limitMs, question }: Consultation): void {
    for (const number of [request, run, limitMs, open, KINDS.indexOf(question.kind)]) this.#number(number);
    const [first, second] = ownNumbers(question);
    this.#number(first);
    this.#number(second);
    this.#number(sidecars.length);
    for (const sidecar of sidecars) this.#number(sidecar);
    this.#text(call.run);
    this.#text(call.tenant);
    this.#text(call.task);
    this.#text(call.version);
    switch (question.kind) {
      case "check":
      case "request":
        return this.#head(question.head);
      case "head":
        return this.#text(question.headers.join("\n"));
      case "lines":
        return this.#text(JSON.stringify(question.lines), "utf8");
      case "ended":
        return this.#text(question.ending);
      default:
    }
  }

  #head({ method, scheme, authority, pathWithQuery, peer, headers }: RequestHead): void {
    this.#text(method);
    this.#text(scheme);
    this.#text(authority);
    this.#text(pathWithQuery);
    this.#text(peer);
    this.#text(headers.join("\n"));
  }

  #number(number: number): void {
    this.#numbers[this.#n++] = number;
  }

  #text(text: string, encoding: "latin1" | "utf8" = "latin1"): void {
    const room = this.#bytes.length - this.#b;
    const length = encoding === "latin1" ? text.length : Buffer.byteLength(text);
    if (length > room) throw tooLarge(this.#bytes.length);
    this.#bytes.write(text, this.#b, encoding);
    this.#b += length;
    this.#numbers[this.#n++] = length;
  }
}

function ownNumbers(question: Question): readonly [number, number] {
  if (question.kind === "head") return [question.status, 0];
  if (question.kind === "ended") return [question.status ?? -1, question.nanoseconds];
  return [0, 0];
}
