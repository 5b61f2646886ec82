/**
 * Streams of requests from one process: at a rate whatever comes back, so many at once, or one after the other.
 *
 * Raw sockets, one request on its way on each, opened ahead. The time of a request counts from when it was due, not from
 * when it could be sent: a client that falls behind makes its own figures worse, never better. An answer is the stream's
 * own text with 200, an honest refusal, or wrong.
 */
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "../soak/support/random.js";
import { readAnswer, type Answer } from "./answer.js";

/** When requests are due. Milliseconds, and requests a second. */
export type Pace =
  /** Independent arrivals: gaps as in a Poisson process. */
  | { readonly kind: "open"; readonly rate: number }
  /** The next as soon as there is an answer, on so many connections; after a refusal, `pause` later. */
  | { readonly kind: "closed"; readonly atOnce: number; readonly pause: number }
  /** One at a time, the next some time after the last answer: exponential, `gap` in the mean. */
  | { readonly kind: "single"; readonly gap: number };

export interface Stream {
  readonly name: string;
  readonly url: string;
  /** The host that is asked for, where it is not the URL's. */
  readonly host?: string;
  /** What an answer of 200 says. */
  readonly expected: string;
  readonly pace: Pace;
  /** At most so many at once; what is due beyond them waits for one, and its time counts. */
  readonly connections: number;
  readonly seed: number;
}

/** What became of a stream. Times in milliseconds. */
export interface Streamed {
  readonly name: string;
  readonly requests: number;
  /** Until the last answer was there. */
  readonly seconds: number;
  /** From when a request was due until its whole answer was there: of those served, and of those refused. */
  readonly served: readonly number[];
  readonly refused: readonly number[];
  /** Refusals by code. */
  readonly codes: Readonly<Record<string, number>>;
  /** How long after it was due each request was sent: the client's own part in the times above. */
  readonly late: readonly number[];
  /** Neither of both, and the first few of them in words. */
  readonly wrong: number;
  readonly shown: readonly string[];
}

/** An answer that takes so long will not come. */
const PATIENCE_MS = 20_000;
/** Wrong answers that are shown. */
const SHOWN = 5;
/** Connections that are opened at once. */
const OPENING = 32;
/** How long the other side may take to accept each, in milliseconds. */
const ACCEPT_MS = 2;

/** When the arrivals of a Poisson process of `rate` a second are within some seconds. Milliseconds from its beginning. */
export function arrivals(rate: number, seconds: number, random: Random): number[] {
  const times: number[] = [];
  for (let at = gapOf(1000 / rate, random); at < seconds * 1000; at += gapOf(1000 / rate, random)) times.push(at);
  return times;
}

function gapOf(mean: number, random: Random): number {
  return -mean * Math.log((random.below(2 ** 32) + 1) / 2 ** 32);
}

/** Runs all streams side by side for some seconds and waits for their last answers. */
export async function drive(streams: readonly Stream[], seconds: number): Promise<Streamed[]> {
  const drivers = streams.map((stream) => new Driver(stream));
  for (const driver of drivers) await driver.open();
  // The other side is still accepting them when this one has them.
  await sleep(ACCEPT_MS * streams.reduce((sum, { connections }) => sum + connections, 0));
  const begin = performance.now();
  return Promise.all(drivers.map((driver) => driver.run(begin, seconds)));
}

interface Connection {
  socket: Socket | undefined;
  received: Buffer;
  /** Of the request on its way. */
  due: number;
  busy: boolean;
}

class Driver {
  readonly #stream: Stream;
  readonly #url: URL;
  readonly #request: Buffer;
  readonly #random: Random;
  /** The one that has been idle longest first, so that none is idle long enough to be closed by the other side. */
  readonly #idle: Connection[] = [];
  readonly #all: Connection[];
  /** Requests that were due and found no connection. */
  readonly #behind: number[] = [];
  #due: (connection: Connection, answer: Answer) => void = () => {};
  #requests = 0;
  readonly #served: number[] = [];
  readonly #refused: number[] = [];
  readonly #codes: Record<string, number> = {};
  readonly #late: number[] = [];
  readonly #shown: string[] = [];
  #wrong = 0;

  constructor(stream: Stream) {
    const { url, connections, seed } = stream;
    this.#stream = stream;
    this.#url = new URL(url);
    const host = stream.host ?? this.#url.host;
    this.#random = new Random(seed);
    this.#request = Buffer.from(`GET ${this.#url.pathname}${this.#url.search} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    this.#all = Array.from({ length: connections }, () => ({ socket: undefined, received: Buffer.alloc(0), due: 0, busy: false }));
    this.#idle.push(...this.#all);
  }

  /** Opens the connections, some at a time: what they cost is not in the times of requests. */
  async open(): Promise<void> {
    for (let from = 0; from < this.#all.length; from += OPENING) {
      const some = this.#all.slice(from, from + OPENING).map((connection) => (connection.socket = this.#connect(connection)));
      await Promise.all(some.map((socket) => new Promise<void>((resolve) => socket.once("connect", resolve).once("close", resolve))));
    }
  }

  async run(begin: number, seconds: number): Promise<Streamed> {
    const { pace, name } = this.#stream;
    const end = begin + seconds * 1000;
    if (pace.kind === "open") await this.#open(begin, arrivals(pace.rate, seconds, this.#random));
    else if (pace.kind === "closed") await this.#closed(end, pace.atOnce, pace.pause);
    else await this.#single(end, pace.gap);
    await this.#drained();
    const lasted = Math.max(seconds, (performance.now() - begin) / 1000);
    for (const { socket } of this.#all) socket?.destroy();
    return {
      name,
      requests: this.#requests,
      seconds: lasted,
      served: this.#served,
      refused: this.#refused,
      codes: this.#codes,
      late: this.#late,
      wrong: this.#wrong,
      shown: this.#shown,
    };
  }

  async #open(begin: number, due: readonly number[]): Promise<void> {
    for (let next = 0; next < due.length;) {
      const now = performance.now() - begin;
      while (next < due.length && (due[next] as number) <= now) this.#ask(begin + (due[next++] as number));
      if (next < due.length) await sleep(Math.ceil((due[next] as number) - now));
    }
  }

  async #closed(end: number, atOnce: number, pause: number): Promise<void> {
    this.#due = (_connection, answer) => {
      if (performance.now() >= end) return;
      if (answer.kind === "served") this.#ask(performance.now());
      else setTimeout(() => performance.now() < end && this.#ask(performance.now()), pause);
    };
    for (let i = 0; i < atOnce; i++) this.#ask(performance.now());
    await sleep(end - performance.now());
  }

  async #single(end: number, gap: number): Promise<void> {
    for (;;) {
      const due = performance.now() + gapOf(gap, this.#random);
      if (due >= end) return;
      // A timer drops what is less than a millisecond, and nothing is sent before it is due.
      await sleep(Math.ceil(due - performance.now()));
      const answered = new Promise<void>((resolve) => (this.#due = () => resolve()));
      this.#ask(due);
      await answered;
    }
  }

  /** Waits for answers; those that do not come are wrong. */
  async #drained(): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (this.#idle.length < this.#all.length && performance.now() < deadline) await sleep(5);
    this.#due = () => {};
    for (const connection of this.#all) if (connection.busy) this.#end(connection, wrong(`no answer for ${PATIENCE_MS / 1000} s`));
    for (const due of this.#behind.splice(0)) this.#note(due, wrong("no connection was free for it"));
  }

  /** Sends a request that was due then, or keeps it until a connection is free. */
  #ask(due: number): void {
    this.#requests++;
    const connection = this.#idle.shift();
    if (connection === undefined) this.#behind.push(due);
    else this.#send(connection, due);
  }

  #send(connection: Connection, due: number): void {
    connection.due = due;
    connection.received = Buffer.alloc(0);
    connection.busy = true;
    this.#late.push(performance.now() - due);
    (connection.socket ??= this.#connect(connection)).write(this.#request);
  }

  #connect(connection: Connection): Socket {
    const socket = connect({ host: this.#url.hostname, port: Number(this.#url.port), noDelay: true });
    let error = "the connection was closed without a whole answer";
    socket.on("data", (piece: Buffer) => {
      if (!connection.busy || connection.socket !== socket) return;
      connection.received = connection.received.length === 0 ? piece : Buffer.concat([connection.received, piece]);
      const answer = readAnswer(connection.received, this.#stream.expected);
      if (answer !== undefined) this.#end(connection, answer);
    });
    socket.on("error", (failed: NodeJS.ErrnoException) => (error = failed.code ?? failed.message));
    socket.on("close", () => {
      // Given up before: the connection has another socket by now, or none.
      if (connection.socket !== socket) return;
      connection.socket = undefined;
      if (connection.busy) this.#end(connection, wrong(error));
    });
    return socket;
  }

  #end(connection: Connection, answer: Answer): void {
    connection.busy = false;
    this.#note(connection.due, answer);
    if (answer.kind === "wrong" || answer.closes) {
      connection.socket?.destroy();
      connection.socket = undefined;
    }
    const due = this.#behind.shift();
    if (due === undefined) this.#idle.push(connection);
    else this.#send(connection, due);
    this.#due(connection, answer);
  }

  #note(due: number, answer: Answer): void {
    const took = Math.round((performance.now() - due) * 1000) / 1000;
    if (answer.kind === "served") this.#served.push(took);
    else if (answer.kind === "refused") {
      this.#refused.push(took);
      this.#codes[answer.code] = (this.#codes[answer.code] ?? 0) + 1;
    } else {
      this.#wrong++;
      if (this.#shown.length < SHOWN) this.#shown.push(`${answer.what} (after ${took} ms)`);
    }
  }
}

function wrong(what: string): Answer {
  return { kind: "wrong", what };
}
