/** Names of WIT (`max-size`) as TypeScript and the engine's JSON have them. */

/** As jco's generated types have it: `maxSize`. */
export function camelCase(name: string): string {
  return joined(name, "");
}

/** As the engine's JSON has it, where a word that begins with a digit keeps a `_` before it (`json_name` in `values.rs`). */
export function jsonName(name: string): string {
  return joined(name, "_");
}

function joined(name: string, beforeDigit: string): string {
  const [first = "", ...words] = name.toLowerCase().split("-");
  return first + words.map((word) => (/^\d/.test(word) ? beforeDigit : "") + word.charAt(0).toUpperCase() + word.slice(1)).join("");
}

/**
 * A member of an object of the embedder's, by its name in lowerCamelCase or as WIT has it. What every object has, such as
 * `toString`, is none unless it was put there.
 */
export function memberOf(object: object, name: string): unknown {
  for (const spelling of [camelCase(name), name]) {
    const value = (object as Readonly<Record<string, unknown>>)[spelling];
    const inherited = (Object.prototype as unknown as Readonly<Record<string, unknown>>)[spelling];
    if (value !== undefined && value !== inherited) return value;
  }
  return undefined;
}
