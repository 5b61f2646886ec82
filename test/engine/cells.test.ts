/** Cells on the real engine: what counts in them, what they refuse, and what an unused instance is found to hold. */
import { parse } from "@bytecodealliance/jco";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { CellUsage, ProgramId } from "../../src/engine/engine.js";
import { EngineError } from "../../src/engine/native.js";
import type { Outcome } from "../../src/engine/outcome.js";
import { call, http, openEngine, useEngine, type InstanceName, type Terms, type TestEngine } from "../support/engine.js";

const KiB = 1024;
const PAGE = 64 * KiB;
/** The memory of a grower when it is made. */
const FRESH = 4 * PAGE;

const engine = useEngine();

interface Shape {
  /** Pages of the memory: at first, and at most. */
  readonly memory?: string;
  /** What happens while the instance is made. */
  readonly start?: string;
}

/** A component that grows when it is told to: `grow` gives what `memory.grow` gave, `need` traps when that was refused. */
function grower({ memory = "4", start = "" }: Shape = {}): Promise<Uint8Array> {
  return parse(`(component
    (core module $m
      (memory ${memory})
      (func $start (local $at i32) ${start})
      (start $start)
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
      (func (export "need") (param i32) (if (i32.eq (memory.grow (local.get 0)) (i32.const -1)) (then unreachable)))
      (func (export "trap") unreachable))
    (core instance $i (instantiate $m))
    (func (export "grow") (param "pages" u32) (result s32) (canon lift (core func $i "grow")))
    (func (export "need") (param "pages" u32) (canon lift (core func $i "need")))
    (func (export "trap") (canon lift (core func $i "trap"))))`);
}

/** Writes to the memory, a byte every KiB. */
const touch = (bytes: number): string => `
  (loop $next
    (i32.store8 (local.get $at) (i32.const 1))
    (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1024))) (i32.const ${bytes}))))`;

let program: ProgramId;
beforeAll(async () => {
  program = await engine.link(await grower());
});

let nextCell = 1;

/** A cell of that many bytes, closed when the test is done. */
function openCell(bytes: number, within: TestEngine = engine): number {
  const cell = nextCell++;
  within.send({ kind: "cell", cell, bytes });
  onTestFinished(() => within.send({ kind: "close-cell", cell }));
  return cell;
}

function usage(cell: number, within: TestEngine = engine): CellUsage | undefined {
  return within.port.cells().find((usage) => usage.cell === cell);
}

/** An instance of the grower that has run in that cell and waits for more; gone when the test is done. */
async function instance(cell: number, of: ProgramId = program): Promise<InstanceName> {
  const on = engine.slot();
  expect(await grow(on, 0, cell, of)).toBeGreaterThan(0);
  onTestFinished(() => leave(on));
  return on;
}

async function leave(on: InstanceName): Promise<void> {
  engine.retire(on);
  await engine.gone(on);
}

/** What `memory.grow` says in the guest: the pages there were, or -1. */
async function grow(on: InstanceName, pages: number, cell = 0, of: ProgramId = program): Promise<number> {
  const run = engine.run(of, call("", "grow", [pages]), { on, cell, last: false });
  expect(await run.outcome()).toEqual({ kind: "ok", exit: 0 });
  return Number((await run.first("result")).json);
}

const need = (on: InstanceName, pages: number): Promise<Outcome> =>
  engine.run(program, call("", "need", [pages]), { on, last: false }).outcome();

describe("a cell", () => {
  it("refuses the growth that would pass its bytes, in the guest, while a neighbour in another cell grows freely", async () => {
    const [cell, other] = [openCell(FRESH + 2 * PAGE), openCell(100 * PAGE)];
    const [on, neighbour] = [await instance(cell), await instance(other)];
    expect(await grow(on, 3)).toBe(-1);
    expect(await grow(on, 2)).toBe(4);
    expect(await grow(on, 1)).toBe(-1);
    expect(await grow(neighbour, 90)).toBe(4);
    expect(usage(cell)).toEqual({ cell, limitBytes: 6 * PAGE, heldBytes: 6 * PAGE, instances: 1, refusals: 2 });
    expect(usage(other)).toEqual({ cell: other, limitBytes: 100 * PAGE, heldBytes: 94 * PAGE, instances: 1, refusals: 0 });
  });

  it("is shared by its instances, and what one of them held is there again once it is retired", async () => {
    const cell = openCell(2 * FRESH + 3 * PAGE);
    const first = engine.slot();
    await grow(first, 3, cell);
    const second = await instance(cell);
    expect(await grow(second, 1)).toBe(-1);
    expect(usage(cell)).toMatchObject({ heldBytes: 11 * PAGE, instances: 2, refusals: 1 });
    await leave(first);
    expect(usage(cell)).toMatchObject({ heldBytes: FRESH, instances: 1 });
    expect(await grow(second, 7)).toBe(4);
    expect(usage(cell)).toMatchObject({ heldBytes: 11 * PAGE, refusals: 1 });
  });

  it("is as large as it was last said to be, for instances that run already too", async () => {
    const cell = openCell(FRESH);
    const on = await instance(cell);
    expect(await grow(on, 1)).toBe(-1);
    engine.send({ kind: "cell", cell, bytes: FRESH + PAGE });
    expect(await grow(on, 1)).toBe(4);
    engine.send({ kind: "cell", cell, bytes: PAGE });
    expect(await grow(on, 0)).toBe(5);
    expect(await grow(on, 1)).toBe(-1);
    expect(usage(cell)).toEqual({ cell, limitBytes: PAGE, heldBytes: 5 * PAGE, instances: 1, refusals: 2 });
  });

  it("takes any instance, and refuses only what it then wants more", async () => {
    const cell = openCell(PAGE);
    const on = await instance(cell);
    expect(usage(cell)).toMatchObject({ limitBytes: PAGE, heldBytes: FRESH, refusals: 0 });
    expect(await grow(on, 1)).toBe(-1);
  });

  it("is named with what it would have come to when the guest then traps, and its bytes come back", async () => {
    const cell = openCell(2 * FRESH + PAGE);
    const neighbour = await instance(cell);
    const on = engine.slot();
    await grow(on, 0, cell);
    expect(await need(on, 2)).toEqual({ kind: "limit", limit: "cell-memory", used: 10 * PAGE, allowed: 9 * PAGE });
    await engine.gone(on);
    expect(usage(cell)).toMatchObject({ heldBytes: FRESH, instances: 1, refusals: 1 });
    expect(await grow(neighbour, 5)).toBe(4);
  });

  it("is not blamed where the instance's own limit refuses first, nor for a trap in a later run", async () => {
    const cell = openCell(FRESH + PAGE);
    const small = await engine.link(await grower(), { limits: { memoryBytes: FRESH + PAGE } });
    const run = engine.run(small, call("", "need", [2]), { cell });
    expect(await run.outcome()).toEqual({ kind: "limit", limit: "memory", used: 6 * PAGE, allowed: 5 * PAGE });
    await engine.gone(run.on);
    const on = engine.slot();
    expect(await grow(on, 2, cell)).toBe(-1);
    expect(await engine.run(program, call("", "trap", []), { on, last: false }).outcome()).toMatchObject({ kind: "trap" });
    expect(usage(cell)).toMatchObject({ refusals: 1 });
    await engine.gone(on);
  });

  it("does not count growth past what the memory itself declares", async () => {
    const cell = openCell(100 * PAGE);
    const on = await instance(cell, await engine.link(await grower({ memory: "4 6" })));
    for (let i = 0; i < 50; i++) expect(await grow(on, 3)).toBe(-1);
    expect(usage(cell)).toMatchObject({ heldBytes: FRESH, refusals: 0 });
    expect(await grow(on, 2)).toBe(4);
    expect(usage(cell)).toMatchObject({ heldBytes: 6 * PAGE });
  });

  it("never holds more than it may, however many grow in it at once", async () => {
    const limit = 16 * FRESH + 100 * PAGE;
    const cell = openCell(limit);
    const guests = await Promise.all(Array.from({ length: 16 }, () => instance(cell)));
    const steps = guests.flatMap((on) => Array.from({ length: 10 }, () => grow(on, 1)));
    const granted = (await Promise.all(steps)).filter((pages) => pages !== -1).length;
    expect(granted).toBe(100);
    expect(usage(cell)).toMatchObject({ heldBytes: limit, refusals: 60 });
  });

  it("holds for guests of HTTP too: one that can live without goes on, one that cannot is blamed", async () => {
    const cell = openCell(3 * 2 ** 20);
    for (const version of ["p2", "p3"]) {
      const behave = await engine.program(`behave-${version}`);
      const { body, outcome } = await engine.run(behave, "/grow-ok", { cell }).answer();
      expect(outcome).toEqual({ kind: "ok", exit: 0 });
      expect(Number(body)).toBeGreaterThan(2 ** 20);
      expect(Number(body)).toBeLessThan(3 * 2 ** 20);
      await engine.idle();
      const run = engine.run(behave, http("/memory"), { cell });
      expect(await run.outcome()).toMatchObject({ kind: "limit", limit: "cell-memory", allowed: 3 * 2 ** 20 });
      await engine.idle();
      expect(usage(cell)).toMatchObject({ heldBytes: 0, instances: 0 });
    }
  });
});

describe("a prepared instance", () => {
  it("counts its charge from the command on, until its first run; then what it has, whether there is room or not", async () => {
    const cell = openCell(2 * PAGE);
    const on = engine.slot();
    const ready = engine.prepare(program, on, { cell, charge: 1000 });
    expect(usage(cell)).toMatchObject({ heldBytes: 1000, instances: 1 });
    await ready;
    expect(usage(cell)).toMatchObject({ heldBytes: 1000, instances: 1 });
    expect(await grow(on, 0)).toBe(4);
    expect(usage(cell)).toMatchObject({ heldBytes: FRESH, refusals: 0 });
    expect(await grow(on, 1)).toBe(-1);
    await leave(on);
    expect(usage(cell)).toMatchObject({ heldBytes: 0, instances: 0, refusals: 1 });
  });

  it("that never ran gives its charge back", async () => {
    const cell = openCell(2 ** 20);
    const on = await engine.prepare(program, engine.slot(), { cell, charge: 5000 });
    await leave(on);
    expect(usage(cell)).toMatchObject({ heldBytes: 0, instances: 0 });
  });

  it("counts what its memories have where no charge is said, and a charge of nothing is one", async () => {
    const cell = openCell(2 ** 20);
    const plain = await engine.prepare(program, engine.slot(), { cell });
    expect(usage(cell)).toMatchObject({ heldBytes: FRESH, instances: 1 });
    const free = await engine.prepare(program, engine.slot(), { cell, charge: 0 });
    expect(usage(cell)).toMatchObject({ heldBytes: FRESH, instances: 2 });
    for (const on of [plain, free]) await leave(on);
  });

  it("may grow while it is made: the cell refuses nothing before the first run", async () => {
    const cell = openCell(PAGE);
    const early = await engine.link(await grower({ start: "(drop (memory.grow (i32.const 5)))" }));
    const on = await engine.prepare(early, engine.slot(), { cell, charge: PAGE });
    expect(usage(cell)).toMatchObject({ heldBytes: PAGE, refusals: 0 });
    expect(await grow(on, 0)).toBe(9);
    expect(usage(cell)).toMatchObject({ heldBytes: 9 * PAGE, refusals: 0 });
    await leave(on);
  });

  it("stays in its cell, whatever a run on it says", async () => {
    const [cell, other] = [openCell(2 ** 20), openCell(2 ** 20)];
    const on = await engine.prepare(program, engine.slot(), { cell });
    await grow(on, 1, other);
    expect([usage(cell)?.heldBytes, usage(other)?.heldBytes]).toEqual([5 * PAGE, 0]);
    await leave(on);
  });

  it("that could not be made gives its charge back", async () => {
    const cell = openCell(2 ** 20);
    const broken = await engine.link(await grower({ start: "unreachable" }));
    await expect(engine.prepare(broken, engine.slot(), { cell, charge: 5000 })).rejects.toThrow("could not be made");
    expect(usage(cell)).toMatchObject({ heldBytes: 0, instances: 0 });
  });
});

describe("a cell that is closed", () => {
  it("is listed no more, and keeps to its bytes those that are in it", async () => {
    const cell = openCell(FRESH + PAGE);
    const on = await instance(cell);
    engine.send({ kind: "close-cell", cell });
    expect(usage(cell)).toBeUndefined();
    expect(await grow(on, 2)).toBe(-1);
    expect(await grow(on, 1)).toBe(4);
  });

  it("has nothing to do with the next one of its number", async () => {
    const cell = openCell(FRESH);
    const on = await instance(cell);
    engine.send({ kind: "close-cell", cell });
    engine.send({ kind: "cell", cell, bytes: 50 * PAGE });
    expect(usage(cell)).toEqual({ cell, limitBytes: 50 * PAGE, heldBytes: 0, instances: 0, refusals: 0 });
    expect(await grow(on, 1)).toBe(-1);
    expect(usage(cell)).toMatchObject({ heldBytes: 0, refusals: 0 });
  });

  it("may be closed again, as one that never was", () => {
    const before = engine.port.cells();
    engine.send({ kind: "close-cell", cell: 4_000_000_000 });
    expect(engine.port.cells()).toEqual(before);
  });
});

describe("a cell that is not there", () => {
  const missing = { kind: "platform", code: "internal", message: "cell 77777 is not there" };

  it("fails a prepare with its number", async () => {
    const on = engine.slot();
    await expect(engine.prepare(program, on, { cell: 77_777 })).rejects.toThrow("could not be made");
    expect(engine.events.find((event) => event.kind === "failed" && event.slot === on.slot)).toMatchObject({ outcome: missing });
  });

  it.each([
    ["a call", call("", "grow", [0])],
    ["a request", http("/")],
    ["a command", { kind: "command" }],
  ] as const)("settles the run of %s with its number", async (_what, frame) => {
    expect(await engine.run(program, frame, { cell: 77_777 }).outcome()).toEqual(missing);
  });

  it("cannot be number 0, which stands for none", () => {
    expect(() => engine.send({ kind: "cell", cell: 0, bytes: 1 })).toThrow(
      new EngineError("cell 0 stands for no cell; a cell's number is 1 or more"),
    );
  });
});

describe("cells", () => {
  it("are listed in the order of their numbers", () => {
    const cells = [openCell(1), openCell(2), openCell(3)];
    expect(engine.port.cells().map(({ cell }) => cell)).toEqual(cells);
  });
});

describe("the footprint of a program", () => {
  const footprintOf = async (shape: Shape, terms?: Terms): Promise<number> =>
    engine.port.footprint(await engine.link(await grower(shape), terms));

  it("is what an unused instance has written to, and about the same when measured again", async () => {
    const measured = [];
    const wide = await engine.link(await grower({ memory: "64", start: touch(1000 * KiB) }));
    for (let i = 0; i < 4; i++) measured.push(await engine.port.footprint(wide));
    expect(Math.min(...measured)).toBeGreaterThan(700 * KiB);
    expect(Math.max(...measured)).toBeLessThan(3 * Math.min(...measured));
  });

  it("is at least 32 KiB, and no more than the memories and a little", async () => {
    for (const name of ["hello-p2", "hello-p3"]) {
      const bytes = await engine.port.footprint(await engine.program(name));
      expect(bytes).toBeGreaterThanOrEqual(32 * KiB);
      expect(bytes).toBeLessThanOrEqual(32 * 2 ** 20);
    }
    expect(await footprintOf({ memory: "1", start: touch(PAGE) })).toBeLessThanOrEqual(PAGE + 64 * KiB);
  });

  it("leaves nothing behind: no instance, no byte, no event, no line", async () => {
    const speaking = await engine.link(await grower({ start: touch(PAGE) }));
    await engine.idle();
    const [before, seen] = [engine.port.stats(), engine.events.length];
    await engine.port.footprint(speaking);
    expect(engine.port.stats()).toEqual(before);
    expect(engine.events.slice(seen)).toEqual([]);
  });

  it("is measured while instances of it run, and they are none the worse for it", async () => {
    const cell = openCell(100 * PAGE);
    const on = await instance(cell);
    const [bytes, pages] = await Promise.all([engine.port.footprint(program), grow(on, 1)]);
    expect(bytes).toBeGreaterThanOrEqual(32 * KiB);
    expect(pages).toBe(4);
    expect(usage(cell)).toMatchObject({ heldBytes: 5 * PAGE, instances: 1 });
  });

  it("is measured with few instances where there is room for few, and not at all where there is none", async () => {
    const small = openEngine({ instances: 2 });
    const own = await small.link(await grower());
    const one = await small.prepare(own);
    expect(await small.port.footprint(own)).toBeGreaterThanOrEqual(32 * KiB);
    const two = await small.prepare(own);
    await expect(small.port.footprint(own)).rejects.toThrow(
      new EngineError("no instance can be made to measure: every instance of the node is in use"),
    );
    for (const on of [one, two]) {
      small.retire(on);
      await small.gone(on);
    }
    expect(await small.port.footprint(own)).toBeGreaterThanOrEqual(32 * KiB);
  });

  it.each([
    ["traps", "unreachable", {}, "no instance can be made to measure: wasm trap: wasm `unreachable` instruction executed"],
    ["goes on for ever", "(loop $l (br $l))", {}, "no instance can be made to measure: it was not ready within 2000 ms"],
    ["may not have its memory", "", { limits: { memoryBytes: PAGE } }, `no instance can be made to measure: memory: ${FRESH} of ${PAGE}`],
  ] as const)("is not to be had of one that %s", async (_what, start, terms, message) => {
    await expect(footprintOf({ start }, terms)).rejects.toThrow(new EngineError(message));
    expect(engine.port.stats()).toMatchObject({ instances: 0, guestBytes: 0 });
  });

  it("is not to be had of a program that is not linked, or of an engine that is closed", async () => {
    await expect(engine.port.footprint(999_999)).rejects.toThrow(new EngineError("program 999999 is not linked"));
    const closed = openEngine();
    const own = await closed.link("hello-p2");
    const closing = closed.close();
    await expect(closed.port.footprint(own)).rejects.toThrow(new EngineError("the engine is closing"));
    await closing;
  });
});
