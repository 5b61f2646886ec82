/** Values in both directions, type by type; that the engine reads and writes the same is `test/e2e/imports.test.ts`. */
import { describe, expect, it } from "vitest";
import { lift } from "../../src/imports/lift.js";
import { lower } from "../../src/imports/lower.js";
import { parseType } from "../../src/wit/wit-type.js";

const ROW = "record { id: u64, full-name: string, note: option<string>, a-2nd: u8 }";

describe("a value of jco's types and the engine's JSON for it", () => {
  it.each<[type: string, value: unknown, json: unknown]>([
    ["bool", true, true],
    ["string", "ü", "ü"],
    ["char", "𝄞", "𝄞"],
    ["u32", 4_294_967_295, 4_294_967_295],
    ["s8", -128, -128],
    ["u64", 18_446_744_073_709_551_615n, "18446744073709551615"],
    ["s64", -9_223_372_036_854_775_808n, "-9223372036854775808"],
    ["f64", 0.5, 0.5],
    ["f32", Number.NaN, "NaN"],
    ["f64", Number.NEGATIVE_INFINITY, "-Infinity"],
    ["list<u8>", Uint8Array.of(1, 2, 255), "AQL/"],
    ["list<u8>", new Uint8Array(), ""],
    ["list<u16>", Uint16Array.of(1, 65_535), [1, 65_535]],
    ["list<u64>", BigUint64Array.of(7n), ["7"]],
    ["list<s64>", BigInt64Array.of(-7n), ["-7"]],
    ["list<s8>", Int8Array.of(-1), [-1]],
    ["list<s16>", Int16Array.of(-1), [-1]],
    ["list<u32>", Uint32Array.of(1), [1]],
    ["list<s32>", Int32Array.of(-1), [-1]],
    ["list<f32>", Float32Array.of(0.5, Number.NaN), [0.5, "NaN"]],
    ["list<f64>", Float64Array.of(Number.POSITIVE_INFINITY), ["Infinity"]],
    ["list<string>", ["a", "b"], ["a", "b"]],
    ["list<u8, 2>", Uint8Array.of(1, 2), "AQI="],
    ["tuple<u8, string>", [1, "a"], [1, "a"]],
    ["map<u8, string>", new Map([[1, "a"]]), [[1, "a"]]],
    ["option<u8>", undefined, null],
    ["option<u8>", 3, 3],
    ["option<option<u8>>", { tag: "none" }, null],
    ["option<option<u8>>", { tag: "some", val: undefined }, { tag: "some", val: null }],
    ["option<option<u8>>", { tag: "some", val: 3 }, { tag: "some", val: 3 }],
    ["result<u64, string>", { tag: "ok", val: 5n }, { tag: "ok", val: "5" }],
    ["result<_, string>", { tag: "err", val: "no" }, { tag: "err", val: "no" }],
    ["variant { circle(f64), nothing }", { tag: "circle", val: 2 }, { tag: "circle", val: 2 }],
    ["variant { circle(f64), nothing }", { tag: "nothing" }, { tag: "nothing" }],
    ["enum { by-id, by-name }", "by-id", "by-id"],
    ["flags { may-read, may-write }", { mayRead: false, mayWrite: true }, ["may-write"]],
  ])("%s: %o", (text, value, json) => {
    const type = parseType(text);
    expect(lower(type, value, "result")).toEqual(json);
    expect(lift(type, json)).toEqual(value);
    expect(lift(type, json)?.constructor).toBe(value?.constructor);
  });

  it("records are read by either name and written by WIT's; a field that is none is left out", () => {
    const type = parseType(ROW);
    const value = { id: 1n, fullName: "Ada", a2nd: 7 };
    expect(lift(type, { id: 1, fullName: "Ada", note: null, a_2nd: 7 })).toStrictEqual(value);
    const json = { id: "1", "full-name": "Ada", note: null, "a-2nd": 7 };
    expect(lower(type, value, "result")).toStrictEqual(json);
    expect(lower(type, { id: 1n, "full-name": "Ada", note: null, "a-2nd": 7, column: new Date() }, "result")).toStrictEqual(json);
  });

  it.each<[type: string, value: unknown, json: unknown]>([
    ["u64", 5, 5],
    ["option<string>", null, null],
    ["list<u8>", [1, 2], "AQI="],
    ["list<u8>", Buffer.from("ab"), "YWI="],
    ["list<u32>", [1, 2], [1, 2]],
    ["list<u32>", Float64Array.of(1, 2), [1, 2]],
    ["option<option<u8>>", undefined, null],
    ["result", { tag: "ok", val: undefined }, { tag: "ok" }],
    ["flags { a, b }", {}, []],
    ["string", "a\ud800b", "a\ufffdb"],
  ])("%s takes %o too", (text, value, json) => {
    expect(lower(parseType(text), value, "result")).toEqual(json);
  });

  it("a result's empty side has a val that is undefined, as its type says", () => {
    expect(lift(parseType("result"), { tag: "err" })).toStrictEqual({ tag: "err", val: undefined });
  });
});

describe("a value that does not fit is refused with its place", () => {
  it.each<[type: string, value: unknown, message: string]>([
    ["string", 5, "result: expected a string, found 5"],
    ["bool", undefined, "result: expected a boolean, found undefined"],
    ["u8", 256, "result: expected a whole number from 0 to 255 (u8), found 256"],
    ["u8", 1.5, "result: expected a whole number from 0 to 255 (u8), found 1.5"],
    ["u8", 1n, "result: expected a whole number from 0 to 255 (u8), found 1n"],
    ["u64", -1n, "result: expected a bigint from 0 to 18446744073709551615 (u64), found -1n"],
    ["s64", 2 ** 60, `result: expected a bigint from ${-(2n ** 63n)} to ${2n ** 63n - 1n} (s64), found 1152921504606847000`],
    ["f64", "1", 'result: expected a number (f64), found "1"'],
    ["char", "ab", 'result: expected a string of one character, found "ab"'],
    ["char", "\ud800", 'result: expected a string of one character, found "\\ud800"'],
    ["list<u8>", "AQI=", 'result: expected a Uint8Array, found "AQI="'],
    ["list<u8>", [1, -1], "result[1]: expected a whole number from 0 to 255 (u8), found -1"],
    ["list<string>", new Set(["a"]), "result: expected an array, found an object without fields"],
    // eslint-disable-next-line no-sparse-arrays
    ["list<string>", ["a", , "b"], "result[1]: expected a string, found undefined"],
    ["list<bool, 2>", [true], "result: expected an array of 2, found an array of 1"],
    ["tuple<u8, u8>", [1, 2, 3], "result: expected a tuple of 2, found an array of 3"],
    ["map<string, u8>", { a: 1 }, "result: expected a Map, found an object with a"],
    ["map<string, u8>", new Map([["a", "b"]]), 'result, value 0: expected a whole number from 0 to 255 (u8), found "b"'],
    ["option<string>", false, "result: expected a string, found false"],
    ["option<option<u8>>", { tag: "any" }, 'result.tag: expected "some" or "none", found "any"'],
    ["result<u8, string>", 5, 'result: expected { tag, val } with a tag that is "ok" or "err", found 5'],
    ["variant { circle(f64), nothing }", { tag: "square" }, 'result.tag: expected "circle" or "nothing", found "square"'],
    ["variant { circle(f64), nothing }", { tag: "circle" }, "result.val: expected a number (f64), found undefined"],
    ["enum { low, high }", "Low", 'result: expected "low" or "high", found "Low"'],
    ["enum { low, high }", "toString", 'result: expected "low" or "high", found "toString"'],
    ["flags { may-read }", ["may-read"], "result: expected an object of booleans: mayRead, found an array of 1"],
    ["flags { may-read }", { mayRead: 1 }, "result.mayRead: expected a boolean, found 1"],
    [ROW, undefined, "result: expected an object with id, fullName, note, a2nd, found undefined"],
    [ROW, { id: 1n, a2nd: 1 }, "result.fullName: expected a string, found undefined"],
    ["record { constructor: string }", {}, "result.constructor: expected a string, found undefined"],
    [
      `list<record { rows: list<${ROW}> }>`,
      [{ rows: [{ id: 1n, fullName: () => 1 }] }],
      "result[0].rows[0].fullName: expected a string, found a function",
    ],
  ])("%s: %o", (text, value, message) => {
    expect(() => lower(parseType(text), value, "result")).toThrow(message);
  });
});
