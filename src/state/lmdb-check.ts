/**
 * Looks at an LMDB file as bytes, before LMDB does.
 *
 * LMDB maps its file and believes every offset in it, so a damaged one ends the process where an error should be. This
 * walks both trees (the entries, and the pages that are free) from the newest of the two meta pages, and refuses what
 * LMDB would stumble over now or at a later write. It reads each page in use once; the layout is that of the LMDB
 * inside lmdb-js (version 2 of the data format: mdb.c, `MDB_page_header`, `MDB_meta`, `MDB_node`).
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/** The file is not what was written; the message says where. */
export class Damage extends Error {
  override readonly name = "Damage";
}

const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
const HEADER = 24;
const NODE_HEADER = 8;
const META = { magic: 24, version: 28, mapSize: 40, free: 48, main: 96, lastPage: 144, txn: 152, end: 168 };
const TREE = { pad: 0, flags: 4, depth: 6, entries: 32, root: 40 };
const PAGE = { branch: 1, leaf: 2, overflow: 4, meta: 8 };
const BIG = 1;
const BIG_BYTES = 24;
const INTEGER_KEY = 8;
const NO_ROOT = 0xffff_ffff_ffff_ffffn;
const MIN_PAGE = 4096;
const MAX_PAGE = 65_536;

interface Tree {
  readonly what: string;
  readonly depth: number;
  readonly entries: number;
  /** Undefined: empty. */
  readonly root: number | undefined;
  compare(a: Buffer, b: Buffer): number;
  entry(key: Buffer, value: Buffer): void;
}

interface Meta {
  readonly pageSize: number;
  readonly flags: number;
  readonly mainFlags: number;
  readonly lastPage: number;
  readonly txn: number;
  readonly page: Buffer;
}

/** A node of a page: where it lies, and its parts. `data` is undefined in a branch, `child` in a leaf. */
interface Node {
  readonly key: Buffer;
  readonly child: number;
  readonly data: Buffer;
}

/** Calls `entry` for each entry of the main tree in order; throws `Damage` at the first thing that cannot be right. */
export function checkLmdbFile(path: string, entry: (key: Buffer, value: Buffer) => void): void {
  const file = openSync(path, "r");
  try {
    const size = fstatSync(file).size;
    const read = (offset: number, length: number): Buffer => {
      const bytes = Buffer.allocUnsafe(length);
      if (offset + length > size || readSync(file, bytes, 0, length, offset) !== length)
        throw new Damage(`it ends after ${size} bytes, before byte ${offset + length}`);
      return bytes;
    };
    checkFile(read, entry);
  } finally {
    closeSync(file);
  }
}

function checkFile(read: (offset: number, length: number) => Buffer, entry: (key: Buffer, value: Buffer) => void): void {
  const meta = newestMeta(read);
  const pages = new Pages(read, meta);
  pages.walk({ ...treeAt(meta.page, META.main, "of the entries"), compare: byBytes, entry });
  pages.walk({ ...treeAt(meta.page, META.free, "of the free pages"), compare: byNumber, entry: (_, list) => pages.free(list) });
}

/** Both meta pages must agree, and differ by one transaction: that is how they are written, in turn. */
function newestMeta(read: (offset: number, length: number) => Buffer): Meta {
  const first = metaOf(read(0, META.end), 0);
  const second = metaOf(read(first.pageSize, META.end), 1);
  if (first.pageSize !== second.pageSize || first.flags !== second.flags || first.mainFlags !== second.mainFlags)
    throw new Damage("its two meta pages contradict each other");
  const newest = second.txn > first.txn ? second : first;
  const isNew = first.txn === 0 && second.txn === 0;
  if (!isNew && (Math.abs(first.txn - second.txn) !== 1 || first.txn % 2 !== 0))
    throw new Damage("its two meta pages do not follow each other");
  return newest;
}

function metaOf(page: Buffer, index: number): Meta {
  const pageSize = page.readUInt32LE(META.free + TREE.pad);
  const isMeta = page.readBigUInt64LE(0) === BigInt(index) && page.readUInt16LE(18) === PAGE.meta;
  if (!isMeta || page.readUInt32LE(META.magic) !== MAGIC) throw new Damage("it does not begin like a state file");
  const version = page.readUInt32LE(META.version);
  if (version !== DATA_VERSION) throw new Damage(`its data format is ${version}, and this version of Pilotlight reads ${DATA_VERSION}`);
  if (pageSize < MIN_PAGE || pageSize > MAX_PAGE || (pageSize & (pageSize - 1)) !== 0) throw new Damage(`its pages have ${pageSize} bytes`);
  const flags = page.readUInt16LE(META.free + TREE.flags);
  const mainFlags = page.readUInt16LE(META.main + TREE.flags);
  if ((flags & INTEGER_KEY) === 0 || mainFlags !== 0) throw new Damage("its trees are of an unknown kind");
  const lastPage = numberAt(page, META.lastPage);
  if ((lastPage + 1) * pageSize > numberAt(page, META.mapSize)) throw new Damage("its last page lies outside of it");
  return { pageSize, flags, mainFlags, lastPage, txn: numberAt(page, META.txn), page };
}

function treeAt(meta: Buffer, at: number, what: string): Pick<Tree, "what" | "depth" | "entries" | "root"> {
  const isEmpty = meta.readBigUInt64LE(at + TREE.root) === NO_ROOT;
  return {
    what,
    depth: meta.readUInt16LE(at + TREE.depth),
    entries: numberAt(meta, at + TREE.entries),
    root: isEmpty ? undefined : numberAt(meta, at + TREE.root),
  };
}

class Pages {
  readonly #read: (offset: number, length: number) => Buffer;
  readonly #size: number;
  readonly #last: number;
  readonly #txn: number;
  /** 1 for each page that something leads to already. */
  readonly #used: Uint8Array;

  constructor(read: (offset: number, length: number) => Buffer, meta: Meta) {
    this.#read = read;
    this.#size = meta.pageSize;
    this.#last = meta.lastPage;
    this.#txn = meta.txn;
    this.#used = new Uint8Array(meta.lastPage + 1).fill(1, 0, 2);
  }

  walk(tree: Tree): void {
    let entries = 0;
    let before: Buffer | undefined;
    const inOrder = (key: Buffer): void => {
      if (before !== undefined && tree.compare(before, key) >= 0) throw new Damage(`the tree ${tree.what} is out of order`);
      before = key;
    };
    /** `from`: no key of the page comes before this one. */
    const visit = (number: number, depth: number, from: Buffer | undefined): void => {
      const kind = depth === tree.depth ? PAGE.leaf : PAGE.branch;
      const nodes = this.#nodes(number, kind);
      for (const [i, node] of nodes.entries()) {
        // The first node of a branch page has no key of its own.
        const least = i === 0 && kind === PAGE.branch ? from : node.key;
        if (i === 0 && from !== undefined && least !== undefined && tree.compare(least, from) < 0)
          throw new Damage(`page ${number} lies at the wrong place in the tree ${tree.what}`);
        if (kind === PAGE.branch) {
          if (i > 0 && before !== undefined && tree.compare(before, node.key) >= 0)
            throw new Damage(`page ${number} of the tree ${tree.what} is out of order`);
          visit(node.child, depth + 1, least);
        } else {
          inOrder(node.key);
          entries++;
          tree.entry(node.key, node.data);
        }
      }
    };
    if (tree.root !== undefined) visit(tree.root, 1, undefined);
    if (entries !== tree.entries) throw new Damage(`the tree ${tree.what} has ${entries} entries where ${tree.entries} are said to be`);
  }

  /** A list of free pages: how many numbers follow, then pages; `-n` in front of one stands for n in a row, 0 for nothing. */
  free(list: Buffer): void {
    const count = list.length < 8 ? -1 : signedAt(list, 0);
    if (list.length % 8 !== 0 || count < 0 || (count + 1) * 8 > list.length) throw new Damage("a list of free pages is broken");
    for (let i = 1; i <= count; i++) {
      const said = signedAt(list, i * 8);
      if (said === 0) continue;
      if (said > 0) this.#take(said, 1);
      else if (++i <= count) this.#take(signedAt(list, i * 8), -said);
      else throw new Damage("a list of free pages is broken");
    }
  }

  #take(first: number, count: number): void {
    if (!(first >= 2) || count < 1 || first + count - 1 > this.#last) throw new Damage(`page ${first} does not exist`);
    for (let page = first; page < first + count; page++) {
      if (this.#used[page] === 1) throw new Damage(`page ${page} is used twice`);
      this.#used[page] = 1;
    }
  }

  #nodes(number: number, kind: number): Node[] {
    this.#take(number, 1);
    const page = this.#read(number * this.#size, this.#size);
    this.#checkHeader(page, number, kind);
    const pointers = page.readUInt16LE(20);
    const upper = page.readUInt16LE(22);
    const broken = (): Damage => new Damage(`page ${number} is broken`);
    const most = this.#size - HEADER;
    if (pointers % 2 !== 0 || pointers > upper || upper > most || pointers === 0) throw broken();
    const spans: [number, number][] = [];
    const nodes = Array.from({ length: pointers / 2 }, (_, i) => {
      const at = page.readUInt16LE(HEADER + i * 2);
      if (at < upper || at + NODE_HEADER > most) throw broken();
      const { node, length } = this.#node(page, HEADER + at, kind, broken);
      spans.push([at, length + (length & 1)]);
      return node;
    });
    // Nodes fill the end of the page without gaps: LMDB moves them by their lengths.
    let end = upper;
    for (const [at, length] of spans.sort((a, b) => a[0] - b[0])) {
      if (at !== end) throw broken();
      end += length;
    }
    if (end !== most) throw broken();
    return nodes;
  }

  #node(page: Buffer, at: number, kind: number, broken: () => Damage): { node: Node; length: number } {
    const low = page.readUInt16LE(at) + page.readUInt16LE(at + 2) * 2 ** 16;
    const flags = page.readUInt16LE(at + 4);
    const keyEnd = at + NODE_HEADER + page.readUInt16LE(at + 6);
    if (keyEnd > page.length) throw broken();
    const key = page.subarray(at + NODE_HEADER, keyEnd);
    if (kind === PAGE.branch) return { node: { key, child: low + flags * 2 ** 32, data: key }, length: keyEnd - at };
    if (key.length === 0 || (flags !== 0 && flags !== BIG)) throw broken();
    const end = keyEnd + (flags === BIG ? BIG_BYTES : low);
    if (end > page.length) throw broken();
    const data = flags === BIG ? this.#overflow(page.subarray(keyEnd, end), low) : page.subarray(keyEnd, end);
    return { node: { key, child: 0, data }, length: end - at };
  }

  /** `place`: the first page, the transaction that wrote it, and how many pages there are. */
  #overflow(place: Buffer, length: number): Buffer {
    const number = numberAt(place, 0);
    // More than it needs, where a shorter value took the place of a longer one within a transaction.
    const pages = numberAt(place, 16);
    if (pages * this.#size < HEADER + length) throw new Damage(`page ${number} is broken`);
    this.#take(number, pages);
    const bytes = this.#read(number * this.#size, HEADER + length);
    this.#checkHeader(bytes, number, PAGE.overflow);
    const isSame = numberAt(place, 8) === numberAt(bytes, 8) && bytes.readUInt32LE(20) === pages;
    if (!isSame) throw new Damage(`page ${number} is broken`);
    return bytes.subarray(HEADER);
  }

  #checkHeader(page: Buffer, number: number, kind: number): void {
    const isRight = numberAt(page, 0) === number && numberAt(page, 8) <= this.#txn && page.readUInt16LE(18) === kind;
    if (!isRight) throw new Damage(`page ${number} is not what should be there`);
  }
}

function byBytes(a: Buffer, b: Buffer): number {
  return a.compare(b);
}

function byNumber(a: Buffer, b: Buffer): number {
  if (a.length !== 8 || b.length !== 8) throw new Damage("the tree of the free pages is broken");
  return numberAt(a, 0) - numberAt(b, 0);
}

function numberAt(bytes: Buffer, at: number): number {
  const number = bytes.readBigUInt64LE(at);
  if (number > BigInt(Number.MAX_SAFE_INTEGER)) throw new Damage("a number in it is out of all bounds");
  return Number(number);
}

function signedAt(bytes: Buffer, at: number): number {
  const number = bytes.readBigInt64LE(at);
  if (number > BigInt(Number.MAX_SAFE_INTEGER) || number < -BigInt(Number.MAX_SAFE_INTEGER))
    throw new Damage("a number in it is out of all bounds");
  return Number(number);
}
