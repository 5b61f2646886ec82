/**
 * What went wrong, as a message and an exit status: 1 for a refused request and everything that did not work, 2 for
 * wrong usage, 130 after Ctrl-C.
 */
import { CommanderError } from "commander";
import { UserError, messageOf } from "../base/errors.js";
import type { FieldError } from "../base/problem.js";
import { plain } from "./output.js";
import { Interrupted, type Terminal } from "./terminal.js";

/** A problem that a node answered with (RFC 9457). */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  readonly status: number;
  /** The code at the end of `type`, such as `request/conflict`; undefined when the answer was no problem of ours. */
  readonly code: string | undefined;

  constructor(status: number, code: string | undefined, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const TYPE = "https://pilotlight.dev/problems/";

/** The error for an answer that is none of success: its title, then its detail or a line for each field that is wrong. */
export function refusal(status: number, body: string): RefusedError {
  const problem = parsed(body);
  if (typeof problem?.["title"] !== "string") {
    return new RefusedError(status, undefined, `it answered ${status}${body === "" ? "" : `: ${body.trim().slice(0, 500)}`}`);
  }
  const { title, detail, type, errors } = problem as { title: string; detail?: unknown; type?: unknown; errors?: unknown };
  const code = typeof type === "string" && type.startsWith(TYPE) ? type.slice(TYPE.length) : undefined;
  const fields = fieldLines(errors);
  // A node says what is wrong with the fields in `detail` too, for those who show nothing else.
  if (fields.length > 0) return new RefusedError(status, code, [`${title}:`, ...fields].join("\n"));
  // A function's own error value says more than any title.
  const said = code === "call/error" ? JSON.stringify(problem["error"]) : detail;
  return new RefusedError(status, code, typeof said === "string" ? `${title}: ${said}` : title);
}

function fieldLines(errors: unknown): string[] {
  if (!Array.isArray(errors)) return [];
  return (errors as Partial<FieldError & { path: string; detail: string }>[]).map(
    ({ field, message, path, detail }) => `  ${field ?? path ?? "the document"}: ${message ?? detail ?? "not valid"}`,
  );
}

function parsed(body: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Prints what is to be said of `error`, and gives the exit status. */
export function report(terminal: Terminal, error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof Interrupted) return 130;
  const ours = error instanceof Error && KNOWN.has(error.name);
  const text = ours || terminal.env["PILOTLIGHT_STACKS"] === undefined ? messageOf(error) : String((error as Error).stack);
  terminal.stderr.write(`pilotlight: ${plain(text)}\n`);
  return error instanceof UserError ? error.exitCode : 1;
}

/** Errors whose message says all. By name: their classes come with the engine, which most commands never load. */
const KNOWN: ReadonlySet<string> = new Set(["UserError", "RefusedError", "EngineError", "BuildError", "CallError"]);
