/**
 * Values from a function in TypeScript for a component: from what jco's generated types promise to the engine's JSON
 * (`docs/values.md`), checked against the WIT type. Fields that the type does not have are left behind, as TypeScript
 * allows them; anything else that does not fit is refused with its place.
 */
import { camelCase, memberOf } from "../wit/names.js";
import type { WitType } from "../wit/wit-type.js";

/** A value that does not fit its WIT type. The message has the place, what is right there, and what was found. */
class Misfit extends Error {
  override readonly name = "Misfit";

  constructor(place: string, expected: string, found: unknown) {
    super(`${place}: expected ${expected}, found ${shown(found)}`);
  }
}

/** `place` is where `value` is, for messages: `result.rows[3].id`. Throws `Misfit`. */
export function lower(type: WitType, value: unknown, place: string): unknown {
  switch (type.kind) {
    case "bool":
      if (typeof value !== "boolean") throw new Misfit(place, "a boolean", value);
      return value;
    case "string":
      if (typeof value !== "string") throw new Misfit(place, "a string", value);
      return value.replace(/\p{Surrogate}/gu, "\u{fffd}");
    case "char":
      if (typeof value !== "string" || !/^\P{Surrogate}$/u.test(value)) {
        throw new Misfit(place, "a string of one character", value);
      }
      return value;
    case "integer":
      return lowerInteger(type, value, place);
    case "float":
      if (typeof value !== "number") throw new Misfit(place, `a number (${type.name})`, value);
      return Number.isFinite(value) ? value : String(value);
    case "list":
      return lowerList(type, value, place);
    case "map":
      if (!(value instanceof Map)) throw new Misfit(place, "a Map", value);
      return [...value].map(([key, of], index) => [
        lower(type.key, key, `${place}, key ${index}`),
        lower(type.value, of, `${place}, value ${index}`),
      ]);
    case "tuple":
      return itemsOf(value, place, type.types.length, "a tuple").map((item, index) =>
        lower(type.types[index] as WitType, item, `${place}[${index}]`),
      );
    case "option":
      return lowerOption(type.of, value, place);
    case "result":
      return lowerCase(
        [
          { name: "ok", type: type.ok },
          { name: "err", type: type.err },
        ],
        value,
        place,
      );
    case "record": {
      const object = objectOf(value, place, `an object with ${type.fields.map(({ name }) => camelCase(name)).join(", ")}`);
      return Object.fromEntries(
        type.fields.map(({ name, type: of }) => [name, lower(of, memberOf(object, name), `${place}.${camelCase(name)}`)]),
      );
    }
    case "variant":
      return lowerCase(type.cases, value, place);
    case "enum":
      if (typeof value !== "string" || !type.names.includes(value)) throw new Misfit(place, oneOf(type.names), value);
      return value;
    case "flags":
      return lowerFlags(type.names, value, place);
  }
}

function lowerInteger(type: WitType & { kind: "integer" }, value: unknown, place: string): number | string {
  const whole = typeof value === "bigint" ? type.wide : typeof value === "number" && Number.isSafeInteger(value);
  const fits = whole && BigInt(value as bigint | number) >= type.min && BigInt(value as bigint | number) <= type.max;
  if (!fits) throw new Misfit(place, `${type.wide ? "a bigint" : "a whole number"} from ${type.min} to ${type.max} (${type.name})`, value);
  return typeof value === "bigint" ? value.toString() : (value as number);
}

function lowerList({ of, length }: WitType & { kind: "list" }, value: unknown, place: string): unknown {
  if (of.kind === "integer" && of.name === "u8") return lowerBytes(of, length, value, place);
  return itemsOf(value, place, length, "an array").map((item, index) => lower(of, item, `${place}[${index}]`));
}

function lowerBytes(of: WitType, length: number | undefined, value: unknown, place: string): string {
  const items = itemsOf(value, place, length, "a Uint8Array");
  const bytes =
    value instanceof Uint8Array ? value : Uint8Array.from(items, (item, index) => lower(of, item, `${place}[${index}]`) as number);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/** The elements of an array or typed array, which must be `length` when that is given. */
function itemsOf(
  value: unknown,
  place: string,
  length: number | undefined,
  expected: string,
): ArrayLike<unknown> & { map: unknown[]["map"] } {
  const isList = Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
  const wanted = length === undefined ? expected : `${expected} of ${length}`;
  if (!isList || (length !== undefined && (value as unknown as unknown[]).length !== length)) throw new Misfit(place, wanted, value);
  // A copy, so that holes are undefined, and `map` of a typed array does not make another typed array.
  return Array.from(value as unknown as ArrayLike<unknown>);
}

function lowerOption(of: WitType, value: unknown, place: string): unknown {
  if (value === undefined || value === null) return null;
  if (of.kind !== "option") return lower(of, value, place);
  const { tag, val } = objectOf(value, place, 'undefined, { tag: "none" } or { tag: "some", val }') as { tag?: unknown; val?: unknown };
  if (tag === "none") return null;
  if (tag !== "some") throw new Misfit(`${place}.tag`, '"some" or "none"', tag);
  return { tag, val: lower(of, val, `${place}.val`) };
}

function lowerCase(
  cases: readonly { readonly name: string; readonly type: WitType | undefined }[],
  value: unknown,
  place: string,
): unknown {
  const names = cases.map(({ name }) => name);
  const { tag, val } = objectOf(value, place, `{ tag, val } with a tag that is ${oneOf(names)}`) as { tag?: unknown; val?: unknown };
  const found = cases.find(({ name }) => name === tag);
  if (found === undefined) throw new Misfit(`${place}.tag`, oneOf(names), tag);
  return found.type === undefined ? { tag } : { tag, val: lower(found.type, val, `${place}.val`) };
}

function lowerFlags(names: readonly string[], value: unknown, place: string): string[] {
  const object = objectOf(value, place, `an object of booleans: ${names.map(camelCase).join(", ")}`);
  return names.filter((name) => {
    const set = memberOf(object, name) ?? false;
    if (typeof set !== "boolean") throw new Misfit(`${place}.${camelCase(name)}`, "a boolean", set);
    return set;
  });
}

function objectOf(value: unknown, place: string, expected: string): object {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Misfit(place, expected, value);
  return value;
}

function oneOf(names: readonly string[]): string {
  const shownNames = names.slice(0, NAMES_SHOWN).map((name) => JSON.stringify(name));
  if (names.length > NAMES_SHOWN) shownNames.push(`${names.length - NAMES_SHOWN} others`);
  return shownNames.length < 2 ? shownNames.join("") : `${shownNames.slice(0, -1).join(", ")} or ${shownNames.at(-1)}`;
}

/** Names listed in one message before the rest is only counted. */
const NAMES_SHOWN = 20;
/** Characters of a wrong value that a message repeats. */
const CHARACTERS_SHOWN = 60;

/** A value that was not expected, for a message. */
export function shown(value: unknown): string {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "string") return JSON.stringify(value.length > CHARACTERS_SHOWN ? `${value.slice(0, CHARACTERS_SHOWN)}…` : value);
  if (Array.isArray(value) || (ArrayBuffer.isView(value) && "length" in value)) {
    return `${Array.isArray(value) ? "an array" : value.constructor.name} of ${(value as unknown as unknown[]).length}`;
  }
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return String(value);
  const fields = Object.keys(value).slice(0, NAMES_SHOWN);
  return fields.length === 0 ? "an object without fields" : `an object with ${fields.join(", ")}`;
}
