/**
 * What tenants leave in memory, made so that one look finds what any other tenant left, and nothing of the own.
 *
 * A mark is two words of chance that stand side by side. A tenant's secret is the mark of everybody, its own, and for each
 * other tenant the mark "not yours": whoever looks for its own "not yours" finds all secrets but its own. Memory is filled
 * with the secret end to end. It travels masked (guests/README.md), so a request that looks for a mark does not bring it.
 */
import { Random } from "../support/random.js";

/** Two words of 8 bytes. */
const MARK_BYTES = 16;
/** A secret has at most 256 bytes. */
export const MOST_TENANTS = 256 / MARK_BYTES - 1;
const MASK = 0x5a;

export class Marks {
  readonly #everybodys: Buffer;
  readonly #own: readonly Buffer[];
  readonly #notYours: readonly Buffer[];

  /** For tenants 0 to `tenants` - 1. */
  constructor(tenants: number, seed: number) {
    const random = new Random(seed, -1);
    const some = (): Buffer[] => Array.from({ length: tenants }, () => random.bytes(MARK_BYTES));
    this.#everybodys = random.bytes(MARK_BYTES);
    this.#own = some();
    this.#notYours = some();
  }

  /** A tenant's secret, masked, in hex. It begins with the mark of number `first`: the first one goes to globals too. */
  secret(tenant: number, first: number): string {
    const others = this.#notYours.map((mark, other) => (other === tenant ? (this.#own[tenant] as Buffer) : mark));
    const marks = [this.#everybodys, ...others];
    const at = first % marks.length;
    return masked([...marks.slice(at), ...marks.slice(0, at)]);
  }

  /** What finds any tenant's secret. The same form as a secret's. */
  get everybodys(): string {
    return lookedFor(this.#everybodys);
  }

  /** What finds the tenant's own secret alone. */
  own(tenant: number): string {
    return lookedFor(this.#own[tenant] as Buffer);
  }

  /** What finds the secret of any tenant but this one. */
  others(tenant: number): string {
    return lookedFor(this.#notYours[tenant] as Buffer);
  }
}

/** Guests look for the first two words of at least 32 bytes. */
function lookedFor(mark: Buffer): string {
  return masked([mark, mark]);
}

function masked(marks: readonly Buffer[]): string {
  return Buffer.from(Buffer.concat(marks).map((byte) => byte ^ MASK)).toString("hex");
}
