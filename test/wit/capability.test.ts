import { describe, expect, it } from "vitest";
import { isServedBy, parseInterfaceName, sameLine, type InterfaceName } from "../../src/wit/capability.js";

const name = (text: string): InterfaceName => parseInterfaceName(text) as InterfaceName;

describe("a capability", () => {
  it.each([
    ["a:b/c@1.2.0", "a:b/c@1.2.0", true],
    ["a:b/c@1.2.0", "a:b/c@1.3.1", true],
    ["a:b/c@1.2.0", "a:b/c@1.1.9", false],
    ["a:b/c@1.2.0", "a:b/c@2.0.0", false],
    ["a:b/c@0.2.1", "a:b/c@0.2.5", true],
    ["a:b/c@0.2.1", "a:b/c@0.3.0", false],
    ["a:b/c@0.0.1", "a:b/c@0.0.2", false],
    ["a:b/c@1.0.0-rc.1", "a:b/c@1.0.0-rc.1", true],
    ["a:b/c@1.0.0-rc.1", "a:b/c@1.0.0", false],
    ["a:b/c@1.0.0", "a:b/c@1.1.0-rc.1", false],
    ["a:b/c", "a:b/c@3.0.0", true],
    ["a:b/c@1.0.0", "a:b/c", false],
    ["a:b/c@1.0.0", "a:b/d@1.0.0", false],
  ])("%s is served by %s: %s", (wanted, provided, served) => {
    expect(isServedBy(name(wanted), name(provided))).toBe(served);
  });

  it("is one with others of its line", () => {
    expect(sameLine(name("a:b/c@1.0.0"), name("a:b/c@1.9.0"))).toBe(true);
    expect(sameLine(name("a:b/c@1.0.0"), name("a:b/c@2.0.0"))).toBe(false);
  });
});
