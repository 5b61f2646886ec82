/** JSON and schemas from people: what is wrong is said with the file and the place. */
import type { z } from "zod";
import { UserError } from "./errors.js";
import type { FieldError } from "./problem.js";

/** Parses JSON; the error names the file and the place. */
export function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UserError(`${where} is not valid JSON: ${(error as Error).message}`);
  }
}

/** One line for each thing that is wrong: the path of the field, then what is wrong with it. */
export function describeIssues(error: z.ZodError): string {
  return fieldErrors(error)
    .map(({ field, message }) => `  ${field}: ${message}`)
    .join("\n");
}

/** Each thing that is wrong, by the path of its field. */
export function fieldErrors(error: z.ZodError): FieldError[] {
  return error.issues.flatMap((issue) => issueErrors(issue));
}

function issueErrors(issue: z.core.$ZodIssue): FieldError[] {
  const path = issue.path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("");
  const field = path === "" ? "the document" : path.replace(/^\./, "");
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ field: path === "" ? key : `${field}.${key}`, message: "unknown field" }));
  }
  return [{ field, message: issue.message }];
}
