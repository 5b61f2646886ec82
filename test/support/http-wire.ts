/**
 * A client that says exactly what a test wants said: one TCP connection, bytes in, bytes out as latin1 text.
 */
import { connect, type Socket } from "node:net";

export class Wire implements AsyncDisposable {
  readonly socket: Socket;
  /** Everything received so far. */
  text = "";
  /** How the connection ended: cleanly (the server's FIN), or by an error such as ECONNRESET. */
  readonly closed: Promise<"ended" | (string & {})>;
  #wake: (() => void)[] = [];
  #over = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      this.text += text;
      this.#changed();
    });
    let error = "ended";
    socket.on("error", (e: NodeJS.ErrnoException) => (error = e.code ?? e.message));
    this.closed = new Promise((resolve) =>
      socket.on("close", () => {
        this.#over = true;
        this.#changed();
        resolve(error);
      }),
    );
  }

  static async open(port: number): Promise<Wire> {
    const socket = connect({ port, host: "127.0.0.1" });
    await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return new Wire(socket);
  }

  /** Sends lines, each ended by CRLF; a whole head ends with two empty strings. */
  send(...lines: string[]): void {
    this.raw(lines.join("\r\n"));
  }

  raw(bytes: string): void {
    this.socket.write(bytes, "latin1");
  }

  /** Waits for `pattern` in what comes; rejects when the connection closes without it. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.text);
      if (match !== null) return match;
      if (this.#over) throw new Error(`closed without ${pattern}; got ${JSON.stringify(this.text)}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  /** Everything until the connection closes, without `Date`. */
  async all(): Promise<string> {
    await this.closed;
    return this.text.replace(/Date: .*\r\n/g, "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    await this.closed;
  }

  #changed(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const resolve of wake) resolve();
  }
}

/** Stands for a run id, which no two answers share, in `closingProblem` and `withoutRunIds`. */
const RUN = "0".repeat(32);

/** What came, with every run id replaced, so that whole answers can be compared. */
export function withoutRunIds(text: string): string {
  return text.replace(/\b[0-9a-f]{32}\b/g, RUN);
}

/** A whole problem answer on the wire that closes the connection, for the given status line and detail. */
export function closingProblem(status: string, code: string, title: string, detail: string): string {
  const number = Number(status.slice(0, 3));
  const body = JSON.stringify({ type: `https://pilotlight.dev/problems/${code}`, title, status: number, detail, run: RUN });
  return [
    `HTTP/1.1 ${status}`,
    `Pilotlight-Run: ${RUN}`,
    "Content-Type: application/problem+json",
    `Content-Length: ${body.length}`,
    "Cache-Control: no-store",
    "Connection: close",
    "",
    body,
  ].join("\r\n");
}
