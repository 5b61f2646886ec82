/** What sidecars are told and what is made of their answers. */
import { describe, expect, it } from "vitest";
import { readManifest } from "../../src/tasks/manifest.js";
import { sidecarsOf } from "../../src/sidecars/plan.js";
import { guardArguments, observerArguments, respondArguments, respondedOf, verdictOf } from "../../src/sidecars/wire.js";

const CALL = { run: "r", tenant: "t", task: "a", version: "v1" };
const base64 = (text: string): string => Buffer.from(text, "latin1").toString("base64");
const refusal = (status: number, headers: readonly (readonly [string, string])[], reason = "no"): string =>
  JSON.stringify({ tag: "err", val: { status, headers: headers.map(([name, value]) => [name, base64(value)]), reason } });

describe("a guard's arguments", () => {
  it("are the run and the head, values of fields as bytes", () => {
    const head = { method: "GET", scheme: "http", authority: "a", pathWithQuery: "/x?y", headers: ["A", "é"], peer: "127.0.0.1" };
    expect(JSON.parse(guardArguments(CALL, head))).toEqual([CALL, { ...head, headers: [["A", base64("é")]] }]);
  });
});

describe("an observer's arguments", () => {
  it("have whole nanoseconds, and no status where there was none", () => {
    expect(JSON.parse(observerArguments(CALL, "trap", undefined, 1.5))).toEqual([CALL, "trap", null, 1_500_000]);
    expect(JSON.parse(observerArguments(CALL, "ok", 204, 0))).toEqual([CALL, "ok", 204, 0]);
  });
});

describe("a verdict", () => {
  it("lets pass, with or without a name", () => {
    expect(verdictOf('{"tag":"ok","val":null}')).toEqual({ identity: undefined });
    expect(verdictOf('{"tag":"ok"}')).toEqual({ identity: undefined });
    const identity = { subject: "ada", claims: [["role", "admin"]] };
    expect(verdictOf(JSON.stringify({ tag: "ok", val: identity }))).toEqual({ identity });
  });

  it.each([
    [401, 401],
    [599, 599],
    [399, 403],
    [200, 403],
    [600, 403],
    [0, 403],
  ])("of status %d answers %d", (status, answered) => {
    expect(verdictOf(refusal(status, []))).toEqual({ refusal: { status: answered, headers: [], reason: "no" } });
  });

  it("keeps headers that an answer can have, and no others", () => {
    const headers = [
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
    ] as const;
    expect(verdictOf(refusal(401, headers))).toMatchObject({
      refusal: { headers: ["WWW-Authenticate", 'Bearer realm="a"', "X-Latin", "é"] },
    });
  });
});

describe("the head of an answer", () => {
  const before = { status: 200, headers: ["A", "b"] };
  const said = (status: number, headers: readonly (readonly [string, string])[]): string =>
    JSON.stringify([status, headers.map(([name, value]) => [name, base64(value)])]);

  it("is told as it is", () => {
    expect(JSON.parse(respondArguments(CALL, before))).toEqual([CALL, 200, [["A", base64("b")]]]);
  });

  it.each([
    [204, 204],
    [503, 503],
    [100, 200],
    [600, 200],
  ])("that is to have the status %d has %d", (status, answered) => {
    expect(respondedOf(said(status, []), before)).toEqual({ status: answered, headers: [] });
  });

  it("has what is said, the length of its body too, but no run id of its own and nothing that splits it", () => {
    const headers = [
      ["Content-Length", "5"],
      ["Pilotlight-Run", "lie"],
      ["X", "a\r\nb"],
      ["Connection", "close"],
      ["Y", "z"],
    ] as const;
    expect(respondedOf(said(200, headers), before).headers).toEqual(["Content-Length", "5", "Y", "z"]);
  });
});

it("a run has the sidecars that its manifest names, and those of a header only with it, in their order", () => {
  const manifest = readManifest(
    { name: "a", component: "a.wasm", sidecars: [{ use: "one" }, { use: "two", when: { header: "x-two" } }, { use: "three" }] },
    "a",
  );
  const names = (fields: Readonly<Record<string, string>>): string[] => sidecarsOf(manifest, (name) => fields[name]).map(({ use }) => use);
  expect(names({})).toEqual(["one", "three"]);
  expect(names({ "x-two": "" })).toEqual(["one", "two", "three"]);
  const none = readManifest({ name: "a", component: "a.wasm" }, "a");
  expect(sidecarsOf(none, () => "x")).toEqual([]);
});
