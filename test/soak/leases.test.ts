/** The soak of leases in short, and that it finds what is wrong where something is. */
import { describe, expect, it } from "vitest";
import { makeRealPool, runLeases, type LeasesResult } from "../../bench/soak/leases/soak.js";
import type { MakePool, PoolLike } from "../../bench/soak/leases/node.js";
import type { Grant, PoolCommand, PoolEvent } from "../../src/pool/types.js";

it("no promise of the pool is broken in 60,000 random steps, each of them under the judge", { timeout: 120_000 }, () => {
  const { found, counts } = runLeases({ steps: 60_000, seed: 20261126, every: 8, stepsEach: 3000 });
  expect(found).toEqual([]);
  expect(counts.granted).toBeGreaterThan(5000);
  for (const [what, count] of Object.entries(counts)) expect(count, what).toBeGreaterThan(0);
});

it("two cells that want each other's room for their programs do not give them to and fro without an end", { timeout: 60_000 }, () => {
  expect(runLeases({ steps: 20_000, seed: 5, from: 25 }).found).toEqual([]);
});

describe("the judge catches a pool that", () => {
  it("grants an instance under a generation that is over", () => {
    expect(broken((command) => isReused(command) && { ...command, generation: command.generation - 1 })).toMatch(/which is not there/);
  });

  it("grants a run a second place on a busy instance", () => {
    let before: Grant | undefined;
    const again = (command: PoolCommand): PoolCommand | false => {
      if (!isReused(command)) return false;
      const { slot, generation, cell } = before?.program === command.program ? before : command;
      before = command;
      return { ...command, slot, generation, cell };
    };
    expect(broken(again)).toMatch(/\d runs on \d+\/\d+/);
  });

  it("makes an instance in the cell of another tenant", () => {
    let other: Grant | undefined;
    const foreign = (command: PoolCommand): PoolCommand | false => {
      if (command.kind !== "grant" || !command.fresh) return false;
      const cell = other?.program === command.program ? command.cell : (other?.cell ?? command.cell);
      other = command;
      return { ...command, cell };
    };
    expect(broken(foreign)).toMatch(/an instance of \w in cell \d+, where \w is/);
  });

  it("gives of the reserve for calls to a run that nobody waits for", () => {
    expect(broken((command) => command.kind === "grant" && command.fresh && { ...command, cell: 0, last: true })).toMatch(
      /for which no other waits, has an instance in no cell/,
    );
  });

  it("refuses a call though nobody has anything of the reserve", () => {
    const mean = (command: PoolCommand): PoolCommand | false =>
      command.kind === "grant" &&
      command.rung.startsWith("reserve/") && { kind: "refuse", run: command.run, reason: "node-full", retryAfter: 1 };
    expect(broken(mean)).toMatch(/for which another waits, is refused with nothing in the reserve/);
  });

  it("answers a run twice", () => {
    expect(
      broken((command) => command.kind === "grant" && [command, { kind: "refuse", run: command.run, reason: "node-full", retryAfter: 1 }]),
    ).toMatch(/is leased and is refused/);
  });

  it("never answers a run", () => {
    expect(broken((command) => command.kind === "refuse" && [])).toMatch(/the pool says that \d+ wait|wait by the pool/);
  });

  it("closes a cell with an instance in it", () => {
    const early = (command: PoolCommand): PoolCommand[] | false =>
      command.kind === "grant" && command.rung.startsWith("warming") && [command, { kind: "close-cell", cell: command.cell }];
    expect(broken(early)).toMatch(/is closed with 1 instances in it/);
  });

  it("lets a program go that runs", () => {
    const early = (command: PoolCommand): PoolCommand[] | false =>
      command.kind === "grant" && [command, { kind: "lower", program: command.program }];
    expect(broken(early)).toMatch(/is let go, with/);
  });

  it("gives a lease up before its time", () => {
    const early = (command: PoolCommand): PoolCommand[] | false =>
      command.kind === "grant" && [command, { kind: "expire", run: command.run, slot: command.slot, generation: command.generation }];
    expect(broken(early)).toMatch(/expires -?\d+ ms before its end/);
  });

  it("makes cells for more than the budget", () => {
    const found = brokenBy((options) => {
      const { settings } = options;
      return makeRealPool({ ...options, settings: { ...settings, budgetBytes: 2 * settings.budgetBytes } });
    });
    expect(found).toMatch(/the budget: \d+ of \d+/);
  });

  it("leaves runs waiting beside room", () => {
    // A pool that believes the node to have half of the slots.
    expect(brokenBy((options) => makeRealPool({ ...options, slots: Math.ceil(options.slots / 2) }))).toMatch(/waits, and/);
  });

  it("never wakes up", () => {
    expect(brokenBy((options) => instead(makeRealPool(options), { nextWake: () => Number.POSITIVE_INFINITY }))).toMatch(/sleeps until/);
  });
});

/** What the judge says of a pool whose commands are tampered with, each from the twentieth on; false leaves one as it is. */
function broken(tamper: (command: PoolCommand) => PoolCommand | PoolCommand[] | false): string {
  return brokenBy((options) => {
    const pool = makeRealPool(options);
    let seen = 0;
    const step = (time: number, event: PoolEvent): PoolCommand[] =>
      pool.step(time, event).flatMap((command) => {
        const other = ++seen > 20 ? tamper(command) : false;
        return other === false ? command : other;
      });
    return instead(pool, { step });
  });
}

/** The pool, with some of its doings replaced. */
function instead(pool: PoolLike, other: Partial<PoolLike>): PoolLike {
  return {
    step: (time, event) => pool.step(time, event),
    nextWake: () => pool.nextWake(),
    counts: () => pool.counts(),
    cells: () => pool.cells(),
    programs: () => pool.programs(),
    view: () => pool.view(),
    keptFrom: (tenant) => pool.keptFrom(tenant),
    isPutOff: () => pool.isPutOff(),
    ...other,
  };
}

function isReused(command: PoolCommand): command is Grant {
  return command.kind === "grant" && !command.fresh;
}

function brokenBy(makePool: MakePool): string {
  const { found, violations }: LeasesResult = runLeases({ steps: 8000, seed: 7, every: 1, stepsEach: 2000, makePool });
  expect(violations).toBeGreaterThan(0);
  return found.map(({ message }) => message).join("\n");
}
