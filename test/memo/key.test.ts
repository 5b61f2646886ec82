import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { HttpFrame } from "../../src/engine/engine.js";
import { seenRequest } from "../../src/memo/policy.js";
import { canonicalJson, recordKey, sortedQuery } from "../../src/memo/key.js";

const PARTS = { task: "acme/a", print: "p", identity: undefined, authority: "acme", beside: "" };

function frame(fields: Partial<HttpFrame> = {}): HttpFrame {
  const usual = { method: "GET", scheme: "http", authority: "h", target: "/", headers: [], body: undefined, more: false };
  return { kind: "http", ...usual, ...fields };
}

function call(args: string, func = "f"): string {
  return recordKey(PARTS, { kind: "call", interface: "a:b/c@1.0.0", function: func, arguments: args });
}

describe("the key of a request", () => {
  const key = (fields: Partial<HttpFrame> = {}): string => recordKey(PARTS, frame(fields));

  it("is another for each part of what its guest sees", () => {
    const keys = [
      key(),
      key({ method: "POST" }),
      key({ scheme: "https" }),
      key({ authority: "i" }),
      key({ target: "/a" }),
      key({ target: "/?a" }),
      key({ headers: ["accept", "a"] }),
      key({ headers: ["accept", "b"] }),
      key({ headers: ["accept", "a", "accept", "b"] }),
      key({ headers: ["accept", "b", "accept", "a"] }),
      key({ body: Buffer.from("x") }),
      recordKey({ ...PARTS, task: "acme/b" }, frame()),
      recordKey({ ...PARTS, task: "globex/a" }, frame()),
      recordKey({ ...PARTS, print: "q" }, frame()),
      recordKey({ ...PARTS, beside: "trace" }, frame()),
      recordKey({ ...PARTS, authority: "globex" }, frame()),
      recordKey({ ...PARTS, identity: { subject: "ada", claims: [] } }, frame()),
      recordKey({ ...PARTS, identity: { subject: "ada", claims: [["role", "admin"]] } }, frame()),
    ];
    expect(new Set(keys).size).toBe(keys.length);
    for (const each of keys) expect(each).toMatch(/^[0-9a-f]{32}$/);
  });

  it("does not change with the case of a host or of a field's name, the order of fields, or an empty body", () => {
    expect(key({ authority: "EXAMPLE.com" })).toBe(key({ authority: "example.com" }));
    expect(key({ headers: ["Accept", "a", "x", "1"] })).toBe(key({ headers: ["x", "1", "accept", "a"] }));
    expect(key({ headers: ["content-length", "0"], body: Buffer.alloc(0) })).toBe(key());
  });

  it("takes the parameters of the query in the order of their names", () => {
    expect(sortedQuery("/p?b=1&a=2&a=1")).toBe("/p?a=2&a=1&b=1");
    expect(sortedQuery("/p?one")).toBe("/p?one");
    expect(sortedQuery("/p")).toBe("/p");
    // `a` and `%61` are one name to those who decode it: the order of its values is part of what is asked.
    expect(sortedQuery("/p?b=1&a=2&%61=1")).toBe("/p?b=1&a=2&%61=1");
    expect(key({ target: "/p?b=1&a=2" })).toBe(key({ target: "/p?a=2&b=1" }));
    expect(key({ target: "/p?a=1&a=2" })).not.toBe(key({ target: "/p?a=2&a=1" }));
  });

  it("is the same for no two inputs whose parts are cut otherwise", () => {
    const text = fc.string({ maxLength: 6 });
    const parts = fc.record({ target: text, authority: text, headers: fc.array(fc.tuple(text, text), { maxLength: 2 }) });
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        const seen = ({ target, authority, headers }: typeof a): string => {
          const fields = headers.map(([name, value]) => [name.toLowerCase(), value] as const).filter(([name]) => name !== "content-length");
          fields.sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0));
          return JSON.stringify([sortedQuery(target), authority.toLowerCase(), fields]);
        };
        const of = ({ headers, ...rest }: typeof a): string => key({ ...rest, headers: headers.flat() });
        expect(of(a) === of(b)).toBe(seen(a) === seen(b));
      }),
    );
  });
});

describe("the key of a call", () => {
  it("does not change with blanks and the order of fields, and does with all else", () => {
    expect(call('[{"b":1,"a":[2,{"d":3,"c":4}]}]')).toBe(call('[ {"a":[2,{"c":4,"d":3}], "b":1.0} ]'));
    expect(call("[1]")).not.toBe(call("[2]"));
    expect(call("[1]")).not.toBe(call("[1]", "g"));
    expect(call('["1"]')).not.toBe(call("[1]"));
  });

  it("keeps numbers apart that JavaScript would not", () => {
    expect(call("[9007199254740993]")).not.toBe(call("[9007199254740992]"));
    expect(call("[1e400]")).not.toBe(call("[null]"));
    expect(canonicalJson("[-0]")).toBe("[-0]");
    expect(canonicalJson("[1e400]")).toBe("[1e400]");
    expect(canonicalJson("no json")).toBe("no json");
  });
});

it("a guest sees of a request what its records are found by, as it is written there", () => {
  const policy = { vary: ["accept"], shared: false } as unknown as Parameters<typeof seenRequest>[1];
  const headers = ["Accept", "a", "User-Agent", "b", "Content-Length", "400", "Cookie", "c"];
  const seen = seenRequest(frame({ authority: "EXAMPLE.test", headers, body: Buffer.from("four") }), policy);
  expect([seen.authority, seen.headers]).toEqual(["example.test", ["Accept", "a", "Content-Length", "4", "Cookie", "c"]]);
  expect(seenRequest(frame({ headers, more: true }), policy).headers).toContain("400");
});
