/** Chance that can be repeated: every step of a soak has a stream of its own, whatever order steps end in. */

export class Random {
  #state: number;

  constructor(seed: number, stream = 0) {
    // Neighbouring seeds and streams must not look alike.
    this.#state = mixed(mixed(seed ^ 0x9e3779b9) ^ mixed(stream + 0x7f4a7c15));
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    return Math.floor((this.#next() / 2 ** 32) * limit);
  }

  /** True in `share` of all cases. */
  chance(share: number): boolean {
    return this.#next() / 2 ** 32 < share;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    let at = 0;
    for (; at + 4 <= length; at += 4) bytes.writeUInt32LE(this.#next(), at);
    for (; at < length; at++) bytes[at] = this.#next() & 0xff;
    return bytes;
  }

  /** mulberry32, by Tommy Ettinger: 32 bits of state, all of them used once. */
  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return (z ^ (z >>> 14)) >>> 0;
  }
}

function mixed(value: number): number {
  let z = value >>> 0;
  z = Math.imul(z ^ (z >>> 16), 0x45d9f3b);
  z = Math.imul(z ^ (z >>> 16), 0x45d9f3b);
  return (z ^ (z >>> 16)) >>> 0;
}
