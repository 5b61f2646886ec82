/**
 * What runs have read of stores, as bytes: `native/core/src/kv/deps.rs` says how they are laid out, writes most of them, and checks
 * them in one call.
 */

export interface StoreDep {
  readonly tenant: string;
  readonly store: string;
  /** The value of a key, whether it has one, a page of the names of all, or everything under a prefix. */
  readonly kind: "value" | "exists" | "list" | "prefix";
  readonly key: string;
  readonly revision: number;
}

const KINDS = ["value", "value", "value", "exists", "exists", "list", "prefix"] as const;
const PREFIX = 6;
const STATE_BYTES = 16;

/** In the order in which a check counts them. Throws when they are cut off. */
export function readDeps(bytes: Uint8Array): StoreDep[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const deps: StoreDep[] = [];
  let at = 0;
  const text = (length: number): string => buffer.toString("utf8", at, (at += length));
  while (at < buffer.length) {
    const tenant = text(buffer.readUInt8(at++));
    const store = text(buffer.readUInt8(at++));
    const count = buffer.readUInt32LE(at);
    at += 4;
    for (let i = 0; i < count; i++) {
      const kind = KINDS[buffer.readUInt8(at++)] ?? "value";
      const length = buffer.readUInt16LE(at);
      at += 2;
      const key = text(length);
      const revision = Number(buffer.readBigUInt64LE(at));
      at += 8 + STATE_BYTES;
      deps.push({ tenant, store, kind, key: kind === "list" ? key.slice(key.indexOf("\0") + 1) : key, revision });
    }
  }
  return deps;
}

/** That everything under a prefix was read when its highest revision was this. */
export function prefixDep(tenant: string, store: string, prefix: string, revision: number): Uint8Array {
  const [who, where, what] = [Buffer.from(tenant), Buffer.from(store), Buffer.from(prefix)];
  const head = Buffer.alloc(6 + who.length + where.length);
  head.writeUInt8(who.length, 0);
  who.copy(head, 1);
  head.writeUInt8(where.length, 1 + who.length);
  where.copy(head, 2 + who.length);
  head.writeUInt32LE(1, 2 + who.length + where.length);
  const tail = Buffer.alloc(3 + what.length + 8 + STATE_BYTES);
  tail.writeUInt8(PREFIX, 0);
  tail.writeUInt16LE(what.length, 1);
  what.copy(tail, 3);
  tail.writeBigUInt64LE(BigInt(revision), 3 + what.length);
  return Buffer.concat([head, tail]);
}

/** `kv:default/catalogue/7`, as manifests and people write it. */
export function depName({ store, kind, key }: StoreDep): string {
  if (kind === "list") return `kv:${store}/* (names)`;
  return `kv:${store}/${key}${kind === "prefix" ? "*" : ""}`;
}
