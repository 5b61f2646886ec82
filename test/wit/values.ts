/** Random WIT types, and random values of a type in both encodings. */
import fc from "fast-check";
import { jsonName } from "../../src/wit/names.js";
import type { Member, WitType } from "../../src/wit/wit-type.js";

/** One value as the engine writes it in JSON, and as MessagePack has it. */
export interface Both {
  readonly json: unknown;
  readonly packed: unknown;
}

const NAMES = ["a", "max-size", "b-2nd", "tag", "val", "c3", "URL"];
const PLAIN = "bool string char u8 s8 u16 s16 u32 s32 u64 s64 f32 f64".split(" ");

/** The text of a type, as the engine writes it. */
export const typeText: fc.Arbitrary<string> = fc.letrec<{ type: string; payload: string | undefined; plain: string }>((tie) => {
  const names = fc.uniqueArray(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 4 });
  const members = (of: fc.Arbitrary<string | undefined>, write: (name: string, type: string | undefined) => string) =>
    fc
      .uniqueArray(fc.tuple(fc.constantFrom(...NAMES), of), { minLength: 1, maxLength: 4, selector: ([name]) => name })
      .map((all) => all.map(([name, type]) => write(name, type)).join(", "));
  const arms = fc.tuple(tie("payload"), tie("payload"));
  return {
    plain: fc.constantFrom(...PLAIN, "list<u8>"),
    payload: fc.option(tie("type"), { nil: undefined }),
    type: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      tie("plain"),
      tie("type").map((of) => `list<${of}>`),
      tie("type").map((of) => `option<${of}>`),
      fc.array(tie("type"), { minLength: 1, maxLength: 3 }).map((all) => `tuple<${all.join(", ")}>`),
      members(tie("type"), (name, type) => `${name}: ${type}`).map((fields) => `record { ${fields} }`),
      members(tie("payload"), (name, type) => (type === undefined ? name : `${name}(${type})`)).map((cases) => `variant { ${cases} }`),
      names.map((all) => `enum { ${all.join(", ")} }`),
      names.map((all) => `flags { ${all.join(", ")} }`),
      arms.map(([ok, err]) => (err !== undefined ? `result<${ok ?? "_"}, ${err}>` : ok === undefined ? "result" : `result<${ok}>`)),
    ),
  };
}).type;

/** Any value of the type. Zero with a sign is left out: JavaScript writes it without. */
export function valueOf(type: WitType): fc.Arbitrary<Both> {
  switch (type.kind) {
    case "bool":
      return fc.boolean().map(same);
    case "string":
      return fc.string({ unit: "binary", maxLength: 40 }).map(same);
    case "char":
      return fc.string({ unit: "binary", minLength: 1, maxLength: 1 }).map(same);
    case "integer":
      // Those between 32 and 53 bits are few among all, and written in a way of their own.
      return (type.wide ? fc.oneof(fc.bigInt(type.min, type.max), fc.bigInt(0n, 2n ** 53n)) : fc.bigInt(type.min, type.max)).map(integer);
    case "float":
      // Few bits, so that 32 of them hold it.
      return fc.oneof(type.name === "f64" ? fc.double() : fc.integer({ min: -4000, max: 4000 }).map((n) => n / 4), SPECIAL).map(float);
    case "list":
      return type.of.kind === "integer" && type.of.name === "u8"
        ? fc.uint8Array({ maxLength: 40 }).map((bytes) => ({ json: Buffer.from(bytes).toString("base64"), packed: Buffer.from(bytes) }))
        : fc.array(valueOf(type.of), { maxLength: 4 }).map(list);
    case "tuple":
      return fc.tuple(...type.types.map(valueOf)).map(list);
    case "option": {
      const some = valueOf(type.of);
      return fc.option(type.of.kind === "option" ? some.map((val) => tagged("some", val)) : some, { nil: same(null) });
    }
    case "record":
      return fc.tuple(...type.fields.map((field) => valueOf(field.type))).map((values) => record(type.fields, values));
    case "variant":
      return fc.oneof(...type.cases.map((each) => caseOf(each.name, each.type)));
    case "result":
      return fc.oneof(caseOf("ok", type.ok), caseOf("err", type.err));
    case "enum":
      return fc.constantFrom(...type.names).map(same);
    case "flags":
      return fc.subarray([...type.names]).map(same);
    case "map":
      throw new Error("the engine takes no components with maps");
  }
}

const SPECIAL = fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 1);

function same(value: unknown): Both {
  return { json: value, packed: value };
}

function integer(value: bigint): Both {
  const isSafe = value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER;
  // Of 64 bits in MessagePack, which is read as a bigint, when 32 do not hold it.
  const isSmall = value >= -(2n ** 31n) && value < 2n ** 32n;
  return { json: isSafe ? Number(value) : String(value), packed: isSmall ? Number(value) : value };
}

function float(value: number): Both {
  const number = value === 0 ? 0 : value;
  return { json: Number.isFinite(number) ? number : String(number), packed: number };
}

function list(items: readonly Both[]): Both {
  return { json: items.map(({ json }) => json), packed: items.map(({ packed }) => packed) };
}

function record(fields: readonly Member<WitType>[], values: readonly Both[]): Both {
  const object = (of: keyof Both): object => Object.fromEntries(fields.map(({ name }, i) => [jsonName(name), values[i]?.[of]]));
  return { json: object("json"), packed: object("packed") };
}

function caseOf(name: string, type: WitType | undefined): fc.Arbitrary<Both> {
  return type === undefined ? fc.constant(same({ tag: name })) : valueOf(type).map((val) => tagged(name, val));
}

function tagged(tag: string, val: Both): Both {
  return { json: { tag, val: val.json }, packed: { tag, val: val.packed } };
}
