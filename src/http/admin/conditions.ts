/** Preconditions (RFC 9110, 13): an ETag is the revision in quotes. */
import { ProblemError } from "../../base/problem.js";
import { invalid } from "./answers.js";

/** What a change may depend on: nothing, what was read (`If-Match`), or that too and that there is nothing yet. */
export type Conditions = "none" | "match" | "match-or-absent";

/** The revision that must be there; 0: none; undefined: any. Throws for conditions that cannot be kept, which must not be passed over. */
export function revisionAsked(header: (name: string) => string | undefined, allowed: Conditions): number | undefined {
  const match = header("if-match");
  const none = header("if-none-match");
  if (match !== undefined && allowed === "none") throw unsupported("If-Match");
  if (none !== undefined && allowed !== "match-or-absent") throw unsupported("If-None-Match");
  if (match !== undefined && none !== undefined) throw invalid([{ field: "If-None-Match", message: "cannot stand beside If-Match" }]);
  if (none !== undefined) {
    if (none.trim() !== "*") throw invalid([{ field: "If-None-Match", message: "expected *, for only when it is not there yet" }]);
    return 0;
  }
  return match === undefined ? undefined : revisionOf(match);
}

function revisionOf(match: string): number {
  const tag = /^"(\d{1,15})"$/.exec(match.trim());
  if (tag === null) throw invalid([{ field: "If-Match", message: 'expected one ETag as it was answered, such as "7" with its quotes' }]);
  const revision = Number(tag[1]);
  // Zero asks for absence further on, and no answer ever carried it.
  if (revision === 0) throw new ProblemError("request/changed-meanwhile", "Nothing has the revision 0.");
  return revision;
}

function unsupported(field: string): ProblemError {
  return invalid([{ field, message: "not supported here; leave it out" }]);
}

/** The answer, or 304 when the client has it already. */
export function unlessKnown(answer: Response, ifNoneMatch: string | undefined): Response {
  const tag = answer.headers.get("etag");
  if (tag === null || ifNoneMatch === undefined) return answer;
  const known = ifNoneMatch.split(",").map((text) => text.trim().replace(/^W\//, ""));
  if (!known.includes(tag) && !known.includes("*")) return answer;
  const headers = { ETag: tag, "Pilotlight-Run": answer.headers.get("pilotlight-run") ?? "" };
  return new Response(null, { status: 304, headers });
}
