/** What a logger wrote. */
import { createLogger, type LogLevel } from "../../src/observe/log.js";

const LEVELS: Record<number, string> = { 10: "trace", 20: "debug", 30: "info", 40: "warn", 50: "error", 60: "fatal" };

/** A logger, and every line that it wrote: exactly one write for each. */
export class Captured {
  readonly writes: string[] = [];
  readonly log;
  flushes = 0;

  constructor(level: LogLevel = "trace") {
    const destination = { write: (text: string) => void this.writes.push(text), flushSync: () => void this.flushes++ };
    this.log = createLogger(level, destination);
  }

  /** The lines as objects, the level by its name, without the time. */
  lines(): Record<string, unknown>[] {
    return this.writes.map((text) => {
      if (text.indexOf("\n") !== text.length - 1) throw new Error(`not one line: ${JSON.stringify(text)}`);
      const { time, level, ...rest } = JSON.parse(text) as { time: unknown; level: number };
      if (typeof time !== "number") throw new Error(`without a time: ${text}`);
      return { level: LEVELS[level], ...rest };
    });
  }
}
