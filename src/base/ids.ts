/** Run ids: 128 random bits, because knowing one is what lets a caller of a public task ask about its run. */
import { randomFillSync } from "node:crypto";

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
