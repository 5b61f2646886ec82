/** Components that go with the process. */
import { digestOf, type ComponentStore, type Digest } from "./components.js";

/** An empty store. */
export function memoryComponents(): ComponentStore {
  const kept = new Map<Digest, Uint8Array>();
  /** Puts whose callers have not heard yet, by digest: a collection leaves these alone. */
  const putting: Digest[] = [];
  return {
    async put(bytes: Uint8Array): Promise<Digest> {
      const digest = digestOf(bytes);
      if (!kept.has(digest)) kept.set(digest, Uint8Array.from(bytes));
      putting.push(digest);
      await Promise.resolve();
      putting.splice(putting.indexOf(digest), 1);
      return digest;
    },
    async get(digest: Digest): Promise<Uint8Array | undefined> {
      const bytes = kept.get(digest);
      return bytes === undefined ? undefined : Buffer.from(bytes);
    },
    has: async (digest: Digest): Promise<boolean> => kept.has(digest),
    list: async (): Promise<Digest[]> => [...kept.keys()].sort(),
    async remove(digest: Digest): Promise<void> {
      kept.delete(digest);
    },
    async collect(keep: ReadonlySet<Digest>): Promise<Digest[]> {
      const unused = [...kept.keys()].filter((digest) => !keep.has(digest) && !putting.includes(digest)).sort();
      for (const digest of unused) kept.delete(digest);
      return unused;
    },
  };
}
