/** How commands print: tables and JSON on stdout, progress on stderr where somebody watches. */
import type { Sink, Terminal } from "./terminal.js";

export { sizeText as size } from "../base/units.js";

/** A JSON document of its own, indented. */
export function printJson(terminal: Terminal, value: unknown): void {
  terminal.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

export function printLine(terminal: Terminal, text: string): void {
  terminal.stdout.write(`${plain(text)}\n`);
}

/** Something for whoever watches that is not the answer. */
export function remark(terminal: Terminal, text: string): void {
  terminal.stderr.write(`${plain(text)}\n`);
}

/** Rows under their headings, as wide as need be. Without rows `empty` is said instead, to whoever watches. */
export function printTable(terminal: Terminal, headings: readonly string[], rows: readonly (readonly string[])[], empty: string): void {
  if (rows.length === 0) return remark(terminal, empty);
  const cells = [headings, ...rows].map((row) => row.map((cell) => plain(cell)));
  const widths = headings.map((_heading, column) => Math.max(...cells.map((row) => (row[column] ?? "").length)));
  const lines = cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] as number))
      .join("  ")
      .trimEnd(),
  );
  terminal.stdout.write(`${[dim(terminal, terminal.stdout, lines[0] as string), ...lines.slice(1)].join("\n")}\n`);
}

/** `name  value` lines, the names as wide as the widest. */
export function printFields(terminal: Terminal, fields: readonly (readonly [string, string])[]): void {
  const width = Math.max(...fields.map(([name]) => name.length));
  for (const [name, value] of fields) {
    terminal.stdout.write(`${dim(terminal, terminal.stdout, name.padEnd(width))}  ${plain(value)}\n`);
  }
}

/**
 * Text of others without what steers a terminal: a name, a note or a log line must not move the cursor or set the
 * clipboard of whoever reads it. Line ends and tabs stay.
 */
export function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this is about
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

export function dim(terminal: Terminal, sink: Sink, text: string): string {
  return colours(terminal, sink) ? `\u001B[2m${text}\u001B[22m` : text;
}

export function bold(terminal: Terminal, sink: Sink, text: string): string {
  return colours(terminal, sink) ? `\u001B[1m${text}\u001B[22m` : text;
}

/** `NO_COLOR` (no-color.org) wins over a terminal. */
function colours({ env }: Terminal, sink: Sink): boolean {
  return sink.isTTY && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
}

const TICK_MS = 200;

/** Says `text` and the seconds on stderr while `work` goes on, on a terminal only, and takes it away after. */
export async function progress<T>(terminal: Terminal, text: string, work: () => Promise<T>): Promise<T> {
  if (!terminal.stderr.isTTY) return await work();
  const began = performance.now();
  const draw = (): void => terminal.stderr.write(`\r${plain(text)} … ${((performance.now() - began) / 1000).toFixed(1)} s`);
  draw();
  const timer = setInterval(draw, TICK_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    terminal.stderr.write("\r\u001B[K");
  }
}
