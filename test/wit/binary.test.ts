/** MessagePack both ways by type, and bodies that mean harm. Through a component: `round-trip.test.ts`. */
import fc from "fast-check";
import { Packr, Unpackr } from "msgpackr";
import { describe, expect, it } from "vitest";
import { argumentsFromMsgpack, resultToMsgpack } from "../../src/wit/binary.js";
import { callable, type Callable } from "../../src/wit/callable.js";
import { parseType } from "../../src/wit/wit-type.js";

function func(parameters: Readonly<Record<string, string>>): Callable {
  const given = Object.entries(parameters).map(([name, type]) => ({ name, type }));
  return callable("a:b/c", { name: "f", async: false, parameters: given, result: undefined }) as Callable;
}

const pack = (value: unknown): Uint8Array => new Packr({ useRecords: false }).pack(value);
const read = (body: Uint8Array, type: string): unknown => (JSON.parse(argumentsFromMsgpack(body, func({ x: type }))) as unknown[])[0];
const into = (type: string, value: unknown): unknown => read(pack([value]), type);
const out = (type: string, json: unknown): unknown =>
  new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: "bigint" }).unpack(
    Buffer.from(resultToMsgpack(JSON.stringify(json), parseType(type))),
  );

describe("MessagePack", () => {
  it.each<[string, unknown, unknown]>([
    ["list<u8>", Buffer.from([0, 255]), "AP8="],
    ["u64", 18_446_744_073_709_551_615n, "18446744073709551615"],
    ["s64", -5, -5],
    ["f64", Number.NaN, "NaN"],
    ["f64", Number.NEGATIVE_INFINITY, "-Infinity"],
    ["list<list<u8>>", [Buffer.from([1])], ["AQ=="]],
    ["option<list<u8>>", null, null],
    ["option<option<list<u8>>>", { tag: "some", val: Buffer.from([1]) }, { tag: "some", val: "AQ==" }],
    ["record { max-size: list<u8> }", { maxSize: Buffer.from([1]) }, { maxSize: "AQ==" }],
    ["variant { a(list<u8>), b }", { tag: "a", val: Buffer.from([1]) }, { tag: "a", val: "AQ==" }],
    ["tuple<string, list<u8>>", ["x", Buffer.from([1])], ["x", "AQ=="]],
    ["result<list<u8>, string>", { tag: "err", val: "no" }, { tag: "err", val: "no" }],
    ["map<u8, list<u8>>", [[1, Buffer.from([1])]], [[1, "AQ=="]]],
  ])("holds %s as it is, both ways", (type, value, json) => {
    expect(into(type, value)).toEqual(json);
    expect(out(type, json)).toEqual(value);
  });

  it.each([
    [127, "7f"],
    [4_294_967_295, "ceffffffff"],
    [4_294_967_296, "d30000000100000000"],
    [-2_147_483_649, "d3ffffffff7fffffff"],
    [Number.MAX_SAFE_INTEGER, "d3001fffffffffffff"],
    ["18446744073709551615", "cfffffffffffffffff"],
  ])("writes the integer %s as an integer", (json, hex) => {
    expect(Buffer.from(resultToMsgpack(JSON.stringify(json), parseType("u64"))).toString("hex")).toBe(hex);
  });

  it("takes integers for floats, and maps for map types, whatever their keys", () => {
    expect(argumentsFromMsgpack(pack([10n ** 18n]), func({ x: "f64" }))).toBe("[1000000000000000000]");
    expect(read(Buffer.from([0x91, 0x81, 0x05, 0xa1, 0x61]), "map<u8, string>")).toEqual([[5, "a"]]);
    expect(into("map<string, list<u8>>", { a: Buffer.from([1]) })).toEqual([["a", "AQ=="]]);
  });

  it("may have arguments by name, in either spelling", () => {
    const f = func({ "max-size": "list<u8>", b: "u8" });
    expect(argumentsFromMsgpack(pack({ maxSize: Buffer.from([1]), b: 2 }), f)).toBe('{"maxSize":"AQ==","b":2}');
    expect(argumentsFromMsgpack(pack({ "max-size": Buffer.from([1]) }), f)).toBe('{"max-size":"AQ=="}');
    expect(() => argumentsFromMsgpack(pack({ "max-size": "AQ==" }), f)).toThrow('$["max-size"]: expected bytes, found a string.');
    const proto = Buffer.concat([Buffer.from([0x81, 0xa9]), Buffer.from("__proto__"), Buffer.from([1])]);
    expect(argumentsFromMsgpack(proto, f)).toBe('{"__proto__":1}');
  });

  it.each<[string, string, unknown, string]>([
    ["bytes for a string", "string", Buffer.from([1]), "$[0]: expected string, found 1 bytes."],
    ["bytes in a map for a string", "map<string, string>", [["a", Buffer.from([1])]], "$[0][0][1]: expected string, found 1 bytes."],
    ["a string for bytes", "list<u8>", "AQ==", "$[0]: expected bytes, found a string."],
    [
      "a string for bytes in options",
      "option<option<list<u8>>>",
      { tag: "some", val: "AQ==" },
      "$[0].val: expected bytes, found a string.",
    ],
    ["a number that is none for an integer", "s32", Number.NaN, "$[0]: expected s32, found NaN."],
    ["a number that is none for an enum", "enum { NaN, x }", Number.NaN, "$[0]: expected enum, found NaN."],
    ["64 bits for a string", "list<string>", ["a", 2n ** 63n], "$[0][1]: expected string, found 9223372036854775808."],
    ["numbers as keys of a record", "record { a: u8 }", new Map([[1, 2]]), "$[0]: expected names as keys, found 1."],
    ["bytes as keys of a record", "record { a: u8 }", new Map([[Buffer.from([1]), 2]]), "$[0]: expected names as keys, found 1 bytes."],
    [
      "arrays as keys of a record",
      "record { a: u8 }",
      new Map([[[1], 2]]),
      "$[0]: expected names as keys, found a value that holds others.",
    ],
  ])("is refused with %s", (_, type, value, message) => {
    expect(() => into(type, value)).toThrow(message);
  });

  it("is refused where it holds no arguments", () => {
    const f = func({ x: "string" });
    expect(() => argumentsFromMsgpack(pack(5), f)).toThrow("$: expected an array of arguments, or a map of them by parameter name.");
  });
});

describe("a body is refused that", () => {
  const head = (...bytes: number[]): Buffer => Buffer.from(bytes);
  const extension = (type: number, length: number): Buffer =>
    Buffer.concat([
      head(0x91, 0xc9, length >>> 24, (length >>> 16) & 255, (length >>> 8) & 255, length & 255, type),
      Buffer.alloc(length, 0x77),
    ]);
  const id = (n: number): Buffer => head(0xd6, 0x69, 0, 0, 0, n);
  const reference = (n: number): Buffer => head(0xd6, 0x70, 0, 0, 0, n);
  /** Each value holds the one before it twice. */
  const doubling = (levels: number): Buffer =>
    Buffer.concat([
      head(0xdc, 0, levels + 1),
      id(0),
      head(0x92, 1, 1),
      ...Array.from({ length: levels }, (_, i) => Buffer.concat([id(i + 1), head(0x92), reference(i), reference(i)])),
    ]);

  it.each<[string, Uint8Array, string]>([
    ["is empty", head(), "it ends within a value"],
    ["ends within a text", head(0x91, 0xa5, 0x61), "it ends within a value"],
    ["ends within a length", head(0xdc, 0x00), "it ends within a value"],
    ["ends within a number", head(0x91, 0xcf, 1, 2), "it ends within a value"],
    ["promises four thousand million values", head(0xdd, 255, 255, 255, 255), "it ends within a value"],
    ["promises as many pairs", head(0xdf, 255, 255, 255, 255), "it ends within a value"],
    ["promises as many bytes", head(0x91, 0xc6, 255, 255, 255, 255), "it ends within a value"],
    ["goes on after its end", head(0x91, 1, 2), "more follows after its end, at byte 2"],
    ["has a byte that begins nothing", head(0x91, 0xc1), "no value begins with the byte 0xc1 (at 1)"],
    ["has text that is not UTF-8", head(0x91, 0xa1, 0xff), "the text at byte 2 is not UTF-8"],
    ["has half a surrogate pair", head(0x91, 0xa3, 0xed, 0xa0, 0x80), "the text at byte 2 is not UTF-8"],
    [
      "is nested a million levels",
      Buffer.concat([Buffer.alloc(1e6, 0x91), head(0)]),
      "values are nested more than 64 levels deep; flatten them",
    ],
    ["has a date", pack([new Date(0)]), "the extension at byte 1 is no value of WIT"],
    ["has an integer of a million digits", extension(0x42, 400_000), "the extension at byte 1 is no value of WIT"],
    ["has a pattern", extension(0x78, 10), "the extension at byte 1 is no value of WIT"],
    ["defines a record", head(0x91, 0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 5), "the extension at byte 1 is no value of WIT"],
    ["holds itself doubled sixty times", doubling(60), "the extension at byte 3 is no value of WIT"],
  ])("%s", (_, body, fault) => {
    const started = performance.now();
    expect(() => read(body, "u64")).toThrow(`The body cannot be read as MessagePack: ${fault}.`);
    expect(performance.now() - started).toBeLessThan(1000);
  });

  it("is nested 65 levels, not 64", () => {
    const nested = (levels: number): Buffer => Buffer.concat([Buffer.alloc(levels, 0x91), head(0)]);
    expect(() => read(nested(64), "string")).not.toThrow();
    expect(() => read(nested(65), "string")).toThrow("more than 64 levels deep");
  });

  it("is any other than one that msgpackr would write: nothing crashes", () => {
    const refusedOrJson = (body: Uint8Array): void => {
      try {
        JSON.parse(argumentsFromMsgpack(body, func({ x: "record { a: u64, b: list<u8> }" })));
      } catch (error) {
        expect(error).toMatchObject({ name: "ProblemError", problem: { code: "request/invalid-argument" } });
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), refusedOrJson), { numRuns: 2000 });
    const written = fc.anything({ withBigInt: false }).map((value) => pack([value]));
    const bent = fc
      .tuple(written, fc.nat(), fc.nat(255))
      .map(([body, at, byte]) => Uint8Array.from(body, (old, i) => (i === at % body.length ? byte : old)));
    fc.assert(fc.property(bent, refusedOrJson), { numRuns: 2000 });
  });
});
