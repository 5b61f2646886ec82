import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BadAnswer, isAuthority, LengthGuard, parseTarget, readAnswer } from "../../src/http/mapping.js";

describe("parseTarget", () => {
  it.each([
    ["/a?b", { target: "/a?b", authority: undefined }],
    ["*", { target: "/", authority: undefined }],
    ["http://h", { target: "/", authority: "h" }],
    ["HTTPS://h:1/a//b?c", { target: "/a//b?c", authority: "h:1" }],
    ["http://[::1]:8/x", { target: "/x", authority: "[::1]:8" }],
    ["http://h?q", { target: "/?q", authority: "h" }],
  ])("reads %s", (raw, target) => expect(parseTarget(raw)).toEqual(target));

  it.each(["", "a", "h:443", "http://", "http:///x", "ftp://h/", "http://u@h/", "http://h/#f", "/#"])("refuses %j", (raw) =>
    expect(parseTarget(raw)).toBeUndefined(),
  );

  it("leaves every path as it is", () => {
    fc.assert(
      fc.property(
        fc.string().filter((s) => !s.includes("#")),
        (rest) => parseTarget(`/${rest}`)?.target === `/${rest}`,
      ),
    );
  });
});

describe("isAuthority", () => {
  it.each(["a", "a.b:80", "a_b", "127.0.0.1:1", "[::1]", "[fe80::1%25en0]:80", "a:"])("takes %j", (value) =>
    expect(isAuthority(value)).toBe(true),
  );
  it.each(["", ":80", "a b", "a/b", "u@a", "a,b c", "a:b", "[::1", "::1", "a\u00e9"])("refuses %j", (value) =>
    expect(isAuthority(value)).toBe(false),
  );
});

describe("readAnswer", () => {
  it("gives a clean list back as it is", () => {
    const headers = ["Content-Type", "a", "Content-Length", "3"];
    expect(readAnswer(200, headers, false)).toEqual({ headers, contentLength: 3, announced: undefined, bodiless: false });
    expect((readAnswer(200, headers, false) as { headers: unknown }).headers).toBe(headers);
  });

  it("keeps a declared length for HEAD and 304, and drops it where it may not be", () => {
    const headers = ["Content-Length", "3"];
    expect(readAnswer(200, headers, true)).toMatchObject({ headers, bodiless: true });
    expect(readAnswer(304, headers, false)).toMatchObject({ headers, bodiless: true });
    expect(readAnswer(204, headers, false)).toMatchObject({ headers: [], bodiless: true, contentLength: undefined });
    expect(readAnswer(205, headers, false)).toMatchObject({ headers: [], bodiless: true });
  });

  it("makes one of a length that is said twice, and refuses two that differ", () => {
    expect(readAnswer(200, ["Content-Length", "3", "X", "1", "content-length", "3"], false)).toMatchObject({
      headers: ["X", "1", "Content-Length", "3"],
      contentLength: 3,
    });
    expect(readAnswer(200, ["Content-Length", "3", "content-length", "4"], false)).toBeInstanceOf(BadAnswer);
  });

  it.each(["", "-1", "1.5", "0x1", "1,1", " 1", "1234567890123456"])("refuses a length of %j", (length) =>
    expect(readAnswer(200, ["Content-Length", length], false)).toBeInstanceOf(BadAnswer),
  );
  it.each([0, 99, 100, 199, 1000, 200.5, Number.NaN])("refuses a status of %d", (status) =>
    expect(readAnswer(status, [], false)).toBeInstanceOf(BadAnswer),
  );
});

it("LengthGuard lets exactly the declared bytes through", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(100)), fc.nat(1000), (pieces, declared) => {
      const guard = new LengthGuard(declared);
      let sum = 0;
      for (const piece of pieces) expect(guard.add(piece)).toBe((sum += piece) <= declared);
      expect(guard.complete).toBe(sum === declared);
    }),
  );
  expect(new LengthGuard(undefined).complete).toBe(true);
});
