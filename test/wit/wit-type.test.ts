import { describe, expect, it } from "vitest";
import { parseType, UnusableType } from "../../src/wit/wit-type.js";

describe("the text of a WIT type", () => {
  it("is read, however deep", () => {
    expect(parseType("result<option<record { id: u64, tags: list<string>, at: tuple<f64, char> }>, variant { gone, busy(u8) }>")).toEqual({
      kind: "result",
      ok: {
        kind: "option",
        of: {
          kind: "record",
          fields: [
            { name: "id", type: { kind: "integer", name: "u64", min: 0n, max: 2n ** 64n - 1n, wide: true } },
            { name: "tags", type: { kind: "list", of: { kind: "string" }, length: undefined } },
            { name: "at", type: { kind: "tuple", types: [{ kind: "float", name: "f64" }, { kind: "char" }] } },
          ],
        },
      },
      err: {
        kind: "variant",
        cases: [
          { name: "gone", type: undefined },
          { name: "busy", type: { kind: "integer", name: "u8", min: 0n, max: 255n, wide: false } },
        ],
      },
    });
  });

  it.each([
    ["result", { kind: "result", ok: undefined, err: undefined }],
    ["result<_, string>", { kind: "result", ok: undefined, err: { kind: "string" } }],
    ["result<bool>", { kind: "result", ok: { kind: "bool" }, err: undefined }],
    ["list<bool, 4>", { kind: "list", of: { kind: "bool" }, length: 4 }],
    ["map<string, bool>", { kind: "map", key: { kind: "string" }, value: { kind: "bool" } }],
    ["flags { a, b-c }", { kind: "flags", names: ["a", "b-c"] }],
    ["enum { low }", { kind: "enum", names: ["low"] }],
  ])("%s", (text, type) => {
    expect(parseType(text)).toEqual(type);
  });

  it.each([
    ["option<blob>", "the resource blob, which lives inside one instance"],
    ["borrow<blob>", "a borrowed resource, which lives inside one instance"],
    ["list<stream<u8>>", "a stream, which lives inside one instance"],
    ["future", "a future, which lives inside one instance"],
    ["error-context", "an error-context, which lives inside one instance"],
    ["record { a: u8, … }", "a type that is too long to be read"],
    ["list<u8", "a type that cannot be read: list<u8"],
    ["u8 u8", "a type that cannot be read: u8 u8"],
  ])("%s is refused", (text, message) => {
    expect(() => parseType(text)).toThrow(new UnusableType(message));
  });
});
