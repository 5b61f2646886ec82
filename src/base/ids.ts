/** Run ids: 128 random bits, because knowing one is what lets a caller of a public task ask about its run. */
import { hash, randomFillSync } from "node:crypto";

const BYTES = 16;
const pool = Buffer.alloc(BYTES * 256);
let used = pool.length;

/** 32 lower-case hex digits. */
export function newRunId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const id = pool.toString("hex", used, used + BYTES);
  used += BYTES;
  return id;
}

/** The id of a run that something asks for which may ask twice: 32 hex digits, the same for the same parts. */
export function idOf(...parts: readonly (string | number)[]): string {
  return hash("sha256", JSON.stringify(parts), "hex").slice(0, 32);
}
