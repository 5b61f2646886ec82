/**
 * The load of the rollout soak: first as fast as answers come, then at a rate that does not change.
 *
 * Raw sockets in this process, one request on its way on each, so that most of a small machine is the node's. Each
 * request names a user, in turn. Times are `performance.now()`'s, so that they can be held against those of changes.
 */
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { numberIn } from "../support/numbered.js";

/** A request and what became of it. */
export interface Sample {
  readonly sent: number;
  readonly ended: number;
  readonly user: number;
  /** The number in an answer that was whole and right; undefined with anything else. */
  readonly number: number | undefined;
  /** What came instead. */
  readonly failure: string | undefined;
}

interface LoadTarget {
  readonly url: URL;
  readonly connections: number;
  readonly users: number;
}

/** The header that names the user. */
export const USER_HEADER = "X-User";
/** An answer that takes so long will not come. */
const PATIENCE_MS = 20_000;
/** A request that was put off is sent again after this: sooner than the node says, so that it is pressed. */
const AGAIN_MS = 50;
const HEAD_END = Buffer.from("\r\n\r\n");
const LAST_CHUNK = Buffer.from("\r\n0\r\n\r\n");

interface Connection {
  socket: Socket | undefined;
  received: Buffer;
  /** Of the request on its way. */
  sent: number;
  /** Until when it is asked again where the node has too much to do. */
  patience: number;
  user: number;
  busy: boolean;
}

export class Load {
  readonly samples: Sample[] = [];
  readonly #target: LoadTarget;
  readonly #requests: readonly Buffer[];
  /** The one that has been idle longest first, so that none is idle long enough to be closed by the other side. */
  readonly #idle: Connection[] = [];
  readonly #open = new Set<Connection>();
  #next: () => boolean = () => false;
  #users = 0;

  constructor(target: LoadTarget) {
    const { url, connections, users } = target;
    this.#target = target;
    this.#requests = Array.from({ length: users }, (_, user) =>
      Buffer.from(`GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\n${USER_HEADER}: user-${user}\r\n\r\n`),
    );
    for (let i = 0; i < connections; i++)
      this.#idle.push({ socket: undefined, received: Buffer.alloc(0), sent: 0, patience: 0, user: 0, busy: false });
  }

  /** On every connection the next request as soon as there is an answer. Resolves with the answers a second. */
  async closed(seconds: number): Promise<number> {
    const first = this.samples.length;
    const begin = performance.now();
    const end = begin + seconds * 1000;
    this.#next = () => performance.now() < end;
    this.#pump();
    await sleep(seconds * 1000);
    await this.#drained();
    return (this.samples.length - first) / ((performance.now() - begin) / 1000);
  }

  /** `rate` requests a second for some seconds, whatever comes back; one that finds every connection busy goes as soon as one is free. */
  async constant(rate: number, seconds: number): Promise<void> {
    const begin = performance.now();
    const all = Math.round(rate * seconds);
    let issued = 0;
    this.#next = () => {
      const due = Math.min(all, ((performance.now() - begin) / 1000) * rate);
      if (issued >= due) return false;
      issued++;
      return true;
    };
    for (;;) {
      this.#pump();
      if (issued >= all || performance.now() - begin > 2 * seconds * 1000) break;
      await sleep(1);
    }
    await this.#drained();
  }

  close(): void {
    for (const { socket } of this.#idle) socket?.destroy();
  }

  #pump(): void {
    while (this.#idle.length > 0 && this.#next()) this.#ask(this.#idle.shift() as Connection);
  }

  /** Waits for answers; those that do not come are failures. */
  async #drained(): Promise<void> {
    this.#next = () => false;
    const deadline = performance.now() + PATIENCE_MS;
    while (this.#idle.length < this.#target.connections && performance.now() < deadline) await sleep(5);
    for (const connection of this.#open) this.#end(connection, undefined, `no answer for ${PATIENCE_MS / 1000} s`);
  }

  #ask(connection: Connection): void {
    connection.user = this.#users++ % this.#target.users;
    connection.received = Buffer.alloc(0);
    connection.busy = true;
    this.#open.add(connection);
    const socket = (connection.socket ??= this.#connect(connection));
    connection.sent = performance.now();
    connection.patience = connection.sent + PATIENCE_MS / 2;
    socket.write(this.#requests[connection.user] as Buffer);
  }

  #connect(connection: Connection): Socket {
    const { hostname, port } = this.#target.url;
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    let error = "the connection was closed without an answer";
    socket.on("data", (piece: Buffer) => {
      if (connection.socket !== socket) return;
      connection.received = connection.received.length === 0 ? piece : Buffer.concat([connection.received, piece]);
      if (isWhole(connection.received)) this.#answered(connection);
    });
    socket.on("error", (failed: NodeJS.ErrnoException) => (error = failed.code ?? failed.message));
    socket.on("close", () => {
      // Given up before: the connection has another socket by now, or none.
      if (connection.socket !== socket) return;
      connection.socket = undefined;
      if (connection.busy) this.#end(connection, undefined, error);
    });
    return socket;
  }

  #answered(connection: Connection): void {
    if (!connection.busy) return; // more than was asked for: seen as a wrong answer to the next request
    const text = connection.received.toString("latin1");
    // A deploy compiles beside the requests: a node that has too much to do for that moment says so, and is asked again.
    if (text.startsWith("HTTP/1.1 503 ") && text.includes("capacity/overloaded") && performance.now() < connection.patience)
      return this.#again(connection);
    const number = text.startsWith("HTTP/1.1 200 ") ? numberIn(text) : undefined;
    this.#end(connection, number, number === undefined ? `it was answered ${JSON.stringify(text.slice(0, 600))}` : undefined);
  }

  /** The same request once more, a little later. */
  #again(connection: Connection): void {
    connection.received = Buffer.alloc(0);
    setTimeout(() => {
      if (!connection.busy || connection.socket === undefined) return;
      connection.sent = performance.now();
      connection.socket.write(this.#requests[connection.user] as Buffer);
    }, AGAIN_MS);
  }

  #end(connection: Connection, number: number | undefined, failure: string | undefined): void {
    connection.busy = false;
    this.#open.delete(connection);
    this.samples.push({ sent: connection.sent, ended: performance.now(), user: connection.user, number, failure });
    if (failure !== undefined) {
      connection.socket?.destroy();
      connection.socket = undefined;
    }
    this.#idle.push(connection);
    this.#pump();
  }
}

/** True when all of the answer is there: by its length, or to its last chunk. */
function isWhole(bytes: Buffer): boolean {
  const head = bytes.indexOf(HEAD_END);
  if (head < 0) return false;
  const length = /\r\ncontent-length: *(\d+)/i.exec(bytes.toString("latin1", 0, head))?.[1];
  if (length !== undefined) return bytes.length >= head + HEAD_END.length + Number(length);
  return bytes.indexOf(LAST_CHUNK, head + 2) >= 0;
}
