import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { PROBLEMS, problemDocument, type ProblemCode } from "../../src/base/problem.js";
import { manifestSchema } from "../../src/tasks/manifest.js";

const page = readFileSync(new URL("../../docs/problems.md", import.meta.url), "utf8");
const table = page.slice(page.indexOf("<!-- problems -->"), page.indexOf("<!-- end -->")).split("\n").slice(3, -1);
const rows = table.map((line) =>
  line
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim()),
);

/** The first part of a code says whose fault it is. */
const FAULTS: Readonly<Record<string, string>> = {
  request: "the caller's",
  guest: "the function's",
  quota: "the tenant's",
  call: "a call's",
  capacity: "the node's",
  sidecar: "a sidecar's",
  platform: "the node's",
};

describe("docs/problems.md", () => {
  it("lists every problem in the order of the table, with its status and title", () => {
    const documented = rows.map(([code, status, title]) => [code, Number(status), title]);
    expect(documented).toEqual(Object.entries(PROBLEMS).map(([code, { status, title }]) => [`\`${code}\``, status, title]));
  });

  it.each(rows)("says of %s whose fault it is and what to do", (code, _status, _title, fault, remedy) => {
    expect(fault).toBe(FAULTS[code.slice(1).split("/")[0] as string]);
    expect(remedy).toMatch(/^[A-Z].*\.$/);
  });

  it("names only limits that a manifest has", () => {
    const { limits, reuse } = manifestSchema.parse({ name: "a", component: "a.wasm" });
    const fields = new Set([...Object.keys(limits).map((name) => `limits.${name}`), ...Object.keys(reuse).map((name) => `reuse.${name}`)]);
    const named = table.join("\n").match(/(?:limits|reuse)\.[a-zA-Z]+/g) ?? [];
    expect(named.length).toBeGreaterThan(10);
    for (const field of named) expect(fields).toContain(field);
  });
});

describe("a problem document", () => {
  it("is the RFC 9457 form with the run", () => {
    expect(JSON.parse(problemDocument({ code: "guest/cpu", detail: "Too much." }, "abc"))).toEqual({
      type: "https://pilotlight.dev/problems/guest/cpu",
      title: "The function used more CPU time than allowed",
      status: 500,
      detail: "Too much.",
      run: "abc",
    });
  });

  it("leaves out what there is not", () => {
    expect(Object.keys(JSON.parse(problemDocument({ code: "platform/draining", detail: undefined }, undefined)) as object)).toEqual([
      "type",
      "title",
      "status",
    ]);
  });

  it("has a status that fits its fault", () => {
    for (const [code, { status }] of Object.entries(PROBLEMS)) {
      const whose = (code as ProblemCode).split("/")[0];
      if (whose === "guest" || whose === "platform") expect(status, code).toBeGreaterThanOrEqual(500);
      // RFC 9110 and RFC 9111 name these statuses themselves.
      if (whose === "request" && code !== "request/upgrade" && code !== "request/only-if-cached") expect(status, code).toBeLessThan(500);
    }
  });
});
