/** Runs that other runs have called: they have room at once, or the reserve, or are refused; they never wait for room. */
import { describe, expect, it } from "vitest";
import { MiB, Script, type SettingsSaid } from "./script.js";

/** One cell of one slot, a lobby, and slots for calls. */
function full(callSlots: number, lobbyMiB = 64, more: SettingsSaid = {}): Script {
  const script = new Script({ callSlots }, { budgetBytes: (lobbyMiB + 100) * MiB, lobbyBytes: lobbyMiB * MiB, ...more });
  script.add(1, { tenant: "a", memoryLimit: 10 * MiB });
  script.add(2, { tenant: "a", memoryLimit: 10 * MiB });
  script.demand(1, 1);
  return script;
}

const ONE_SLOT = { pools: { shared: { cellSlots: 1 } } };

describe("a called run", () => {
  it("takes room in a cell like any other, while there is some", () => {
    const script = full(2);
    expect(script.call(2, 2)).toEqual(["grant 2 on 1/1 in c1 own/linked last"]);
    expect(script.pool.view().reservedRuns).toBe(0);
  });

  it("has the reserve where cells have none: on an instance of its own that goes with it, whatever its task reuses", () => {
    const script = full(2, 64, ONE_SLOT);
    script.add(3, { tenant: "a", memoryLimit: 10 * MiB, maxRequests: 100 });
    expect(script.call(2, 3)).toEqual(["grant 2 on 1/1 in c0 reserve/linked last"]);
    expect(script.pool.view()).toMatchObject({ reservedRuns: 1 });
    expect(script.settle(2)).toEqual([]);
    expect(script.pool.view()).toMatchObject({ reservedRuns: 0 });
    expect(script.pool.counts().idle).toBe(0);
  });

  it("is charged its whole limit in the lobby, and programs that nothing runs make way for it", () => {
    const script = full(4, 30, ONE_SLOT);
    for (const id of [11, 12]) script.add(id, { tenant: `t${id}`, bytes: 12 * MiB });
    const before = script.pool.view().lobbyChargedBytes;
    expect(script.call(2, 2)).toEqual(expect.arrayContaining([expect.stringMatching(/^lower 1[12]$/)]));
    expect(before).toBeGreaterThanOrEqual(24 * MiB);
    expect(script.pool.view().lobbyChargedBytes).toBeLessThanOrEqual(30 * MiB);
  });

  it("is refused at once where the reserve is used up, and never waits for it", () => {
    const script = full(1, 64, ONE_SLOT);
    expect(script.call(2, 2)).toEqual(["grant 2 on 1/1 in c0 reserve/linked last"]);
    expect(script.call(3, 2)).toEqual(["refuse 3 node-full"]);
    expect(script.pool.counts().waiting).toBe(0);
    script.settle(2);
    expect(script.call(4, 2)[0]).toMatch(/^grant 4 .* in c0 reserve\/linked/);
  });

  it("has it even if it is larger than all of the lobby, when nobody else is there", () => {
    const script = full(2, 4, ONE_SLOT);
    expect(script.call(2, 2)).toEqual(["grant 2 on 1/1 in c0 reserve/linked last"]);
    expect(script.call(3, 2)).toEqual(["refuse 3 node-full"]);
  });

  it("leaves others half of the reserve: of its tenant's, more are refused", () => {
    const script = full(4, 64, ONE_SLOT);
    expect(script.call(2, 2)[0]).toMatch(/^grant 2/);
    expect(script.call(3, 2)[0]).toMatch(/^grant 3/);
    expect(script.call(4, 2)).toEqual(["refuse 4 node-full"]);
    script.add(5, { tenant: "b", memoryLimit: 10 * MiB });
    expect(script.call(5, 5)[0]).toMatch(/^grant 5 .* in c0 reserve/);
  });

  it("never gives what is reserved to a run that nobody waits for", () => {
    const script = full(4, 64, ONE_SLOT);
    expect(script.demand(2, 2)).toEqual([]);
    expect(script.pool.counts().waiting).toBe(1);
    expect(script.pool.view().reservedRuns).toBe(0);
  });

  it("finds the room that its caller held back for it, once it is known that there will be calls", () => {
    // Five runs of 20 MiB: what a caller and what it calls are charged.
    const script = new Script({ callSlots: 0 }, { budgetBytes: 164 * MiB, overcommit: 4 });
    for (const id of [1, 2]) script.add(id, { tenant: "a", memoryLimit: 40 * MiB });
    const started = (from: number): number => {
      let count = 0;
      for (let run = from; run < from + 12; run++) if (script.demand(run, 1).some((line) => line.startsWith("grant"))) count++;
      return count;
    };
    // Nothing is known: ten callers take the cell, and none of their calls finds room.
    expect(started(100)).toBe(10);
    expect(script.call(200, 2, 100)).toEqual(["refuse 200 node-full"]);
    for (const run of [110, 111]) script.withdraw(run);
    for (let run = 100; run < 110; run++) script.settle(run);
    expect(script.pool.counts().waiting).toBe(0);
    // One that found room shows what is called.
    script.demand(300, 1);
    expect(script.call(301, 2, 300)[0]).toMatch(/^grant 301/);
    script.settle(301);
    script.settle(300);
    expect(started(400)).toBe(5);
    for (let run = 400; run < 405; run++) expect(script.call(run + 100, 2, run)[0]).toMatch(/^grant/);
  });

  it("waits for its code alone: with that it has its place or is refused", () => {
    const script = full(1, 64, ONE_SLOT);
    for (const id of [3, 4]) script.add(id, { tenant: "a", memoryLimit: 10 * MiB, code: "compiled" });
    expect(script.call(2, 3)).toContain("raise 3");
    expect(script.call(3, 4)).toContain("raise 4");
    expect(script.raised(3)).toContain("grant 2 on 1/1 in c0 reserve/compiled last");
    expect(script.raised(4)).toContain("refuse 3 node-full");
  });

  it("asks again as one when its instance was gone before it began", () => {
    const script = full(1, 64, ONE_SLOT);
    script.call(2, 2);
    expect(script.step({ kind: "lease-refused", run: 2, deadline: 10_000 })).toEqual(
      expect.arrayContaining([expect.stringMatching(/^grant 2 on .* in c0 reserve\/linked/)]),
    );
    expect(script.pool.counts().waiting).toBe(0);
  });
});
