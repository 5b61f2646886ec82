/** State that goes with the process: for libraries, `serve FILE` and tests. */
import { encodeChanges, keyBytes, unpack, type Write } from "./codec.js";
import { StateError, type Change, type Range, type StateStore, type Table } from "./store.js";

/** An entry is kept packed, so that nobody who was given a value can change what is stored. */
interface Entry {
  readonly key: string;
  readonly bytes: Buffer;
  readonly packed: Buffer;
}

/** An empty store. */
export function memoryState(): StateStore {
  const tables = new Map<string, Map<string, Entry>>();
  /** Entries by the byte order of their keys, of the tables that were listed since they last got or lost a key. */
  const sorted = new Map<string, readonly Entry[]>();
  let isClosed = false;

  const live = (): void => {
    if (isClosed) throw new StateError("the state is closed");
  };
  const inOrder = (name: string): readonly Entry[] => {
    let entries = sorted.get(name);
    if (entries === undefined) {
      entries = [...(tables.get(name)?.values() ?? [])].sort((a, b) => Buffer.compare(a.bytes, b.bytes));
      sorted.set(name, entries);
    }
    return entries;
  };
  const apply = ({ table, name, key, value }: Write): void => {
    sorted.delete(table);
    let entries = tables.get(table);
    if (entries === undefined) tables.set(table, (entries = new Map()));
    if (value === undefined) entries.delete(name);
    else entries.set(name, { key: name, bytes: key, packed: value });
  };

  return {
    get<T>(from: Table<T>, key: string): T | undefined {
      live();
      keyBytes(from.name, key); // throws for what cannot be one, as the durable store does
      const entry = tables.get(from.name)?.get(key);
      return entry === undefined ? undefined : (unpack(entry.packed) as T);
    },
    list<T>(from: Table<T>, range: Range = {}): { key: string; value: T }[] {
      live();
      const { prefix = "", after, limit = Infinity, reverse = false } = range;
      keyBytes(from.name, prefix);
      const bound = after === undefined ? undefined : keyBytes(from.name, after);
      const isPast = ({ bytes }: Entry): boolean => {
        if (bound === undefined) return true;
        const order = Buffer.compare(bytes, bound);
        return reverse ? order < 0 : order > 0;
      };
      const found = inOrder(from.name).filter((entry) => entry.key.startsWith(prefix) && isPast(entry));
      const asked = reverse ? found.reverse() : found;
      return asked.slice(0, Math.max(limit, 0)).map(({ key, packed }) => ({ key, value: unpack(packed) as T }));
    },
    async commit(changes: readonly Change[]): Promise<void> {
      live();
      encodeChanges(changes).forEach(apply);
    },
    async close(): Promise<void> {
      isClosed = true;
    },
  };
}
