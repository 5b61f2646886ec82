/** What all of something may hold in memory, and how much of that a tenant may have. */

export class Room {
  readonly #most: number;
  readonly #of = new Map<string, number>();
  #held = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get held(): number {
    return this.#held;
  }

  /**
   * Takes so many bytes for the tenant; false: it would have more than is left for others. So one alone may have half, and no
   * number of them takes the last of it (dynamic thresholds, Choudhury and Hahne).
   */
  take(tenant: string, bytes: number): boolean {
    const own = this.#of.get(tenant) ?? 0;
    if (own + bytes > this.#most - this.#held - bytes) return false;
    this.#held += bytes;
    this.#of.set(tenant, own + bytes);
    return true;
  }

  giveBack(tenant: string, bytes: number): void {
    if (bytes === 0) return;
    this.#held -= bytes;
    const left = (this.#of.get(tenant) as number) - bytes;
    if (left > 0) this.#of.set(tenant, left);
    else this.#of.delete(tenant);
  }
}
