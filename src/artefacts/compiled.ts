/**
 * Compiled forms of components, counted and collected: native/core/src/artefacts.rs writes and maps them, in a folder of
 * their own.
 *
 * `<digest>-<compatibility>.cwasm` with `<digest>-<compatibility>.seal` beside it. One that is missing is compiled again,
 * so nothing is lost when too much goes; one that is mapped stays mapped when its file goes. Which form the present engine
 * would take only the engine knows: here the one that was written or used last counts as it.
 */
import { readdirSync, type Stats } from "node:fs";
import { readdir, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import type { Digest } from "./components.js";

const COMPILED = /^([0-9a-f]{64})-[0-9a-f]{16}\.(?:cwasm|seal)$/;
const FORM = /^[0-9a-f]{64}-[0-9a-f]{16}\.cwasm$/;
const DIGEST_LENGTH = 64;
/** What tempfile calls a file that is being written. */
const DRAFT = /^\.tmp[A-Za-z0-9]{6}$/;
/** Writing a compiled form takes a second at most; what has been there for so long belongs to a killed process. */
const DRAFT_MS = 10 * 60_000;

/** One compiled form with its seal. */
interface Form {
  readonly digest: Digest;
  /** Without folder: `<digest>-<compatibility>.cwasm`. */
  readonly name: string;
  readonly bytes: number;
  /** When it was written or last used; milliseconds since 1970. */
  readonly usedAt: number;
}

/** What is known of the folder, and a budget of bytes that it is held to. */
export class CompiledCache {
  readonly #folder: string | null;
  /** Of which components there are forms, and their names; read from the folder when first asked for. */
  #known: Map<Digest, string[]> | undefined;

  /** `null`: nothing is kept, and every component is compiled anew. */
  constructor(folder: string | null) {
    this.#folder = folder;
  }

  /** False when compiled forms live in memory alone, as long as what was linked from them. */
  get keeps(): boolean {
    return this.#folder !== null;
  }

  has(digest: Digest): boolean {
    return this.#names().has(digest);
  }

  /**
   * The engine has loaded the component: its form is there, and the last to go. True when none was known before. What goes
   * wrong with the file's time is nobody's loss.
   */
  async used(digest: Digest): Promise<boolean> {
    if (this.#folder === null) return false;
    const names = this.#names().get(digest);
    if (names === undefined) {
      this.#known = undefined;
      return this.has(digest);
    }
    const name = names.length === 1 ? names[0] : await this.#latest(names);
    const now = new Date();
    if (name !== undefined) await utimes(join(this.#folder, name), now, now).catch(() => {});
    return false;
  }

  /** Bytes of all forms with their seals, on disk. */
  async bytes(): Promise<number> {
    return (await this.#forms()).reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /**
   * Removes forms, the least recently used first, until no more than so many bytes are left; those in `keep` stay. Gives the
   * components that have none any more.
   */
  async enforce(budgetBytes: number, keep: ReadonlySet<Digest>): Promise<Digest[]> {
    const forms = (await this.#forms()).sort((a, b) => a.usedAt - b.usedAt);
    let left = forms.reduce((sum, { bytes }) => sum + bytes, 0);
    const touched = new Set<Digest>();
    for (const { digest, name, bytes } of forms) {
      if (left <= budgetBytes) break;
      if (keep.has(digest)) continue;
      await this.#remove(name);
      left -= bytes;
      touched.add(digest);
    }
    if (touched.size > 0) this.#known = undefined;
    return [...touched].filter((digest) => !this.has(digest));
  }

  /**
   * Removes the forms of components that are not in `keep`, for whatever version of the engine, and drafts that nobody
   * writes any more; every other file is left alone. Gives the names of the files that are gone; a folder that is not there
   * has none.
   */
  async collect(keep: ReadonlySet<Digest>, now: number = Date.now()): Promise<string[]> {
    if (this.#folder === null) return [];
    const gone: string[] = [];
    for (const name of await namesIn(this.#folder)) {
      const digest = COMPILED.exec(name)?.[1];
      const path = join(this.#folder, name);
      const isUnused = digest === undefined ? DRAFT.test(name) && (await isOlder(path, now - DRAFT_MS)) : !keep.has(digest);
      if (!isUnused) continue;
      await rm(path, { force: true });
      if (digest !== undefined) this.#known?.delete(digest);
      gone.push(name);
    }
    return gone;
  }

  #names(): Map<Digest, string[]> {
    return (this.#known ??= byDigest(this.#folder === null ? [] : namesNow(this.#folder)));
  }

  async #forms(): Promise<Form[]> {
    if (this.#folder === null) return [];
    const names = (await namesIn(this.#folder)).filter((name) => FORM.test(name));
    return (await Promise.all(names.map((name) => this.#form(name)))).filter((form) => form !== undefined);
  }

  /** Undefined: it has gone meanwhile. */
  async #form(name: string): Promise<Form | undefined> {
    const path = join(this.#folder as string, name);
    const [form, seal] = await Promise.all([seen(path), seen(join(this.#folder as string, sealOf(name)))]);
    return form && { digest: digestOfForm(name), name, bytes: form.size + (seal?.size ?? 0), usedAt: form.mtimeMs };
  }

  async #latest(names: readonly string[]): Promise<string | undefined> {
    const forms = (await Promise.all(names.map((name) => this.#form(name)))).filter((form) => form !== undefined);
    return forms.sort((one, other) => other.usedAt - one.usedAt)[0]?.name;
  }

  async #remove(name: string): Promise<void> {
    for (const file of [sealOf(name), name]) await rm(join(this.#folder as string, file), { force: true });
  }
}

function sealOf(name: string): string {
  return name.replace(/cwasm$/, "seal");
}

/** The name is that of a form. */
function digestOfForm(name: string): Digest {
  return name.slice(0, DIGEST_LENGTH);
}

function byDigest(names: readonly string[]): Map<Digest, string[]> {
  const all = new Map<Digest, string[]>();
  for (const name of names) {
    const digest = digestOfForm(name);
    const others = all.get(digest);
    if (others === undefined) all.set(digest, [name]);
    else others.push(name);
  }
  return all;
}

function namesNow(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => FORM.test(name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    // A seal goes before what it seals, as one without a file is nothing.
    return (await readdir(folder)).sort().reverse();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

async function isOlder(path: string, than: number): Promise<boolean> {
  const found = await seen(path);
  return found !== undefined && found.mtimeMs < than;
}

/** Undefined: it is gone, or has another name by now. */
async function seen(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch {
    return undefined;
  }
}
