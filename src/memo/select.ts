/**
 * Which records have read something, as people name it: `kv:default/a`, `task:png`, an address, a folder of the host, or a
 * resource that guests named themselves. A `*` at the end stands for anything that goes on from there.
 */
import { readDeps, type StoreDep } from "./deps.js";
import type { RecordTrace } from "./record.js";

/** What `readsMatch` takes, in words. */
export const READS_HELP = '"kv:STORE/KEY", "task:NAME", an address, a folder, or the name of a resource; with * at its end, what begins so';

const STORED = /^kv:([^/]+)\/(.*)$/s;
const CALLED = "task:";

/** Whether the text names anything: `kv:default` alone is neither a store's key nor a resource that anybody would name so. */
export function isReadsText(text: string): boolean {
  return text !== "" && (!text.startsWith("kv:") || STORED.test(text));
}

/**
 * Says of a trace whether it has something of that in it, or something that it is part of: whoever listed a store has read of
 * each of its keys, and whoever reads all of `catalogue/` depends on `catalogue/7`. Of what tasks of other tenants read on the
 * way nothing matches: who may ask about records would learn it.
 */
export function readsMatch(text: string, tenant: string): (trace: RecordTrace) => boolean {
  const own = `${tenant}/`;
  const wanted = pattern(text);
  const isNamed = ({ depends, fetched, files }: RecordTrace): boolean =>
    depends.some(([task, resource]) => task.startsWith(own) && wanted.covers(resource)) ||
    fetched.some(([task, { url }]) => task.startsWith(own) && wanted.covers(url)) ||
    files.some(([folder]) => wanted.covers(folder));
  if (text.startsWith(CALLED)) {
    const called = pattern(own + text.slice(CALLED.length));
    return (trace) => trace.tasks.some(([task]) => called.covers(task)) || isNamed(trace);
  }
  const [, store, key] = STORED.exec(text) ?? [];
  if (store === undefined || key === undefined) return isNamed;
  const keys = pattern(key);
  const isOf = (dep: StoreDep): boolean => dep.tenant === tenant && dep.store === store && touches(keys, dep);
  return (trace) => readDeps(trace.reads).some(isOf) || isNamed(trace);
}

interface Pattern {
  readonly text: string;
  readonly isPrefix: boolean;
  covers(name: string): boolean;
}

function pattern(written: string): Pattern {
  const isPrefix = written.endsWith("*");
  const text = isPrefix ? written.slice(0, -1) : written;
  return { text, isPrefix, covers: (name) => (isPrefix ? name.startsWith(text) : name === text) };
}

function touches(keys: Pattern, { kind, key }: StoreDep): boolean {
  switch (kind) {
    case "list":
      return true;
    case "prefix":
      return keys.text.startsWith(key) || (keys.isPrefix && key.startsWith(keys.text));
    case "value":
    case "exists":
      return keys.covers(key);
  }
}
