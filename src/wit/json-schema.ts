/** JSON Schema (2020-12) of WIT types in the JSON mapping of `docs/values.md`. */
import type { Callable } from "./callable.js";
import { jsonName } from "./names.js";
import type { WitType } from "./wit-type.js";

export type JsonSchema = Readonly<Record<string, unknown>>;

const DIALECT = "https://json-schema.org/draft/2020-12/schema";
const DIGITS = { unsigned: "^[0-9]+$", signed: "^-?[0-9]+$" };

/** What a value of the type is written as. Of names with two spellings, that which comes back. */
export function schemaOf(type: WitType): JsonSchema {
  switch (type.kind) {
    case "bool":
      return { type: "boolean" };
    case "string":
      return { type: "string" };
    case "char":
      return { type: "string", minLength: 1, maxLength: 1, description: "one character" };
    case "integer":
      return type.wide
        ? wideSchema(type.name, type.min, type.max)
        : { type: "integer", minimum: Number(type.min), maximum: Number(type.max) };
    case "float":
      return { anyOf: [{ type: "number" }, { enum: ["NaN", "Infinity", "-Infinity"] }], description: type.name };
    case "list":
      return listSchema(type.of, type.length);
    case "map":
      return mapSchema(type.key, type.value);
    case "tuple":
      return tuple(type.types.map((part) => schemaOf(part)));
    case "option":
      return type.of.kind === "option"
        ? { anyOf: [{ type: "null" }, caseSchema("some", type.of)] }
        : { anyOf: [{ type: "null" }, schemaOf(type.of)] };
    case "result":
      return { oneOf: [caseSchema("ok", type.ok), caseSchema("err", type.err)] };
    case "record":
      return object(type.fields.map(({ name, type: of }) => [jsonName(name), schemaOf(of), of.kind !== "option"]));
    case "variant":
      return { oneOf: type.cases.map(({ name, type: of }) => caseSchema(name, of)) };
    case "enum":
      return { enum: type.names };
    case "flags":
      return { type: "array", items: { enum: type.names }, uniqueItems: true };
  }
}

/** The arguments: an array in order, of which options may be left out at the end, or an object by name. */
export function argumentsSchema({ parameters }: Callable): JsonSchema {
  const schemas = parameters.map(({ type }) => schemaOf(type));
  const needed = parameters.findLastIndex(({ type }) => type.kind !== "option") + 1;
  const array = schemas.length === 0 ? { maxItems: 0 } : { prefixItems: schemas, items: false, minItems: needed };
  return { $schema: DIALECT, type: "array", ...array };
}

/** The same by name, which a body may be as well. */
export function namedArgumentsSchema({ parameters }: Callable): JsonSchema {
  return { $schema: DIALECT, ...object(parameters.map(({ name, type }) => [jsonName(name), schemaOf(type), type.kind !== "option"])) };
}

/** What is answered with 200: of a `result`, its ok value. */
export function resultSchema({ result }: Callable): JsonSchema {
  const type = result?.kind === "result" ? result.ok : result;
  return { $schema: DIALECT, ...(type === undefined ? { type: "null" } : schemaOf(type)) };
}

/** The `error` of the problem that is answered with 422; undefined: the function has none. */
export function errorSchema({ result }: Callable): JsonSchema | undefined {
  if (result?.kind !== "result") return undefined;
  return { $schema: DIALECT, ...(result.err === undefined ? { type: "null" } : schemaOf(result.err)) };
}

/** No number of JavaScript's is the limit of 64 bits: a validator would round it. */
function wideSchema(name: string, min: bigint, max: bigint): JsonSchema {
  const integer = min === 0n ? { type: "integer", minimum: 0 } : { type: "integer" };
  const digits = { type: "string", pattern: min === 0n ? DIGITS.unsigned : DIGITS.signed };
  return { anyOf: [integer, digits], description: `${name}: from ${min} to ${max}` };
}

function mapSchema(key: WitType, value: WitType): JsonSchema {
  const pairs = { type: "array", items: tuple([schemaOf(key), schemaOf(value)]) };
  return key.kind === "string" ? { anyOf: [pairs, { type: "object", additionalProperties: schemaOf(value) }] } : pairs;
}

function listSchema(of: WitType, length: number | undefined): JsonSchema {
  if (of.kind === "integer" && of.name === "u8") {
    const bytes = length === undefined ? {} : { description: `${length} bytes` };
    return { type: "string", contentEncoding: "base64", ...bytes };
  }
  return { type: "array", items: schemaOf(of), ...(length === undefined ? {} : { minItems: length, maxItems: length }) };
}

function tuple(schemas: readonly JsonSchema[]): JsonSchema {
  return { type: "array", prefixItems: schemas, items: false, minItems: schemas.length };
}

function caseSchema(name: string, of: WitType | undefined): JsonSchema {
  const val: (readonly [string, JsonSchema, boolean])[] = of === undefined ? [] : [["val", schemaOf(of), of.kind !== "option"]];
  return object([["tag", { const: name }, true], ...val]);
}

function object(fields: readonly (readonly [string, JsonSchema, boolean])[]): JsonSchema {
  return {
    type: "object",
    properties: Object.fromEntries(fields.map(([name, schema]) => [name, schema])),
    required: fields.filter(([, , needed]) => needed).map(([name]) => name),
    additionalProperties: false,
  };
}
