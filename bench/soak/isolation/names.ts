/**
 * What differs between two nodes that were asked the same: ids, keys, times, ports. Each gets a name that both share.
 *
 * A request says `«acme:k3.id»` where it means the id of acme's fourth key; each node fills in its own, and in what it
 * answers its own is turned back into the name. A name that a node has never given a value gets one of the right form that nobody
 * was ever given, so that a request about somebody else's key is asked in earnest also where there is no such tenant.
 */
import { createHash } from "node:crypto";

const NAME = /«([^»]+)»/g;

/** Times, and what depends on them: what a run took, how many instances there are at the moment. How many runs there were does not. */
const MEASURED = /"(?:\w+Seconds|cost|p95Bytes|maxBytes|peakConcurrency|chargedBytes|busy|idle|starting)": ?[\d.e-]+/g;
/** A time or a size in a sentence, or how many were there at once. */
const FIGURE = /\d[\d.]*(?:ms|s|m|h|[KMG]iB|B)\b|\d+(?= at once)|(?:one instance|\d+ instances)/g;

function measured(text: string): string {
  return text.replace(/(: ?)[\d.e-]+/g, "$1«now»");
}

/** The values of one node. */
export class Names {
  readonly #values = new Map<string, string>();
  readonly #names = new Map<string, string>();
  readonly #origins: readonly (readonly [string, string])[];
  readonly #salt: string;

  /** `origins` are the node's own addresses, each with what it is called; `salt` tells this node's unknown values from another's. */
  constructor(origins: readonly (readonly [string, string])[], salt: string) {
    this.#origins = origins;
    this.#salt = salt;
  }

  set(name: string, value: string): void {
    this.#values.set(name, value);
    this.#names.set(value, name);
  }

  /** The text with the values of this node. */
  fill(text: string): string {
    return text.replace(NAME, (_, name: string) => this.#valueOf(name));
  }

  /** What a node said, without what is its own. Counters stay: nobody else's doing may move them. */
  mask(text: string): string {
    let masked = text;
    for (const [origin, name] of this.#origins) masked = masked.replaceAll(origin, name);
    return (
      masked
        .replace(/"next": ?"([^"]+)"/g, (whole, cursor: string) => (/^\d+$/.test(cursor) ? whole : `"next":"${decoded(cursor)}"`))
        .replace(/"(queueMs|runMs|cpuMs|memoryBytes|concurrency|memory)": ?[\d.e-]+/g, '"$1":«now»')
        .replace(/"(?:rungs|memory)": ?\{[^}]*\}/g, measured)
        .replace(MEASURED, measured)
        // Left out while something runs.
        .replace(/,?\s*"idleMs": ?[\d.e-]+/g, "")
        .replace(/"why": ?"[^"]*"/g, (why) => why.replace(FIGURE, "«now»"))
        // How a run came by its place shows how full the node is, as its time does.
        .replace(/"why": ?\[[^\]]*\]/g, '"why":«now»')
        .replace(/pl_[\w-]{43}/g, (key) => `«${this.#names.get(key) ?? "a key"}»`)
        .replace(/\b[0-9a-f]{32}\b/g, (run) => `«${this.#names.get(run) ?? "a run"}»`)
        .replace(/\b[0-9a-f]{16}\b/g, (id) => `«${this.#names.get(id) ?? "an id"}»`)
        .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, "«time»")
        .replace(/\b\d+\.\d+ ms\b/g, "«ms»")
        // A revision of a store tells nothing but whether it is the same one (src/control/stores.ts): it counts nothing.
        .replace(/("revision": ?|^etag: "|\brevision |\bnot )\d{10,15}\b/gm, "$1«opaque»")
        .replace(/^(\S+ +)\d{10,15}( +\S+)$/gm, "$1«opaque»$2")
        .replace(/^(server-timing): .*$/gm, "$1: «times»")
        .replace(/"capacity": ?"[^"]*"/g, '"capacity":«now»')
        .replace(/ {2,}/g, "  ")
    );
  }

  #valueOf(name: string): string {
    const known = this.#values.get(name);
    if (known !== undefined) return known;
    const value = unknownValue(name, this.#salt);
    // What an answer quotes of it reads the same on every node.
    this.#names.set(value, name);
    this.#values.set(name, value);
    return value;
  }
}

/** A value of the form that the name's kind has: a key's text or id, a run's id, an ETag, a cursor. */
function unknownValue(name: string, salt: string): string {
  const hash = createHash("sha256").update(`${salt} ${name}`);
  if (name.endsWith(".text")) return `pl_${hash.digest("base64url")}`;
  const hex = hash.digest("hex");
  if (name.endsWith(".id")) return hex.slice(0, 16);
  if (name.startsWith("etag ")) return '"999999"';
  return name.startsWith("next ") ? "YQ" : hex.slice(0, 32);
}

/** A cursor is base64url of the last item's key, which may hold an id and a time. */
function decoded(cursor: string): string {
  return Buffer.from(cursor, "base64url").toString("utf8").replaceAll(/["\\]/g, "?");
}

/** The text without the numbers that count changes: what still differs then differs by more than a counter. */
export function withoutCounters(text: string): string {
  return text
    .replace(/"(revision|sequence)": ?\d+/g, '"$1":«n»')
    .replace(/"next": ?"\d+"/g, '"next":«n»')
    .replace(/^etag: "\d+"$/gm, "etag: «n»")
    .replace(/\brevision \d+( by now, and not \d+)?/g, "revision «n»")
    .replace(/^(\S+ +)\d+( +\S+)$/gm, "$1«n»$2");
}
