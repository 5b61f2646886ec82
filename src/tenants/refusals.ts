/** The problems that this folder throws: one wording for each, so that two causes never differ by their words. */
import { ProblemError, type FieldError } from "../base/problem.js";

/** What a thing that does not exist and a thing of somebody else have in common. */
export function noSuch(what: string, name: string): ProblemError {
  return new ProblemError("request/no-such-thing", `There is no ${what} ${name}.`);
}

/** What was sent breaks these rules, all of them named. */
export function invalid(errors: readonly FieldError[]): ProblemError {
  const fields = errors.map(({ field, message }) => `${field}: ${message}`).join("; ");
  return new ProblemError("request/invalid", fields, { errors });
}

/** Collects what is wrong with the fields of a document, and throws it all at once. */
export class Faults {
  readonly #errors: FieldError[] = [];

  add(field: string, message: string): void {
    this.#errors.push({ field, message });
  }

  /** Throws `request/invalid` if anything was wrong. */
  check(): void {
    if (this.#errors.length > 0) throw invalid(this.#errors);
  }
}
