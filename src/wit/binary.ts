/**
 * Values as MessagePack: the JSON mapping of `docs/values.md` with bytes as bytes and integers as integers of any size.
 *
 * What comes in becomes the engine's JSON, which checks it by the types of the function; only what MessagePack has and
 * JSON has not is looked at here. What goes out is made from the engine's JSON by type.
 */
import { Packr, Unpackr } from "msgpackr";
import { ProblemError } from "../base/problem.js";
import type { Callable } from "./callable.js";
import { jsonName } from "./names.js";
import type { WitType } from "./wit-type.js";

const packer = new Packr({ useRecords: false, variableMapSize: true });
const unpacker = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: "bigint" });
/** Levels of nesting, as the engine has it. */
const DEEPEST = 64;

/** The engine's JSON of arguments: an array, or a map by parameter name. Throws `request/invalid-argument`. */
export function argumentsFromMsgpack(bytes: Uint8Array, { parameters }: Callable): string {
  let value: unknown;
  try {
    value = unpacker.unpack(bytes);
  } catch (error) {
    throw invalid(`the body is not MessagePack: ${error instanceof Error ? error.message : String(error)}`);
  }
  const types = new Map(parameters.flatMap(({ name, type }) => [[name, type] as const, [jsonName(name), type] as const]));
  const typeOf = (key: string | number): WitType | undefined => (typeof key === "number" ? parameters[key]?.type : types.get(key));
  if (Array.isArray(value)) return JSON.stringify(value.map((item, i) => toJson(item, typeOf(i), `$[${i}]`, 1)));
  if (isObject(value)) return JSON.stringify(mapped(value, (item, key) => toJson(item, typeOf(key), `$.${key}`, 1)));
  throw invalid("$: expected an array of arguments, or a map of them by parameter name");
}

/** MessagePack of a result, from the engine's JSON. `type` undefined: there is no value. */
export function resultToMsgpack(json: string, type: WitType | undefined): Uint8Array<ArrayBuffer> {
  const value = type === undefined ? null : fromJson(type, JSON.parse(json));
  return new Uint8Array(packer.pack(value));
}

/** Bytes fit where bytes are wanted alone; the engine would take their base64 for a string. */
function toJson(value: unknown, type: WitType | undefined, place: string, depth: number): unknown {
  if (depth > DEEPEST) throw invalid(`${place.slice(0, 60)}…: values are nested more than ${DEEPEST} levels deep; flatten them`);
  if (value instanceof Uint8Array) {
    if (type !== undefined && !isBytes(type)) throw invalid(`${place}: expected ${type.kind}, found ${value.length} bytes`);
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64");
  }
  if (typeof value === "string" && type !== undefined && isBytes(type)) throw invalid(`${place}: expected bytes, found a string`);
  // However many bytes it was written in.
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (Array.isArray(value)) return value.map((item, i) => toJson(item, itemOf(type, i), `${place}[${i}]`, depth + 1));
  if (value === null || value === undefined || typeof value === "boolean" || typeof value === "string") return value ?? null;
  if (isObject(value)) return mapped(value, (item, key) => toJson(item, memberOf(type, value, key), `${place}.${key}`, depth + 1));
  throw invalid(`${place}: a MessagePack extension is no value of WIT`);
}

function isBytes(type: WitType): boolean {
  if (type.kind === "option") return isBytes(type.of);
  return type.kind === "list" && type.of.kind === "integer" && type.of.name === "u8";
}

function itemOf(type: WitType | undefined, index: number): WitType | undefined {
  if (type?.kind === "option") return itemOf(type.of, index);
  if (type?.kind === "list") return type.of;
  return type?.kind === "tuple" ? type.types[index] : undefined;
}

function memberOf(type: WitType | undefined, value: Readonly<Record<string, unknown>>, key: string): WitType | undefined {
  switch (type?.kind) {
    case "option":
      return type.of.kind === "option" && key === "val" ? type.of : memberOf(type.of, value, key);
    case "record":
      return type.fields.find(({ name }) => name === key || jsonName(name) === key)?.type;
    case "variant":
      return key === "val" ? type.cases.find(({ name }) => name === value["tag"])?.type : undefined;
    case "result":
      return key === "val" ? (value["tag"] === "ok" ? type.ok : type.err) : undefined;
    default:
      return undefined;
  }
}

function fromJson(type: WitType, json: unknown): unknown {
  switch (type.kind) {
    case "integer":
      return typeof json === "string" ? BigInt(json) : json;
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

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === "object" &&
    value !== null &&
    (Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null)
  );
}

function mapped(value: Readonly<Record<string, unknown>>, of: (item: unknown, key: string) => unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, of(item, key)]));
}

function invalid(message: string): ProblemError {
  return new ProblemError("request/invalid-argument", `${message}.`);
}
