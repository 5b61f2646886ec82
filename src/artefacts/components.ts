/**
 * Components by their digest: the bytes that versions name, kept once however many name them.
 *
 * A port with two siblings: `folderComponents` for nodes, `memoryComponents` for runtimes without a data folder. A
 * component is never changed, so that all there is to do is put, get and, when no version names it any more, collect.
 */
import { createHash } from "node:crypto";

/** sha256 of the bytes, in lower-case hex. */
export type Digest = string;

export interface ComponentStore {
  /**
   * Keeps the bytes; once it resolves they are there, also after a power loss. Bytes that are there already are
   * looked at, and written again when they are damaged. Rejects with a `StateError` when they cannot be written.
   */
  put(bytes: Uint8Array): Promise<Digest>;
  /** The bytes, checked against the digest; undefined when they are not there. Rejects with a `StateError` when damaged. */
  get(digest: Digest): Promise<Uint8Array | undefined>;
  /** True when there is something under that digest; `get` alone knows whether it is whole. */
  has(digest: Digest): Promise<boolean>;
  /** In order. */
  list(): Promise<Digest[]>;
  /** Nothing happens when it is not there. */
  remove(digest: Digest): Promise<void>;
  /**
   * Removes what is not in `keep`, and what killed processes left half-written; gives what is gone. What is being put,
   * and what is put while this goes on, stays. `keep` names what versions use, and what was put for a deploy that has
   * not made its version yet.
   */
  collect(keep: ReadonlySet<Digest>): Promise<Digest[]>;
}

const DIGEST = /^[0-9a-f]{64}$/;

export function isDigest(text: string): boolean {
  return DIGEST.test(text);
}

export function digestOf(bytes: Uint8Array): Digest {
  return createHash("sha256").update(bytes).digest("hex");
}
