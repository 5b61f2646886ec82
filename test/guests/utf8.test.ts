import { assert, integer, property, string, uint8Array } from "fast-check";
import { expect, it } from "vitest";
import { decodeUtf8, encodeUtf8 } from "../../src/guests/utf8.js";

it("encodes as TextEncoder does", () => {
  assert(
    property(string({ unit: integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) }), (text) => {
      expect([...encodeUtf8(text)]).toEqual([...new TextEncoder().encode(text)]);
    }),
  );
});

it("decodes what is UTF-8 as TextDecoder does", () => {
  assert(
    property(string({ unit: "binary" }), (text) => {
      expect(decodeUtf8(new TextEncoder().encode(text))).toBe(
        new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(text)),
      );
    }),
  );
});

it("decodes any bytes to well-formed text", () => {
  assert(
    property(uint8Array(), (bytes) => {
      const text = decodeUtf8(bytes);
      expect([...new TextEncoder().encode(text)].length).toBeGreaterThanOrEqual(text.length);
      expect(decodeUtf8(encodeUtf8(text))).toBe(text);
    }),
  );
});
