/** The schemas of all WIT types. */
import { describe, expect, it } from "vitest";
import { callable, type Callable } from "../../src/wit/callable.js";
import { argumentsSchema, errorSchema, namedArgumentsSchema, resultSchema, schemaOf } from "../../src/wit/json-schema.js";
import { parseType } from "../../src/wit/wit-type.js";

function func(parameters: Readonly<Record<string, string>>, result?: string): Callable {
  const given = Object.entries(parameters).map(([name, type]) => ({ name, type }));
  return callable("a:b/c", { name: "f", async: false, parameters: given, result }) as Callable;
}

const TAGGED = (tag: string, val?: object): object => ({
  type: "object",
  properties: { tag: { const: tag }, ...(val && { val }) },
  required: val ? ["tag", "val"] : ["tag"],
  additionalProperties: false,
});

const PAIRS = (key: object, value: object): object => ({
  type: "array",
  items: { type: "array", prefixItems: [key, value], items: false, minItems: 2 },
});

describe("the schema of a type", () => {
  it.each<[string, object]>([
    ["bool", { type: "boolean" }],
    ["u8", { type: "integer", minimum: 0, maximum: 255 }],
    ["s32", { type: "integer", minimum: -2_147_483_648, maximum: 2_147_483_647 }],
    [
      "u64",
      {
        anyOf: [
          { type: "integer", minimum: 0 },
          { type: "string", pattern: "^[0-9]+$" },
        ],
        description: "u64: from 0 to 18446744073709551615",
      },
    ],
    [
      "s64",
      {
        anyOf: [{ type: "integer" }, { type: "string", pattern: "^-?[0-9]+$" }],
        description: "s64: from -9223372036854775808 to 9223372036854775807",
      },
    ],
    ["map<u8, bool>", PAIRS({ type: "integer", minimum: 0, maximum: 255 }, { type: "boolean" })],
    [
      "map<string, bool>",
      { anyOf: [PAIRS({ type: "string" }, { type: "boolean" }), { type: "object", additionalProperties: { type: "boolean" } }] },
    ],
    ["f32", { anyOf: [{ type: "number" }, { enum: ["NaN", "Infinity", "-Infinity"] }], description: "f32" }],
    ["string", { type: "string" }],
    ["char", { type: "string", minLength: 1, maxLength: 1, description: "one character" }],
    ["list<u8>", { type: "string", contentEncoding: "base64" }],
    ["list<u8, 4>", { type: "string", contentEncoding: "base64", description: "4 bytes" }],
    ["list<bool>", { type: "array", items: { type: "boolean" } }],
    ["list<bool, 2>", { type: "array", items: { type: "boolean" }, minItems: 2, maxItems: 2 }],
    ["tuple<bool, string>", { type: "array", prefixItems: [{ type: "boolean" }, { type: "string" }], items: false, minItems: 2 }],
    ["option<string>", { anyOf: [{ type: "null" }, { type: "string" }] }],
    [
      "option<option<string>>",
      // Without val: some(none).
      { anyOf: [{ type: "null" }, { ...TAGGED("some", { anyOf: [{ type: "null" }, { type: "string" }] }), required: ["tag"] }] },
    ],
    ["result<string>", { oneOf: [TAGGED("ok", { type: "string" }), TAGGED("err")] }],
    ["variant { circle(bool), nothing }", { oneOf: [TAGGED("circle", { type: "boolean" }), TAGGED("nothing")] }],
    ["enum { a, b-c }", { enum: ["a", "b-c"] }],
    ["flags { bold, under-line }", { type: "array", items: { enum: ["bold", "under-line"] }, uniqueItems: true }],
    [
      "record { max-size: bool, note: option<string> }",
      {
        type: "object",
        properties: { maxSize: { type: "boolean" }, note: { anyOf: [{ type: "null" }, { type: "string" }] } },
        required: ["maxSize"],
        additionalProperties: false,
      },
    ],
  ])("%s", (text, schema) => {
    expect(schemaOf(parseType(text))).toEqual(schema);
  });

  it("is that of an array of arguments of which options may be left out at the end, or of an object", () => {
    const f = func({ a: "bool", "max-size": "option<string>" }, "result<bool, string>");
    expect(argumentsSchema(f)).toMatchObject({ type: "array", minItems: 1, items: false });
    expect(namedArgumentsSchema(f)).toMatchObject({ properties: { a: {}, maxSize: {} }, required: ["a"] });
    expect([resultSchema(f), errorSchema(f)]).toMatchObject([{ type: "boolean" }, { type: "string" }]);
    expect([argumentsSchema(func({})), resultSchema(func({})), errorSchema(func({}))]).toMatchObject([
      { maxItems: 0 },
      { type: "null" },
      undefined as never,
    ]);
  });
});

describe("a function that cannot be called from outside", () => {
  it.each([
    ["stream<u8>", "f takes or gives a stream, which lives inside one instance"],
    ["blob", "f takes or gives the resource blob, which lives inside one instance"],
  ])("takes %s", (type, refused) => {
    expect(callable("a:b/c", { name: "f", async: false, parameters: [{ name: "x", type }], result: undefined })).toEqual({ refused });
  });
});
