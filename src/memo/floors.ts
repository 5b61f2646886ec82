/**
 * What may still become a record: no run that began before its answer was done away with. Whoever purges records, or forces a run,
 * is not to find afterwards what a run from before that has left.
 */

/** Keys that are told apart; what is more than that goes for all of its tenant. */
const MOST_KEYS = 10_000;

export class Floors {
  #last = 0;
  readonly #ofKeys = new Map<string, { readonly tenant: string; readonly at: number }>();
  readonly #ofTenants = new Map<string, number>();

  /** The place of a run that begins, among all that do something to records. */
  next(): number {
    return ++this.#last;
  }

  /** Nothing of the key that began before now becomes a record. */
  raise(tenant: string, key: string): void {
    this.#ofKeys.delete(key);
    this.#ofKeys.set(key, { tenant, at: this.next() });
    if (this.#ofKeys.size <= MOST_KEYS) return;
    const [[oldest, { tenant: its, at }] = ["", { tenant: "", at: 0 }]] = this.#ofKeys;
    this.#ofKeys.delete(oldest);
    this.#ofTenants.set(its, Math.max(at, this.#ofTenants.get(its) ?? 0));
  }

  /** Nothing of the tenant that began before now does. */
  raiseAll(tenant: string): void {
    this.#ofTenants.set(tenant, this.next());
  }

  isAbove(tenant: string, key: string, began: number): boolean {
    return began > (this.#ofKeys.get(key)?.at ?? 0) && began > (this.#ofTenants.get(tenant) ?? 0);
  }
}
