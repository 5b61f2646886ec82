/** The schemas of all WIT types, and MessagePack both ways by them. */
import { Packr, Unpackr } from "msgpackr";
import { describe, expect, it } from "vitest";
import { argumentsFromMsgpack, resultToMsgpack } from "../../src/wit/binary.js";
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

describe("the schema of a type", () => {
  it.each<[string, object]>([
    ["bool", { type: "boolean" }],
    ["u8", { type: "integer", minimum: 0, maximum: 255 }],
    ["s32", { type: "integer", minimum: -2_147_483_648, maximum: 2_147_483_647 }],
    [
      "u64",
      { anyOf: [{ type: "integer" }, { type: "string", pattern: "^-?[0-9]+$" }], description: "u64: from 0 to 18446744073709551615" },
    ],
    ["f32", { anyOf: [{ type: "number" }, { enum: ["NaN", "Infinity", "-Infinity"] }], description: "f32" }],
    ["string", { type: "string" }],
    ["char", { type: "string", minLength: 1, maxLength: 2, description: "one character" }],
    ["list<u8>", { type: "string", contentEncoding: "base64" }],
    ["list<u8, 4>", { type: "string", contentEncoding: "base64", description: "4 bytes" }],
    ["list<bool>", { type: "array", items: { type: "boolean" } }],
    ["list<bool, 2>", { type: "array", items: { type: "boolean" }, minItems: 2, maxItems: 2 }],
    ["tuple<bool, string>", { type: "array", prefixItems: [{ type: "boolean" }, { type: "string" }], items: false, minItems: 2 }],
    ["option<string>", { anyOf: [{ type: "null" }, { type: "string" }] }],
    ["option<option<string>>", { anyOf: [{ type: "null" }, TAGGED("some", { anyOf: [{ type: "null" }, { type: "string" }] })] }],
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

describe("MessagePack", () => {
  const pack = (value: unknown): Uint8Array => new Packr({ useRecords: false }).pack(value);
  const into = (type: string, value: unknown): unknown =>
    (JSON.parse(argumentsFromMsgpack(pack([value]), func({ x: type }))) as unknown[])[0];
  const out = (type: string, json: unknown): unknown =>
    new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: "bigint" }).unpack(
      resultToMsgpack(JSON.stringify(json), parseType(type)),
    );

  it.each<[string, unknown, unknown]>([
    ["list<u8>", Uint8Array.of(0, 255), "AP8="],
    ["u64", 18_446_744_073_709_551_615n, "18446744073709551615"],
    ["s64", -5, -5],
    ["f64", Number.NaN, "NaN"],
    ["f64", Number.NEGATIVE_INFINITY, "-Infinity"],
    ["list<list<u8>>", [Uint8Array.of(1)], ["AQ=="]],
    ["option<list<u8>>", null, null],
    ["record { max-size: list<u8> }", { maxSize: Uint8Array.of(1) }, { maxSize: "AQ==" }],
    ["variant { a(list<u8>), b }", { tag: "a", val: Uint8Array.of(1) }, { tag: "a", val: "AQ==" }],
    ["tuple<string, list<u8>>", ["x", Uint8Array.of(1)], ["x", "AQ=="]],
    ["result<list<u8>, string>", { tag: "err", val: "no" }, { tag: "err", val: "no" }],
  ])("holds %s as it is, both ways", (type, value, json) => {
    expect(into(type, value)).toEqual(json);
    expect(out(type, json)).toEqual(value);
  });

  it.each<[string, string, unknown, string]>([
    ["bytes for a string", "string", Buffer.from([1]), "$[0]: expected string, found 1 bytes."],
    ["a string for bytes", "list<u8>", "AQ==", "$[0]: expected bytes, found a string."],
    ["a date", "string", new Date(0), "$[0]: a MessagePack extension is no value of WIT."],
  ])("refuses %s", (_, type, value, message) => {
    expect(() => into(type, value)).toThrow(message);
  });

  it("refuses what is no array or map, is no MessagePack, or is nested too deeply", () => {
    const f = func({ x: "string" });
    expect(() => argumentsFromMsgpack(pack(5), f)).toThrow("$: expected an array of arguments, or a map of them by parameter name.");
    expect(() => argumentsFromMsgpack(Buffer.from([0xc1]), f)).toThrow("$: expected an array of arguments");
    expect(() => argumentsFromMsgpack(Buffer.from([0x92, 0xa5, 0x61]), f)).toThrow(/^the body is not MessagePack: /);
    expect(() => argumentsFromMsgpack(Buffer.concat([Buffer.alloc(100_000, 0x91), Buffer.from([0])]), f)).toThrow(/nested|not MessagePack/);
    expect(() => argumentsFromMsgpack(Buffer.concat([Buffer.alloc(100, 0x91), Buffer.from([0])]), f)).toThrow(
      /nested more than 64 levels deep/,
    );
    expect(() => argumentsFromMsgpack(Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff]), f)).toThrow(/not MessagePack/);
  });
});
