/** What is made of the words of sidecars, and which of them a run has. */
import { describe, expect, it } from "vitest";
import { planOf } from "../../src/sidecars/plan.js";
import { refusalOf, requestHeadersOf, respondedOf } from "../../src/sidecars/wire.js";
import { readManifest, type ManifestInput } from "../../src/tasks/manifest.js";

const flat = (headers: readonly (readonly [string, string])[]): string[] => headers.flatMap((pair) => [...pair]);

describe("a refusal", () => {
  it.each([
    [401, 401],
    [599, 599],
    [399, 403],
    [200, 403],
    [600, 403],
    [0, 403],
  ])("of status %d answers %d", (status, answered) => {
    expect(refusalOf({ status, headers: [], reason: "no" })).toEqual({ status: answered, headers: [], reason: "no" });
  });

  it("keeps headers that an answer can have, and no others", () => {
    const headers = flat([
      ["WWW-Authenticate", 'Bearer realm="a"'],
      ["X Y", "a"],
      ["", "a"],
      ["X-Split", "a\r\nSet-Cookie: b"],
      ["X-Null", "\0"],
      ["Content-Length", "1"],
      ["content-type", "text/html"],
      ["Pilotlight-Run", "lie"],
      ["Transfer-Encoding", "chunked"],
      ["Connection", "close"],
      ["X-Latin", "é"],
    ]);
    expect(refusalOf({ status: 401, headers, reason: "" }).headers).toEqual(["WWW-Authenticate", 'Bearer realm="a"', "X-Latin", "é"]);
  });
});

describe("the head of an answer", () => {
  const before = { status: 200, headers: ["A", "b"] };

  it.each([
    [204, 204],
    [503, 503],
    [100, 200],
    [600, 200],
  ])("that is to have the status %d has %d", (status, answered) => {
    expect(respondedOf({ status, headers: [] }, before)).toEqual({ status: answered, headers: [] });
  });

  it("stays where nobody has said anything", () => {
    expect(respondedOf({}, before)).toBe(before);
  });

  it("has what is said, the length of its body too, but no run id of its own and nothing that splits it", () => {
    const headers = flat([
      ["Content-Length", "5"],
      ["Pilotlight-Run", "lie"],
      ["X", "a\r\nb"],
      ["Connection", "close"],
      ["Y", "z"],
    ]);
    expect(respondedOf({ status: 200, headers }, before).headers).toEqual(["Content-Length", "5", "Y", "z"]);
  });
});

it("the head of a transformed request has the length of its new body, whatever is said", () => {
  expect(requestHeadersOf(["content-length", "9", "x-a", "b", "x b", "c"])).toEqual(["x-a", "b"]);
});

describe("the sidecars of a run", () => {
  const manifest = (sidecars: ManifestInput["sidecars"]) => readManifest({ name: "a", component: "a.wasm", sidecars }, "a");
  const named = (
    of: ReturnType<typeof manifest>,
    fields: Readonly<Record<string, string>> = {},
    required: typeof of.sidecars = [],
  ): string[] => planOf({ manifest: of, required, header: (name) => fields[name] }).map(({ use }) => use);

  it("are those that its manifest names, and those of a header only with it, in their order", () => {
    const of = manifest([{ use: "one" }, { use: "two", when: { header: "X-Two" } }, { use: "three" }]);
    expect(named(of)).toEqual(["one", "three"]);
    expect(named(of, { "x-two": "" })).toEqual(["one", "two", "three"]);
    expect(named(manifest([]), { "x-two": "" })).toEqual([]);
  });

  it("are those that its tenant's operator requires first, whenever its manifest would have them", () => {
    const of = manifest([{ use: "one" }, { use: "two", when: { header: "x-two" } }]);
    const { sidecars } = manifest([{ use: "two" }, { use: "watch" }]);
    expect(named(of, {}, sidecars)).toEqual(["watch", "one", "two"]);
    expect(named(manifest([]), {}, sidecars)).toEqual(["two", "watch"]);
  });

  it("have debug among them where the request may ask for it and does, once", () => {
    expect(named(manifest([{ use: "one" }]), { "pilotlight-debug": "1" })).toEqual(["one", "debug"]);
    expect(named(manifest([]), { "pilotlight-debug": "0" })).toEqual([]);
    expect(named(manifest([{ use: "debug" }]), { "pilotlight-debug": "1" })).toEqual(["debug"]);
  });
});
