/** A part of a node's things that the kill soak changes: one change at a time, each known to be there or not. */
import { isDeepStrictEqual } from "node:util";
import type { Admin, AdminAnswer, AdminRequest } from "../../support/admin.js";
import type { Random } from "../../support/random.js";
import { Violation } from "../../support/steps.js";
import type { StateStore } from "../../../../src/state/store.js";

/** A node that listens. */
export interface Reached {
  readonly admin: Admin;
  /** The data plane's address, without the last slash. */
  readonly data: string;
  /** The same node's admin API with another key. */
  readonly withKey: (key: string) => Admin;
}

export interface Part {
  /** What must be there before its changes, made if it is not; the same every time. */
  prepare?(node: Reached): Promise<void>;
  /** Makes one change. Rejects with a `Violation` for a wrong answer, and with anything else when there was none. */
  change(node: Reached, random: Random): Promise<void>;
  /** Looks at what is there: what was answered, and what was not or nothing of it. Throws a `Violation`. */
  check(node: Reached): Promise<void>;
  /** The same for what no API shows, while no process has the folder. */
  checkFolder?(folder: string, state: StateStore): void;
}

/** Changes that were answered, and such that were not. */
export class Tally {
  answered = 0;
  cutOff = 0;
}

/** A value that is known, but for a change that was asked for and not answered: then it is the one or the other. */
export class Known<T> {
  readonly #what: string;
  readonly #tally: Tally;
  #value: T;
  #asked: { readonly to: T } | undefined;

  constructor(what: string, tally: Tally, value: T) {
    this.#what = what;
    this.#tally = tally;
    this.#value = value;
  }

  get value(): T {
    return this.#value;
  }

  /** Changes it by `work`, which must resolve with the answer, or not at all. */
  async change(to: T, work: () => Promise<unknown>): Promise<void> {
    this.#asked = { to };
    await work();
    this.#value = to;
    this.#asked = undefined;
    this.#tally.answered++;
  }

  /** Settles it by what was found; `shown` gives what should be found of a value. */
  settle(found: unknown, shown: (value: T) => unknown = (value) => value): void {
    const asked = this.#asked;
    this.#asked = undefined;
    if (asked !== undefined) this.#tally.cutOff++;
    if (isDeepStrictEqual(found, shown(this.#value))) return;
    if (asked !== undefined && isDeepStrictEqual(found, shown(asked.to))) {
      this.#value = asked.to;
      return;
    }
    const or = asked === undefined ? "" : `, or, by a change that was not answered, ${short(shown(asked.to))}`;
    throw new Violation(`${this.#what} should be ${short(shown(this.#value))}${or}; it is ${short(found)}`);
  }
}

/** Throws a `Violation` unless the status is one of these. */
export async function expectStatus(
  admin: Admin,
  statuses: readonly number[],
  method: string,
  path: string,
  body?: AdminRequest,
): Promise<AdminAnswer> {
  const answer = await admin(method, path, body);
  if (statuses.includes(answer.status)) return answer;
  throw new Violation(
    `${method} ${path} should be answered ${statuses.join(" or ")}, and was ${answer.status}: ${short(answer.bytes.toString())}`,
  );
}

function short(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 1500 ? `${text.slice(0, 1500)}…` : text;
}
