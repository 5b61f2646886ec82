/** Log lines of a node, kept for the test: given to the runtime as its destination, or read from a program's stdout. */
import { until } from "./until.js";

export type LogLine = Readonly<Record<string, unknown>>;

export class LogCapture {
  readonly lines: LogLine[] = [];
  #rest = "";

  /** Takes text as it comes; lines may be cut anywhere. */
  write(text: string): void {
    const parts = (this.#rest + text).split("\n");
    this.#rest = parts.pop() as string;
    for (const part of parts) if (part !== "") this.lines.push(JSON.parse(part) as LogLine);
  }

  /** The lines that have all of these fields. */
  all(fields: LogLine): LogLine[] {
    return this.lines.filter((line) => Object.entries(fields).every(([name, value]) => line[name] === value));
  }

  /** The first line with these fields, as soon as there is one. */
  first(fields: LogLine): Promise<LogLine> {
    return until(`a line with ${JSON.stringify(fields)} is logged`, () => this.all(fields)[0]);
  }

  /** The line of a run that has settled. */
  run(id: string | null): Promise<LogLine> {
    return this.first({ msg: "run", run: id });
  }

  /** What a run's guest wrote, line by line. */
  guest(id: string | null): string[] {
    return this.all({ msg: "guest", run: id }).map(({ text }) => String(text));
  }
}
