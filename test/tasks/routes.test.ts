import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RouteConflict, RouteTable } from "../../src/tasks/routes.js";

function table(...patterns: string[]): RouteTable<string> {
  const routes = new RouteTable<string>();
  routes.replace(patterns.map((pattern) => ({ pattern, target: pattern })));
  return routes;
}

describe("a route", () => {
  it("of literal segments matches exactly itself", () => {
    const routes = table("/a/b");
    expect(routes.match("/a/b")).toBe("/a/b");
    for (const other of ["/a", "/a/b/", "/a/b/c", "/A/b", "/a//b", "/", ""]) expect(routes.match(other), other).toBeUndefined();
  });

  it("with a parameter matches one segment that is not empty", () => {
    const routes = table("/users/:id/posts");
    expect(routes.match("/users/7/posts")).toBeDefined();
    for (const other of ["/users//posts", "/users/posts", "/users/7/8/posts"]) expect(routes.match(other), other).toBeUndefined();
  });

  it("that ends in /* matches everything below, and the bare path too", () => {
    const routes = table("/files/*");
    for (const path of ["/files", "/files/", "/files/a", "/files/a/b/../c", "/files//"]) expect(routes.match(path), path).toBe("/files/*");
    for (const other of ["/filesystem", "/file", "/"]) expect(routes.match(other), other).toBeUndefined();
  });

  it("of /* alone matches every path", () => {
    const routes = table("/*");
    for (const path of ["/", "/a", "/a/b", "//"]) expect(routes.match(path), path).toBe("/*");
  });

  it("of / alone matches only that", () => {
    expect(table("/").match("/")).toBe("/");
    expect(table("/").match("/a")).toBeUndefined();
  });

  it("is compared as on the wire: nothing is decoded or normalised", () => {
    const routes = table("/a%2Fb", "/caf\u00e9", "/x/*");
    expect(routes.match("/a%2Fb")).toBe("/a%2Fb");
    for (const other of ["/a/b", "/a%2fb", "/caf%C3%A9", "/y/../x/z", "/./x"]) expect(routes.match(other), other).toBeUndefined();
  });

  it("with a lone colon is a literal one", () => {
    expect(table("/:").match("/:")).toBe("/:");
    expect(table("/:").match("/a")).toBeUndefined();
  });
});

describe("of several routes", () => {
  it("the longest wins", () => {
    const routes = table("/*", "/a/*", "/a/b/*", "/:x/b/c");
    expect(routes.match("/a/b/c")).toBe("/:x/b/c");
    expect(routes.match("/a/b/d")).toBe("/a/b/*");
    expect(routes.match("/a/c")).toBe("/a/*");
    expect(routes.match("/c")).toBe("/*");
  });

  it("of the same length the one without the rest wins, then the one that is literal first", () => {
    const routes = table("/a/*", "/a", "/:x/b", "/a/:y", "/:x/:y");
    expect(routes.match("/a")).toBe("/a");
    expect(routes.match("/a/b")).toBe("/a/:y");
    expect(routes.match("/c/b")).toBe("/:x/b");
    expect(routes.match("/c/d")).toBe("/:x/:y");
    expect(routes.match("/a/b/c")).toBe("/a/*");
  });

  it("two that match the same paths are refused, and both are named", () => {
    const conflict = (...patterns: string[]): unknown => {
      try {
        table(...patterns);
      } catch (error) {
        return error;
      }
      return undefined;
    };
    expect(conflict("/a/:x", "/b", "/a/:y")).toBeInstanceOf(RouteConflict);
    expect((conflict("/a/:x", "/b", "/a/:y") as Error).message).toBe("the routes /a/:x and /a/:y match the same paths");
    expect(conflict("/a/*", "/a/*")).toBeInstanceOf(RouteConflict);
    expect(conflict("/a", "/a/*")).toBeUndefined();
    expect(conflict("/a/:x", "/a/b")).toBeUndefined();
  });

  it("none answers any more after they were replaced", () => {
    const routes = table("/old", "/both");
    expect(routes.match("/old")).toBe("/old");
    expect(routes.match("/both")).toBe("/both");
    routes.replace([{ pattern: "/both", target: "new" }]);
    expect(routes.match("/old")).toBeUndefined();
    expect(routes.match("/both")).toBe("new");
  });

  it("all stay as they were when their replacement is refused", () => {
    const routes = table("/old");
    expect(() => routes.replace(["/a", "/a"].map((pattern) => ({ pattern, target: pattern })))).toThrow(RouteConflict);
    expect(routes.match("/old")).toBe("/old");
    expect(routes.match("/a")).toBeUndefined();
  });

  it("a match is found again though more paths came by than are remembered", () => {
    const routes = table("/files/*", "/a");
    for (let i = 0; i < 5000; i++) expect(routes.match(`/files/${i}`)).toBe("/files/*");
    expect(routes.match("/a")).toBe("/a");
  });
});

/** The rules in their plainest words. */
function reference(patterns: readonly string[], path: string): string | undefined {
  const segments = path.split("/").slice(1);
  const candidates = patterns.filter((pattern) => {
    const parts = pattern.split("/").slice(1);
    const rest = parts.at(-1) === "*";
    const fixed = rest ? parts.slice(0, -1) : parts;
    if (rest ? segments.length < fixed.length : segments.length !== fixed.length) return false;
    return fixed.every((part, i) => (part.length > 1 && part.startsWith(":") ? segments[i] !== "" : part === segments[i]));
  });
  const rank = (pattern: string): string => {
    const parts = pattern.split("/").slice(1);
    const rest = parts.at(-1) === "*";
    const fixed = rest ? parts.slice(0, -1) : parts;
    // Longer is better, then exact, then literal before parameter from the left.
    return `${String(fixed.length).padStart(3, "0")}${rest ? 0 : 1}${fixed.map((part) => (part.startsWith(":") && part.length > 1 ? 0 : 1)).join("")}`;
  };
  return candidates.sort((a, b) => (rank(a) < rank(b) ? 1 : -1))[0];
}

describe("in any table", () => {
  const segment = fc.constantFrom("a", "b", "c", "", ":x", ":y", ":");
  const pattern = fc
    .tuple(fc.array(segment, { maxLength: 4 }), fc.boolean())
    .map(([parts, rest]) => `/${[...parts, ...(rest ? ["*"] : [])].join("/")}`);
  const path = fc
    .array(fc.constantFrom("a", "b", "c", "d", "", ":", "*"), { minLength: 1, maxLength: 5 })
    .map((parts) => `/${parts.join("/")}`);

  it("the match is the one that a naive reading of the rules gives", () => {
    fc.assert(
      fc.property(fc.uniqueArray(pattern, { maxLength: 12 }), fc.array(path, { minLength: 1, maxLength: 20 }), (patterns, paths) => {
        const routes = new RouteTable<string>();
        try {
          routes.replace(patterns.map((each) => ({ pattern: each, target: each })));
        } catch (error) {
          // Parameters differ by name alone.
          expect(error).toBeInstanceOf(RouteConflict);
          fc.pre(false);
        }
        // Twice, because the second time is from memory.
        for (const each of [...paths, ...paths]) expect(routes.match(each)).toBe(reference(patterns, each));
      }),
      { numRuns: 500 },
    );
  });

  it("a conflict is found exactly when two patterns differ by the names of their parameters at most", () => {
    const shape = (each: string): string => each.replaceAll(/\/:[^/]+/g, "/:x");
    fc.assert(
      fc.property(fc.array(pattern, { maxLength: 8 }), (patterns) => {
        const replace = (): void => new RouteTable<string>().replace(patterns.map((each) => ({ pattern: each, target: each })));
        if (new Set(patterns.map(shape)).size < patterns.length) expect(replace).toThrow(RouteConflict);
        else expect(replace).not.toThrow();
      }),
      { numRuns: 500 },
    );
  });
});
