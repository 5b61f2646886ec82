/** Flags of benches and soaks: whole numbers with defaults, `--json FILE`, and other files. */
import { parseArgs } from "node:util";
import { BenchError } from "./bench-error.js";

export interface Flags<N extends string> {
  readonly numbers: Readonly<Record<N, number>>;
  readonly json: string | undefined;
  /** The other files that were named. */
  readonly files: Readonly<Record<string, string>>;
}

/** Reads `process.argv`; an unknown flag or a value that is no whole number is a `BenchError` with the flags that exist. */
export function readFlags<N extends string>(
  defaults: Readonly<Record<N, number>>,
  argv: readonly string[] = process.argv.slice(2),
  files: readonly string[] = [],
): Flags<N> {
  const names = Object.keys(defaults) as N[];
  const options = Object.fromEntries([...names, ...files, "json"].map((name) => [name, { type: "string" as const }]));
  const help = `Flags: ${names.map((name) => `--${name} N (${defaults[name]})`).join(", ")}, ${[...files, "json"].map((name) => `--${name} FILE`).join(", ")}`;
  let values: Record<string, unknown>;
  try {
    values = parseArgs({ args: [...argv], options }).values;
  } catch (error) {
    throw new BenchError(`${(error as Error).message}\n${help}`);
  }
  const numbers = Object.fromEntries(names.map((name) => [name, wholeNumber(name, values[name], defaults[name], help)]));
  const named = files.filter((name) => values[name] !== undefined).map((name) => [name, values[name]]);
  return {
    numbers: numbers as Record<N, number>,
    json: values["json"] as string | undefined,
    files: Object.fromEntries(named) as Record<string, string>,
  };
}

function wholeNumber(name: string, given: unknown, otherwise: number, help: string): number {
  if (given === undefined) return otherwise;
  if (typeof given === "string" && /^\d{1,9}$/.test(given)) return Number(given);
  throw new BenchError(`--${name} needs a whole number, not ${JSON.stringify(given)}\n${help}`);
}
