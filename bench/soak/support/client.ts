/** The clients of a soak: one that behaves, one that says anything, one that leaves. */
import { Agent, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";

/** Longer than any limit of the tasks: an answer that takes so long is a hung request. */
const PATIENCE_MS = 90_000;
/** Idle connections are given up well before the server does, at 5 s: a request that crosses with its close is nobody's fault. */
const IDLE_MS = 2000;

export interface Asked {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** Sends the body in chunks of about this size, without a length. */
  readonly chunk?: number;
  /** Sent after a chunked body. */
  readonly trailers?: Readonly<Record<string, string>>;
}

export interface Answer {
  /** 0 when there was none. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly trailers: NodeJS.Dict<string>;
  readonly body: Buffer;
  /** `whole`, or how it broke off. */
  readonly ending: string;
}

/** What a connection was used for before, which may explain why it broke. */
const lastUse = new WeakMap<Socket, { readonly what: string; readonly at: number }>();

/** Requests over connections that are kept and used again. */
export class Client {
  readonly #agent: Agent;

  constructor(connections: number) {
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections, timeout: IDLE_MS });
  }

  ask(port: number, asked: Asked): Promise<Answer> {
    return new Promise((resolve) => {
      const { method = "GET", path, headers = {}, body, chunk } = asked;
      const framing =
        body === undefined ? {} : chunk === undefined ? { "Content-Length": String(body.length) } : { "Transfer-Encoding": "chunked" };
      const call = httpRequest({
        host: "127.0.0.1",
        port,
        method,
        path,
        agent: this.#agent,
        timeout: PATIENCE_MS,
        headers: { ...headers, ...framing },
      });
      let answer: IncomingMessage | undefined;
      const pieces: Buffer[] = [];
      let before = "";
      call.on("socket", (socket) => {
        const last = lastUse.get(socket);
        before =
          last === undefined
            ? ", on a new connection"
            : `, on a connection that ${last.what} used ${Math.round(performance.now() - last.at)} ms before`;
        lastUse.set(socket, { what: `${method} ${path}`, at: performance.now() });
      });
      const settle = (ending: string): void =>
        resolve({
          status: answer?.statusCode ?? 0,
          headers: answer?.headers ?? {},
          trailers: answer?.trailers ?? {},
          body: Buffer.concat(pieces),
          ending,
        });
      call.on("timeout", () => call.destroy(new Error(`nothing came for ${PATIENCE_MS / 1000} s`)));
      // An answer may come, and the connection close, before all of the body is out: the answer counts.
      call.on("error", (error: NodeJS.ErrnoException) => answer ?? settle((error.code ?? error.message) + before));
      call.on("response", (response) => {
        answer = response;
        response.on("data", (piece: Buffer) => pieces.push(piece));
        const { socket } = response;
        response.on("end", () => {
          lastUse.set(socket, { what: `${method} ${path} (${response.statusCode})`, at: performance.now() });
          settle("whole");
        });
        response.on("error", (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
      });
      if (asked.trailers !== undefined) call.addTrailers(asked.trailers);
      if (body !== undefined && chunk !== undefined)
        for (let at = 0; at < body.length; at += chunk) call.write(body.subarray(at, at + chunk));
      call.end(chunk === undefined ? body : undefined);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Sends bytes on a connection of their own and gives everything that came back until the other side closed, as latin1. */
export function sayAnything(port: number, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    let text = "";
    socket.setEncoding("latin1").setTimeout(PATIENCE_MS, () => socket.destroy());
    socket.on("data", (piece) => (text += String(piece)));
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
    socket.write(bytes);
  });
}

/** Sends bytes, waits for `enough` bytes of an answer and then for `ms`, and is gone without a word. Gives what came, as latin1. */
export function leave(port: number, bytes: string | Buffer, enough: number, ms: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    let text = "";
    let timer: NodeJS.Timeout | undefined;
    const go = (): void => void (timer ??= setTimeout(() => socket.destroy(), ms));
    socket.setEncoding("latin1").setTimeout(PATIENCE_MS, () => socket.destroy());
    socket.on("data", (piece) => {
      text += String(piece);
      if (text.length >= enough) {
        // Nothing more is read, as by a client that has lost interest.
        socket.pause();
        go();
      }
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
    socket.write(bytes);
    if (enough === 0) go();
  });
}
