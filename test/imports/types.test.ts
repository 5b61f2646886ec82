/** jco's generated types, and what an embedder writes against them. */
import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT, tempDir } from "../support/files.js";

const MODULES = join(ROOT, "node_modules");

function node(...args: string[]): { readonly status: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", cwd: ROOT });
  return { status, output: stdout + stderr };
}

function files(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".d.ts"));
  return Object.fromEntries(names.sort().map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}

it.each(["test/imports/mirror", "examples/imports"])("the types in %s are what jco makes of its WIT", (folder) => {
  const made = tempDir({ "package.json": {} });
  const jco = join(MODULES, "@bytecodealliance/jco/dist/jco.js");
  expect(node(jco, "types", join(ROOT, folder, "world.wit"), "-n", "guest", "-o", made, "--quiet")).toMatchObject({ status: 0 });
  expect(node(join(MODULES, "oxfmt/bin/oxfmt"), "-c", join(ROOT, ".oxfmtrc.json"), made)).toMatchObject({ status: 0 });
  expect(files(made)).toEqual(files(join(ROOT, folder, "types")));
});

/** What TypeScript says of `source`. */
function compiled(source: string): string {
  const folder = tempDir({
    "package.json": { type: "module" },
    "tsconfig.json": {
      extends: join(ROOT, "tsconfig.json"),
      compilerOptions: { typeRoots: [join(MODULES, "@types")], noUnusedLocals: false, noUnusedParameters: false },
      include: ["*.ts"],
    },
    "query.ts": `import type * as Query from "${ROOT}/test/imports/mirror/types/interfaces/acme-db-query.js";
      import type { Provided, ScriptImports } from "${ROOT}/src/imports/imports.js";
      ${source}`,
  });
  return node(join(MODULES, "typescript/bin/tsc"), "--noEmit", "-p", folder).output;
}

const REST = `
  rename: (row, rights) => (row.note === undefined ? { mayRead: true } : rights),
  nested: (x) => (x.tag === "some" ? { tag: "some", val: x.val } : x),
  lists: (bytes, words, wide) => [bytes.subarray(1), wide, new Int16Array(words)],
  scalars: async (...all) => all,
  draw: (shape) => shape,
  check: async () => {},
  outcome: (x) => x,
  getUrlX2: () => "",
  toString: () => "",
  later: (key) => key,
`;

describe("an embedder's object, by the generated types,", () => {
  it("may have sync and async functions, and be given as imports", () => {
    const source = `const query: Provided<typeof Query> = {
        find: async (key, order) => (order === "by-id" ? { id: 1n, fullName: key, tags: [] } : undefined),
        touch: () => {},
        ${REST}
      };
      export const imports: ScriptImports = { "acme:db/query": query };`;
    expect(compiled(source)).toBe("");
  });

  it.each([
    ["lacks a function", `find: () => undefined, ${REST}`, "Property 'touch' is missing"],
    [
      "has one that is not in the interface",
      `find: () => undefined, touch: () => {}, wipe: () => {}, ${REST}`,
      "'wipe' does not exist in type",
    ],
    [
      "gives another type",
      `find: () => ({ id: 1, fullName: "", tags: [] }), touch: () => {}, ${REST}`,
      "Type 'number' is not assignable to type 'bigint'",
    ],
    [
      "takes another type",
      `find: (key: number) => undefined, touch: () => {}, ${REST}`,
      "Type 'string' is not assignable to type 'number'",
    ],
  ])("does not compile when it %s", (_title, functions, message) => {
    expect(compiled(`export const query: Provided<typeof Query> = { ${functions} };`)).toContain(message);
  });
});
