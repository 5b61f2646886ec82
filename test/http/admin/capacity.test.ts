/** Cells over the wire: what is shown of one, and what is not. */
import { expect, it } from "vitest";
import type { CellInfo } from "../../../src/control/control.js";
import { startAdmin } from "./client.js";
import { FakeControl } from "./fake-control.js";

const CELL: CellInfo = {
  cell: 7,
  pool: "dedicated",
  state: "active",
  tenant: "default",
  bytes: 2 ** 28,
  chargedBytes: 2 ** 20,
  slots: 15,
  busy: 1,
  idle: 2,
  starting: 0,
  tasks: ["default/hello"],
  idleMs: undefined,
  sick: undefined,
};

it("cells are listed in pages, and one is drained by its number", async () => {
  const control = new FakeControl();
  control.cellsNow = [
    CELL,
    { ...CELL, cell: 8, tenant: undefined, state: "warming", idleMs: 12.5, busy: 0, tasks: [], sick: "3 exhausted runs" },
  ];
  const admin = await startAdmin(control, {}, control.rootKey);
  const { idleMs: _idle, sick: _sick, ...shown } = CELL;
  const first = await admin.ask("GET cells?limit=1");
  expect(first.json).toEqual({ items: [shown], next: "7" });
  const { tenant: _tenant, ...rest } = shown;
  expect((await admin.ask("GET cells?cursor=7")).json.items).toEqual([
    { ...rest, cell: 8, state: "warming", idleMs: 12.5, busy: 0, tasks: [], sick: "3 exhausted runs" },
  ]);
  expect((await admin.ask("POST cells/7/drain")).status).toBe(204);
  expect(control.cellsNow[0]?.state).toBe("draining");
  expect((await admin.ask("POST cells/9/drain")).json).toMatchObject({ status: 404, detail: "There is no cell 9." });
});

it("what the pool knows and the API does not list stays on the node", async () => {
  const control = new FakeControl();
  control.cellsNow = [{ ...CELL, programs: [3, 4] } as CellInfo];
  const admin = await startAdmin(control, {}, control.rootKey);
  expect((await admin.ask("GET cells")).text).not.toContain("programs");
});
