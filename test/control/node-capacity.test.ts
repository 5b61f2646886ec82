import { describe, expect, it } from "vitest";
import { usualCapacity } from "../../src/config/capacity.js";
import { NodeCapacity, type CapacityChange } from "../../src/control/node-capacity.js";
import { newState, type State } from "../tenants/state.js";

const MiB = 2 ** 20;
const GiB = 2 ** 30;
/** 8 GiB in cells of 128 MiB with 15 slots. */
const BASE = usualCapacity(1000, 16 * GiB);

async function after(...changes: readonly CapacityChange[]): Promise<{ state: State; node: NodeCapacity }> {
  const state = newState();
  const node = new NodeCapacity(state.store, BASE);
  for (const change of changes) await state.run(node.change(change));
  return { state, node };
}

describe("what is set on a running node", () => {
  it("is nothing at first: the configuration holds", async () => {
    const { node } = await after();
    expect([node.current, node.set, node.contradictions]).toEqual([BASE, {}, []]);
  });

  it("wins field by field, one change over the other, and is there after a restart", async () => {
    const { state, node } = await after(
      { overcommit: 4, pools: { shared: { warming: 4 } } },
      { overcommit: 2, cellIdle: 900_000, pools: { shared: { cellSlots: 9 }, variable: { warming: 1, cellSlots: undefined } } },
    );
    const set = { overcommit: 2, cellIdle: 900_000, pools: { shared: { warming: 4, cellSlots: 9 }, variable: { warming: 1 } } };
    const { shared, variable, dedicated } = BASE.pools;
    const current = {
      ...BASE,
      overcommit: 2,
      cellIdle: 900_000,
      pools: { shared: { ...shared, warming: 4, cellSlots: 9 }, variable: { ...variable, warming: 1 }, dedicated },
    };
    expect([node.set, node.current]).toEqual([set, current]);
    const again = new NodeCapacity(state.store, BASE);
    expect([again.set, again.current]).toEqual([set, current]);
    // The rest follows the configuration still.
    expect(new NodeCapacity(state.store, { ...BASE, programIdle: 1000, overcommit: 9 }).current).toEqual({ ...current, programIdle: 1000 });
  });

  it("is as it was until the plan is applied, and gone after a reset", async () => {
    const { state, node } = await after({ overcommit: 4 });
    node.change({ overcommit: 3 });
    node.reset();
    expect(node.current.overcommit).toBe(4);
    await state.run(node.reset());
    expect([node.current, node.set]).toEqual([BASE, {}]);
    expect(new NodeCapacity(state.store, BASE).current).toEqual(BASE);
    expect(state.store.list({ name: "capacity" })).toEqual([]);
  });

  it("keeps the engine's slots: a cell has as many as its share of the budget, unless they are said", async () => {
    const slots = async (...changes: CapacityChange[]): Promise<number> => (await after(...changes)).node.current.pools.shared.cellSlots;
    expect(await slots({ pools: { shared: { cellBytes: 256 * MiB } } })).toBe(30);
    expect(await slots({ pools: { shared: { cellBytes: MiB } } })).toBe(1);
    expect(await slots({ budgetBytes: 16 * GiB })).toBe(7);
    expect(await slots({ budgetBytes: 16 * GiB }, { budgetBytes: 8 * GiB })).toBe(15);
    expect(await slots({ budgetBytes: 16 * GiB, pools: { shared: { cellSlots: 5 } } }, { budgetBytes: 4 * GiB })).toBe(5);
  });

  it("is passed over as a whole when it contradicts a new configuration, and counts no longer after the next change", async () => {
    const { state } = await after({ lobbyBytes: 4 * GiB, overcommit: 2 });
    const smaller = usualCapacity(1000, 2 * GiB);
    const node = new NodeCapacity(state.store, smaller);
    expect(node.contradictions).toEqual([{ field: "lobbyBytes", message: "a lobby of 4GiB leaves no cells of a budget of 1GiB" }]);
    expect([node.current, node.set]).toEqual([smaller, {}]);
    // The larger machine again.
    expect(new NodeCapacity(state.store, BASE).current.overcommit).toBe(2);
    await state.run(node.change({ cellIdle: 900_000 }));
    expect(new NodeCapacity(state.store, BASE).set).toEqual({ cellIdle: 900_000 });
  });
});
