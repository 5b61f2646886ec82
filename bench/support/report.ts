/** What a bench found: printed as tables and lines, and written as JSON where `--json` says. */
import { writeFileSync } from "node:fs";
import { machineLine, type Machine } from "./machine.js";

export type Row = Readonly<Record<string, string | number>>;

export interface Report {
  readonly question: string;
  readonly machine: Machine;
  readonly rows: readonly Row[];
  readonly ratios: Readonly<Record<string, number>>;
  readonly figures: Readonly<Record<string, number>>;
}

/** Prints the report, and writes it to `json` if that is a file name. */
export function publish(report: Report, json: string | undefined): void {
  process.stdout.write(render(report));
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, undefined, 2)}\n`);
}

/** The report as text: what was asked, on what, a table of the rows, then ratios and figures by name. */
export function render({ question, machine, rows, ratios, figures }: Report): string {
  const blocks = [`${question}\n${machineLine(machine)}`, table(rows)];
  for (const [title, values] of [
    ["ratios", ratios],
    ["figures", figures],
  ] as const) {
    const entries = Object.entries(values).map(([name, value]) => ({ [title]: name, value: round(value) }));
    if (entries.length > 0) blocks.push(table(entries));
  }
  return `\n${blocks.join("\n\n")}\n`;
}

/** Columns in the order in which rows name them, numbers to the right. */
export function table(rows: readonly Row[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cells = rows.map((row) => columns.map((column) => show(row[column])));
  const widths = columns.map((column, i) => Math.max(column.length, ...cells.map((line) => (line[i] as string).length)));
  const isNumeric = columns.map((column) => rows.every((row) => row[column] === undefined || typeof row[column] === "number"));
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, i) => (isNumeric[i] === true ? text.padStart(widths[i] as number) : text.padEnd(widths[i] as number)))
      .join("  ")
      .trimEnd();
  return [line(columns), widths.map((width) => "-".repeat(width)).join("  "), ...cells.map(line)].join("\n");
}

/** Four figures are more than any bench is good for. */
export function round(value: number): number {
  return Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(4));
}

function show(value: string | number | undefined): string {
  return value === undefined ? "" : typeof value === "number" ? String(round(value)) : value;
}
