/**
 * Takes secret values out of text that guests write: log lines, and what of theirs gets into problems.
 *
 * A guest has its secrets and may print them, whole, line by line (a PEM file), inside JSON or a URL. All those forms
 * are found in one walk over the text, whose cost does not grow with the number of secrets: a rolling hash over as many
 * characters as the shortest form has says where one may begin. Where finding exactly would cost more than a log line
 * is worth, more is masked instead of less; so is a beginning that the text's end cuts off. What a guest has encoded in
 * another way (base64, halves) is not found.
 */

/** Shorter ones would mask half of every text: a value of 3 to 5 characters is masked as a whole word, below it is not. */
export const SHORTEST = 6;
const SHORTEST_WORD = 3;
const MASK = "***";
/** A form that agrees with the text for so long is taken for it. */
const ENOUGH = 64;
/** More forms that begin alike than these: what begins like them is masked to the text's end. */
const ALIKE = 8;

const BASE = 0x01000193;
/** BASE to the power of SHORTEST - 1: what the character that leaves the window counts for. */
const LEAVING = power(BASE, SHORTEST - 1);
const FILTER = 4096;

export class Mask {
  readonly #forms = new Map<number, string[]>();
  /** Says no to most places without asking the map. */
  readonly #filter = new Uint8Array(FILTER);
  /** The values that are shorter than any form. */
  readonly #words: RegExp | undefined;

  constructor(values: Iterable<string>) {
    const words = new Set<string>();
    for (const value of values) {
      for (const form of formsOf(value)) this.#add(form);
      const word = value.trim();
      if (word.length >= SHORTEST_WORD && word.length < SHORTEST) words.add(word);
    }
    this.#words = words.size === 0 ? undefined : anyOf(words);
  }

  /** The text with every value that occurs in it replaced; the same string when there is none. */
  apply(text: string): string {
    const masked = this.#walk(text);
    return this.#words === undefined ? masked : masked.replace(this.#words, MASK);
  }

  #walk(text: string): string {
    if (this.#forms.size === 0 || text.length < SHORTEST) return text;
    let out = "";
    /** Up to here the text is in `out`, and up to there it is masked. */
    let done = 0;
    let end = 0;
    let hash = hashOf(text);
    for (let at = 0; ; at++) {
      const length = this.#filter[hash & (FILTER - 1)] === 0 ? 0 : this.#longest(hash, text, at);
      if (length > 0) {
        if (at >= end || end === 0) out += text.slice(done, at) + MASK;
        end = Math.max(end, Math.min(at + length, text.length));
        done = end;
      }
      const next = at + SHORTEST;
      if (next >= text.length || end === text.length) break;
      hash = (Math.imul(hash - Math.imul(text.charCodeAt(at), LEAVING), BASE) + text.charCodeAt(next)) | 0;
    }
    return end === 0 ? text : out + text.slice(done);
  }

  /** How long the longest form is that begins here. */
  #longest(hash: number, text: string, at: number): number {
    const forms = this.#forms.get(hash);
    if (forms === undefined) return 0;
    if (forms.length > ALIKE) return text.length;
    let longest = 0;
    for (const form of forms) {
      const compared = Math.min(form.length, ENOUGH, text.length - at);
      if (form.length > longest && text.startsWith(form.slice(0, compared), at)) longest = form.length;
    }
    return longest;
  }

  #add(form: string): void {
    const hash = hashOf(form);
    const forms = this.#forms.get(hash);
    if (forms === undefined) this.#forms.set(hash, [form]);
    else if (forms.length <= ALIKE && !forms.includes(form)) forms.push(form);
    this.#filter[hash & (FILTER - 1)] = 1;
  }
}

/** How a value may look in a text: as it is, each of its lines, and each as JSON and URLs write it. */
function formsOf(value: string): string[] {
  const plain = [value, ...value.split(/\r?\n/).map((line) => line.trim())].filter((form) => form.length >= SHORTEST);
  return [...plain, ...plain.map((form) => JSON.stringify(form).slice(1, -1)), ...plain.map(inUrl)];
}

/** As UTF-8 has it: half a surrogate pair, which no value from the store holds, would throw. */
function inUrl(form: string): string {
  return encodeURIComponent(Buffer.from(form).toString());
}

/** The words where they stand alone. */
function anyOf(words: Iterable<string>): RegExp {
  const escaped = Array.from(words, (word) => word.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
  return new RegExp(`(?<![\\p{L}\\p{N}_])(?:${escaped.join("|")})(?![\\p{L}\\p{N}_])`, "gu");
}

/** Of the first SHORTEST characters. */
function hashOf(text: string): number {
  let hash = 0;
  for (let i = 0; i < SHORTEST; i++) hash = (Math.imul(hash, BASE) + text.charCodeAt(i)) | 0;
  return hash;
}

function power(base: number, exponent: number): number {
  let result = 1;
  for (let i = 0; i < exponent; i++) result = Math.imul(result, base);
  return result;
}
