/**
 * Lines to a file descriptor, many in one write.
 *
 * A node writes a line for every run, so a line costs a string append here; pino's own destination measures
 * each one on its way in. At most one write is under way, in order; what comes meanwhile waits in memory, and
 * when the reader does not keep up at all, lines are dropped and counted rather than held without end.
 */
import { write, writeSync } from "node:fs";

/** A batch is written once it is this long, and at the latest after `LATEST_MS`. */
const BATCH = 16 * 1024;
const LATEST_MS = 100;
/** Waiting text beyond this is dropped. */
const MOST_WAITING = 64 * 1024 * 1024;

export class LineSink {
  readonly #fd: number;
  #waiting = "";
  #timer: NodeJS.Timeout | undefined;
  #writing = false;
  #dropped = 0;
  #whenEmpty: (() => void)[] = [];

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Takes a whole line, its end included. */
  write(line: string): void {
    if (this.#waiting.length > MOST_WAITING) {
      this.#dropped++;
      return;
    }
    this.#waiting += line;
    if (this.#waiting.length >= BATCH) this.#start();
    else this.#timer ??= setTimeout(() => this.#start(), LATEST_MS).unref();
  }

  /** Calls back when everything that was taken is written. */
  flush(done: () => void = () => {}): void {
    this.#whenEmpty.push(done);
    this.#start();
  }

  /** Writes what is left before the process ends. */
  flushSync(): void {
    const text = this.#take();
    if (text !== "") writeSync(this.#fd, text);
  }

  #take(): string {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const notice =
      this.#dropped === 0
        ? ""
        : `${JSON.stringify({ level: 40, time: Date.now(), dropped: this.#dropped, msg: "log lines were dropped: nobody reads them fast enough" })}\n`;
    const text = this.#waiting + notice;
    this.#waiting = "";
    this.#dropped = 0;
    return text;
  }

  #start(): void {
    if (this.#writing) return;
    const text = this.#take();
    if (text === "") {
      for (const done of this.#whenEmpty.splice(0)) done();
      return;
    }
    this.#writing = true;
    this.#writeAll(Buffer.from(text), 0);
  }

  #writeAll(bytes: Buffer, from: number): void {
    write(this.#fd, bytes, from, bytes.length - from, (error, written) => {
      if (error?.code === "EAGAIN") {
        // A pipe that is full: its reader gets time.
        setTimeout(() => this.#writeAll(bytes, from), 5);
        return;
      }
      if (error === null && from + written < bytes.length) {
        this.#writeAll(bytes, from + written);
        return;
      }
      // Nobody can be told that the log cannot be written; the node goes on.
      this.#writing = false;
      if (this.#waiting.length >= BATCH || this.#whenEmpty.length > 0) this.#start();
      else if (this.#waiting !== "") this.#timer ??= setTimeout(() => this.#start(), LATEST_MS).unref();
    });
  }
}
