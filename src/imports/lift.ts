/**
 * Values from a component for a function in TypeScript: from the engine's JSON (`docs/values.md`) to what jco's
 * generated types promise. The engine has made the JSON by the same types, so nothing is checked here.
 */
import { camelCase, jsonName } from "../wit/names.js";
import type { IntegerName, WitType } from "../wit/wit-type.js";

type Fields = Readonly<Record<string, unknown>>;
type Tagged = { readonly tag: string; readonly val?: unknown };

export function lift(type: WitType, json: unknown): unknown {
  switch (type.kind) {
    case "bool":
    case "string":
    case "char":
    case "enum":
      return json;
    case "integer":
      return type.wide ? BigInt(json as number | string) : json;
    case "float":
      return Number(json);
    case "list":
      return liftList(type.of, json);
    case "map":
      return new Map((json as [unknown, unknown][]).map(([key, value]) => [lift(type.key, key), lift(type.value, value)]));
    case "tuple":
      return type.types.map((part, index) => lift(part, (json as unknown[])[index]));
    case "option":
      return liftOption(type.of, json);
    case "result":
      return liftCase((json as Tagged).tag === "ok" ? type.ok : type.err, json as Tagged, { val: undefined });
    case "record": {
      const object: Record<string, unknown> = {};
      for (const { name, type: of } of type.fields) {
        const value = lift(of, (json as Fields)[jsonName(name)]);
        // A field that is `none` is left out: true of `note?: string` with and without exactOptionalPropertyTypes.
        if (value !== undefined) object[camelCase(name)] = value;
      }
      return object;
    }
    case "variant":
      return liftCase(type.cases.find(({ name }) => name === (json as Tagged).tag)?.type, json as Tagged, {});
    case "flags":
      return Object.fromEntries(type.names.map((name) => [camelCase(name), (json as string[]).includes(name)]));
  }
}

function liftCase(payload: WitType | undefined, { tag, val }: Tagged, empty: object): unknown {
  return payload === undefined ? { tag, ...empty } : { tag, val: lift(payload, val) };
}

/** An option inside an option is `{ tag: "some", val }` or `{ tag: "none" }`, or `some(none)` would be lost. */
function liftOption(of: WitType, json: unknown): unknown {
  if (of.kind !== "option") return json === null || json === undefined ? undefined : lift(of, json);
  return json === null || json === undefined ? { tag: "none" } : { tag: "some", val: lift(of, (json as Tagged).val) };
}

/** Lists of numbers are typed arrays. */
const TYPED_ARRAYS: Readonly<Record<Exclude<IntegerName, "u8"> | "f32" | "f64", (values: never) => ArrayBufferView>> = {
  s8: (values) => Int8Array.from(values),
  u16: (values) => Uint16Array.from(values),
  s16: (values) => Int16Array.from(values),
  u32: (values) => Uint32Array.from(values),
  s32: (values) => Int32Array.from(values),
  u64: (values) => BigUint64Array.from(values),
  s64: (values) => BigInt64Array.from(values),
  f32: (values) => Float32Array.from(values),
  f64: (values) => Float64Array.from(values),
};

function liftList(of: WitType, json: unknown): unknown {
  if (of.kind === "integer" && of.name === "u8") return Uint8Array.from(Buffer.from(json as string, "base64"));
  const values = (json as unknown[]).map((value) => lift(of, value));
  if (of.kind !== "integer" && of.kind !== "float") return values;
  return TYPED_ARRAYS[of.name as Exclude<typeof of.name, "u8">](values as never);
}
