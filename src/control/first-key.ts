/**
 * The admin key that a node makes of itself: the first start writes it to `admin.key` in the data folder, for its
 * owner's eyes, and nothing else ever has its text.
 *
 * A note that its file is not there yet comes before the key; a start that was killed before the file was there finds
 * the note, and makes another key in place of the one whose text nobody knows.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { renameDurably } from "../base/durable.js";
import { put, remove, table, type StateStore } from "../state/store.js";
import type { Keys } from "../tenants/keys.js";
import type { Caller } from "../tenants/tenant.js";
import type { Control } from "./control.js";

const FILE = "admin.key";
const UNWRITTEN = table<true>("first-key");
const NOTE = "unwritten";
const NODE: Caller = { kind: "operator", name: "node" };

export interface FirstKey {
  /** Undefined when the file is not there, or has a key that does not hold any more. */
  readonly text: string | undefined;
  /** The file, when this start has made it. */
  readonly path: string | undefined;
}

/** Makes the key unless the node has keys. */
export async function firstKey(data: string, state: StateStore, keys: Keys, control: Control): Promise<FirstKey> {
  const path = join(data, FILE);
  const unwritten = state.get(UNWRITTEN, NOTE) !== undefined;
  if (!unwritten && keys.list(undefined).length > 0) return { text: known(path, keys), path: undefined };
  // A note without a key does no harm: the node has none then, and makes one.
  if (!unwritten) await state.commit([put(UNWRITTEN, NOTE, true)]);
  for (const key of keys.list(undefined)) await control.revokeKey(NODE, undefined, key.id);
  const { text } = await control.issueKey(NODE, undefined, { scopes: ["admin"], note: "made by the node's first start" });
  const draft = `${path}.tmp`;
  rmSync(draft, { force: true });
  writeFileSync(draft, `${text}\n`, { mode: 0o600, flag: "wx", flush: true });
  renameDurably(draft, path);
  await state.commit([remove(UNWRITTEN, NOTE)]);
  return { text, path };
}

function known(path: string, keys: Keys): string | undefined {
  try {
    const text = readFileSync(path, "utf8").trim();
    return keys.verify(text) === undefined ? undefined : text;
  } catch {
    return undefined;
  }
}
