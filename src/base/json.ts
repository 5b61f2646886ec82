/** JSON and schemas from people: what is wrong is said with the file and the place. */
import type { z } from "zod";
import { UserError } from "./errors.js";

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
  return error.issues.flatMap((issue) => issueLines(issue)).join("\n");
}

function issueLines(issue: z.core.$ZodIssue): string[] {
  const path = issue.path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("");
  const field = path === "" ? "the document" : path.replace(/^\./, "");
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => `  ${path === "" ? key : `${field}.${key}`}: unknown field`);
  }
  return [`  ${field}: ${issue.message}`];
}
