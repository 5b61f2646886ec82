import { describe, expect, it } from "vitest";
import { providerFor } from "../../src/imports/match.js";
import { parseInterfaceName, type InterfaceName } from "../../src/wit/capability.js";

const name = (text: string): InterfaceName => parseInterfaceName(text) as InterfaceName;

function chosen(wanted: string, ...offered: string[]): string | undefined {
  return providerFor(
    offered.map((key) => ({ key, interface: name(key) })),
    name(wanted),
  )?.key;
}

describe("the provider of an interface", () => {
  it.each([
    ["a:b/c@1.2.0", ["a:b/c"], "a:b/c"],
    ["a:b/c", ["a:b/c"], "a:b/c"],
    ["a:b/c@0.2.0-draft", ["a:b/c"], "a:b/c"],
    ["a:b/c@1.2.0", ["a:b/c", "a:b/c@1.2.0"], "a:b/c@1.2.0"],
    ["a:b/c@1.2.0", ["a:b/c@1.4.0", "a:b/c", "a:b/c@1.10.0", "a:b/c@1.9.9"], "a:b/c@1.10.0"],
    ["a:b/c@1.2.0", ["a:b/c@1.9.0", "a:b/c@1.2.0"], "a:b/c@1.2.0"],
    ["a:b/c@1.2.0", ["a:b/c@1.0.0"], "a:b/c@1.0.0"],
    ["a:b/c@0.2.1", ["a:b/c@0.2.9"], "a:b/c@0.2.9"],
    ["a:b/c@0.2.0-draft", ["a:b/c@0.2.0-draft"], "a:b/c@0.2.0-draft"],
  ])("of %s, among %j, is %s", (wanted, offered, expected) => {
    expect(chosen(wanted, ...offered)).toBe(expected);
    expect(chosen(wanted, ...[...offered].reverse())).toBe(expected);
  });

  it.each([
    ["a:b/c@2.0.0", "a:b/c@1.2.0"],
    ["a:b/c@0.3.0", "a:b/c@0.2.0"],
    ["a:b/c@0.0.2", "a:b/c@0.0.1"],
    ["a:b/c@1.2.0", "a:b/c@1.2.0-rc.1"],
    ["a:b/c@1.2.0-rc.1", "a:b/c@1.2.0"],
    ["a:b/c", "a:b/c@1.2.0"],
    ["a:b/c@1.2.0", "a:b/d"],
    ["a:b/c@1.2.0", "a:bb/c"],
  ])("of %s is not %s", (wanted, offered) => {
    expect(chosen(wanted, offered)).toBeUndefined();
  });
});

it.each(["", "query", "acme:db", "acme:db/", "acme:db/query@1", "acme:db/query@latest", "acme:db/query@", "acme:db/a b", "Acme_x:db/q"])(
  "%j is not the name of an interface",
  (text) => {
    expect(parseInterfaceName(text)).toBeUndefined();
  },
);
