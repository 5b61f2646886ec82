import { describe, expect, it } from "vitest";
import { directivesOf, etagOf, isUnmodified, keepsOut, unmodifiedHeaders } from "../../src/memo/conditional.js";

const NONE = { noCache: false, noStore: false, onlyIfCached: false };

describe("Cache-Control of a request", () => {
  it.each([
    [undefined, NONE],
    ["", NONE],
    ["max-age=0", NONE],
    ["no-cache", { ...NONE, noCache: true }],
    ['max-age=0, No-Cache="x"', { ...NONE, noCache: true }],
    ["only-if-cached , no-store", { ...NONE, onlyIfCached: true, noStore: true }],
    ["x-no-cache", NONE],
  ])("%j", (text, directives) => expect(directivesOf(text)).toEqual(directives));
});

describe("an answer", () => {
  it("says itself that nobody is to keep it", () => {
    expect(keepsOut(["Set-Cookie", "a=b"])).toBe("set-cookie");
    expect(keepsOut(["x", "y", "cache-control", "private, no-store"])).toBe("no-store");
    expect(keepsOut(["cache-control", "no-cache"])).toBeUndefined();
  });

  const headers = ["last-modified", "Wed, 21 Oct 2015 07:28:00 GMT"];
  const asked = (ifNoneMatch?: string, ifModifiedSince?: string): boolean =>
    isUnmodified({ ifNoneMatch, ifModifiedSince }, "GET", 200, '"a"', headers);

  it("is not sent again to whoever has it", () => {
    expect(asked()).toBe(false);
    expect(asked('"a"')).toBe(true);
    expect(asked('"b", W/"a"')).toBe(true);
    expect(asked("*")).toBe(true);
    expect(asked('"b"')).toBe(false);
    expect(asked("a")).toBe(false);
    expect(asked(undefined, "Wed, 21 Oct 2015 07:28:00 GMT")).toBe(true);
    expect(asked(undefined, "Wed, 21 Oct 2015 07:27:59 GMT")).toBe(false);
    expect(asked(undefined, "yesterday")).toBe(false);
    // The one condition counts where both are there.
    expect(asked('"b"', "Wed, 21 Oct 2015 07:28:00 GMT")).toBe(false);
    const other = { ifNoneMatch: '"a"', ifModifiedSince: undefined };
    expect(isUnmodified(other, "POST", 200, '"a"', headers)).toBe(false);
    expect(isUnmodified(other, "GET", 404, '"a"', headers)).toBe(false);
    expect(isUnmodified(other, "GET", 200, undefined, headers)).toBe(false);
  });

  it("repeats of its head what a client updates by", () => {
    expect(unmodifiedHeaders(["ETag", '"a"', "Content-Type", "text/plain", "Vary", "accept"])).toEqual(["ETag", '"a"', "Vary", "accept"]);
    expect(etagOf(Buffer.from("x"))).toMatch(/^"[\w-]{22}"$/);
  });
});
