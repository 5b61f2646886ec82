// @ts-nocheck
import { KvError, type KeyValue } from "./kv.js";
/** TEMPORARY until the engine has stores. */
export function memoryKv(): KeyValue {
  const all = new Map<string, Map<string, { value: Uint8Array; revision: number }>>();
  let revision = 0;
  const of = (tenant: string, store: string) => {
    const key = `${tenant}/${store}`;
    let map = all.get(key);
    if (map === undefined) all.set(key, (map = new Map()));
    return map;
  };
  return {
    get: (t, s, k) => of(t, s).get(k) ?? null,
    put: async (t, s, k, value, c = {}) => {
      const now = of(t, s).get(k);
      if ((c.ifAbsent && now) || (c.ifRevision !== undefined && now?.revision !== c.ifRevision)) throw new KvError("conflict", "changed");
      of(t, s).set(k, { value, revision: ++revision });
      return revision;
    },
    delete: async (t, s, k) => (of(t, s).delete(k), ++revision),
    list: (t, s, p, after, limit) => ({
      more: false,
      keys: [...of(t, s)]
        .filter(([k]) => k.startsWith(p) && (after === null || k > after))
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .slice(0, limit)
        .map(([key, v]) => ({ key, revision: v.revision, bytes: v.value.length })),
    }),
    stores: (t) =>
      [...all]
        .filter(([k]) => k.startsWith(`${t}/`))
        .map(([k, m]) => ({ name: k.slice(t.length + 1), keys: m.size, bytes: 0, revision: 0 })),
    usage: () => 0,
    setQuota: async () => {},
    quota: () => null,
    removeTenant: async (t) => {
      for (const k of all.keys()) if (k.startsWith(`${t}/`)) all.delete(k);
      return 0;
    },
  } as unknown as KeyValue;
}
