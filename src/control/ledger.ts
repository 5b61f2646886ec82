/**
 * One change of the control plane at a time: decided on what is in memory, committed together with its audit entry,
 * and only then shown.
 *
 * Whatever takes long (compiling, linking) is done before, outside of the turn; what was decided from is looked at
 * again inside. A commit that fails leaves everything as it was.
 */
import { ProblemError } from "../base/problem.js";
import { messageOf } from "../base/errors.js";
import { StateError, type Plan, type StateStore } from "../state/store.js";
import { whoIs } from "../tenants/access.js";
import type { Audit, AuditInput } from "../tenants/audit.js";
import type { Caller } from "../tenants/tenant.js";

/** What somebody did, for the audit log. */
export type Deed = Omit<AuditInput, "who">;

export class Ledger {
  readonly #store: StateStore;
  readonly #audit: Audit;
  #last: Promise<unknown> = Promise.resolve();

  constructor(store: StateStore, audit: Audit) {
    this.#store = store;
    this.#audit = audit;
  }

  /** Runs `work` when everything that was asked for before is done. */
  turn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work, work);
    this.#last = mine.catch(() => {});
    return mine;
  }

  /**
   * Stores the plans with an audit entry, in one commit, then applies them in order. Inside a turn only. Throws
   * `platform/storage`.
   */
  async commit(caller: Caller, deed: Deed, plans: readonly Plan<unknown>[]): Promise<void> {
    const entry = this.#audit.append({ who: whoIs(caller), ...deed });
    await storing(() => this.#store.commit([...plans.flatMap(({ changes }) => changes), ...entry.changes]));
    for (const plan of plans) plan.apply();
    entry.apply();
  }
}

/** What the disk refuses is the node's problem. Throws `platform/storage`. */
export async function storing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof StateError)) throw error;
    throw new ProblemError("platform/storage", messageOf(error), { cause: error });
  }
}
