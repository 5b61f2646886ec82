/**
 * Values as MessagePack: the JSON mapping of `docs/values.md` with bytes as bytes and integers as integers of any size.
 *
 * What comes in becomes the engine's JSON, which checks it by the types of the function; only what MessagePack has and
 * JSON has not is looked at here. What goes out is made from the engine's JSON by type.
 */
import { Packr, Unpackr } from "msgpackr";
import { ProblemError } from "../base/problem.js";
import type { Callable } from "./callable.js";
import { msgpackFault } from "./msgpack-check.js";
import { jsonName } from "./names.js";
import type { Member, WitType } from "./wit-type.js";

const packer = new Packr({ useRecords: false, variableMapSize: true });
const unpacker = new Unpackr({ useRecords: false, mapsAsObjects: false, int64AsType: "bigint" });

/** The engine's JSON of arguments: an array, or a map by parameter name. Throws `request/invalid-argument`. */
export function argumentsFromMsgpack(bytes: Uint8Array, { parameters }: Callable): string {
  const value = unpacked(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  if (Array.isArray(value)) return JSON.stringify(value.map((item, i) => toJson(item, parameters[i]?.type, { up: undefined, step: i })));
  if (value instanceof Map) return JSON.stringify(objectOf(value, (key) => fieldOf(parameters, key), undefined));
  throw invalid("$: expected an array of arguments, or a map of them by parameter name");
}

/** MessagePack of a result, from the engine's JSON. `type` undefined: there is no value. */
export function resultToMsgpack(json: string, type: WitType | undefined): Uint8Array<ArrayBuffer> {
  const value = type === undefined ? null : fromJson(type, JSON.parse(json));
  return new Uint8Array(packer.pack(value));
}

function unpacked(bytes: Buffer): unknown {
  const fault = msgpackFault(bytes);
  if (fault !== undefined) throw invalid(`The body cannot be read as MessagePack: ${fault}`);
  return unpacker.unpack(bytes);
}

/** The way to a value, written out only for an error; undefined is the body itself. */
type Place = { readonly up: Place; readonly step: string | number } | undefined;

/** What would be another value by the time the engine sees JSON is refused here: its base64, digits and `NaN` are texts as well. */
function toJson(value: unknown, type: WitType | undefined, place: Place): unknown {
  const wanted = withoutOptions(type);
  if (value instanceof Uint8Array) {
    if (wanted !== undefined && !isBytes(wanted)) throw unexpected(place, wanted, `${value.length} bytes`);
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64");
  }
  if (typeof value === "string" && wanted !== undefined && isBytes(wanted)) throw unexpected(place, wanted, "a string");
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number" || typeof value === "bigint") return numberToJson(value, wanted, place);
  if (Array.isArray(value)) return value.map((item, i) => toJson(item, itemOf(wanted, i), { up: place, step: i }));
  return value instanceof Map ? mapToJson(value, type, place) : null;
}

function numberToJson(value: number | bigint, wanted: WitType | undefined, place: Place): unknown {
  const number = Number(value);
  if (typeof value === "number" ? Number.isFinite(value) : Number.isSafeInteger(number)) return number;
  if (wanted?.kind === "float") return typeof value === "bigint" ? number : String(value);
  if (wanted === undefined || (wanted.kind === "integer" && typeof value === "bigint")) return String(value);
  throw unexpected(place, wanted, String(value));
}

function mapToJson(value: ReadonlyMap<unknown, unknown>, type: WitType | undefined, place: Place): unknown {
  const wanted = type?.kind === "option" && type.of.kind === "option" ? type : withoutOptions(type);
  if (wanted?.kind !== "map") return objectOf(value, (key) => memberOf(wanted, value, key), place);
  return Array.from(value, ([key, item], i) => {
    const pair = { up: place, step: i };
    return [toJson(key, wanted.key, { up: pair, step: 0 }), toJson(item, wanted.value, { up: pair, step: 1 })];
  });
}

function objectOf(map: ReadonlyMap<unknown, unknown>, typeOf: (key: string) => WitType | undefined, place: Place): object {
  // By entries, so that a key `__proto__` stays one.
  return Object.fromEntries(
    Array.from(map, ([key, item]) => {
      if (typeof key !== "string") throw invalid(`${pathOf(place)}: expected names as keys, found ${found(key)}`);
      return [key, toJson(item, typeOf(key), { up: place, step: key })];
    }),
  );
}

function found(key: unknown): string {
  if (key instanceof Uint8Array) return `${key.length} bytes`;
  return typeof key === "object" && key !== null ? "a value that holds others" : String(key);
}

function withoutOptions(type: WitType | undefined): WitType | undefined {
  return type?.kind === "option" ? withoutOptions(type.of) : type;
}

function isBytes(type: WitType): boolean {
  return type.kind === "list" && type.of.kind === "integer" && type.of.name === "u8";
}

function itemOf(type: WitType | undefined, index: number): WitType | undefined {
  if (type?.kind === "list") return type.of;
  if (type?.kind === "map") return { kind: "tuple", types: [type.key, type.value] };
  return type?.kind === "tuple" ? type.types[index] : undefined;
}

function fieldOf(fields: readonly Member<WitType>[], key: string): WitType | undefined {
  return fields.find(({ name }) => name === key || jsonName(name) === key)?.type;
}

function memberOf(type: WitType | undefined, value: ReadonlyMap<unknown, unknown>, key: string): WitType | undefined {
  if (type?.kind === "record") return fieldOf(type.fields, key);
  if (key !== "val") return undefined;
  switch (type?.kind) {
    case "option":
      return type.of;
    case "variant":
      return type.cases.find(({ name }) => name === value.get("tag"))?.type;
    case "result":
      return value.get("tag") === "ok" ? type.ok : type.err;
    default:
      return undefined;
  }
}

function fromJson(type: WitType, json: unknown): unknown {
  switch (type.kind) {
    case "integer":
      return typeof json === "string" || !isSmall(json as number) ? BigInt(json as string | number) : json;
    case "float":
      return Number(json);
    case "list":
      if (isBytes(type)) return Buffer.from(json as string, "base64");
      return (json as unknown[]).map((item) => fromJson(type.of, item));
    case "map":
      return (json as [unknown, unknown][]).map(([key, value]) => [fromJson(type.key, key), fromJson(type.value, value)]);
    case "tuple":
      return (json as unknown[]).map((item, i) => fromJson(type.types[i] as WitType, item));
    case "option":
      if (json === null) return null;
      return type.of.kind === "option" ? { tag: "some", val: fromJson(type.of, (json as Tagged).val ?? null) } : fromJson(type.of, json);
    case "record":
      return Object.fromEntries(
        type.fields.map(({ name, type: of }) => [
          jsonName(name),
          fromJson(of, (json as Readonly<Record<string, unknown>>)[jsonName(name)]),
        ]),
      );
    case "variant":
      return taggedFrom(type.cases.find(({ name }) => name === (json as Tagged).tag)?.type, json as Tagged);
    case "result":
      return taggedFrom((json as Tagged).tag === "ok" ? type.ok : type.err, json as Tagged);
    default:
      return json;
  }
}

interface Tagged {
  readonly tag: string;
  readonly val?: unknown;
}

function taggedFrom(type: WitType | undefined, { tag, val }: Tagged): unknown {
  return type === undefined ? { tag } : { tag, val: fromJson(type, val) };
}

/** msgpackr writes larger numbers as floats. */
function isSmall(number: number): boolean {
  return number >= -(2 ** 31) && number < 2 ** 32;
}

function unexpected(place: Place, wanted: WitType, what: string): ProblemError {
  const expected = isBytes(wanted) ? "bytes" : "name" in wanted ? wanted.name : wanted.kind;
  return invalid(`${pathOf(place)}: expected ${expected}, found ${what}`);
}

/** As the engine writes it (`Path` in `values.rs`). */
function pathOf(place: Place): string {
  if (place === undefined) return "$";
  const { up, step } = place;
  const own = typeof step === "number" ? `[${step}]` : /^\w{1,60}$/.test(step) ? `.${step}` : `[${JSON.stringify(step.slice(0, 60))}]`;
  return pathOf(up) + own;
}

function invalid(message: string): ProblemError {
  return new ProblemError("request/invalid-argument", `${message}.`);
}
