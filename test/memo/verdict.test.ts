import { expect, it } from "vitest";
import { cacheStatus } from "../../src/memo/verdict.js";

it.each([
  [{ kind: "hit", recalls: "r1", ttl: 9 }, undefined, 'pilotlight; hit; ttl=9; detail="run r1"'],
  [{ kind: "collapsed", recalls: "r1", ttl: 9 }, undefined, 'pilotlight; fwd=miss; collapsed; ttl=9; detail="run r1"'],
  [{ kind: "miss" }, undefined, "pilotlight; fwd=miss"],
  [{ kind: "miss" }, "clock", 'pilotlight; fwd=miss; detail="clock"'],
  [{ kind: "stale", reason: "kv changed", what: "kv:default/a changed" }, "wrote", 'pilotlight; fwd=stale; detail="kv changed; wrote"'],
  [{ kind: "forced" }, undefined, "pilotlight; fwd=request"],
  [{ kind: "bypass", reason: "body" }, undefined, 'pilotlight; fwd=bypass; detail="body"'],
] as const)("%j", (verdict, obstacle, text) => expect(cacheStatus(verdict, obstacle, false)).toBe(text));

it("tells those who may see it what has changed, in a string that ends where it should", () => {
  const stale = { kind: "stale", reason: "kv changed", what: 'kv:s/"k\\é\n changed' } as const;
  expect(cacheStatus(stale, undefined, true)).toBe('pilotlight; fwd=stale; detail="kv:s/\\"k\\\\?? changed"');
  expect(cacheStatus({ kind: "stale", what: "x".repeat(500) }, undefined, true)).toHaveLength(
    'pilotlight; fwd=stale; detail=""'.length + 200,
  );
});
