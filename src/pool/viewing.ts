/** How cells, programs and the whole pool look from outside. */
import type { Cells } from "./cells.js";
import { runCharge } from "./instances.js";
import type { Residents } from "./residents.js";
import { isEmpty, isFull, working, type Cell, type ProgramState } from "./state.js";
import { SUB_POOLS, type SubPool } from "./types.js";
import type { CellView, Outlook, PoolView, ProgramView, SubPoolView } from "./views.js";

export function cellView(now: number, cell: Cell): CellView {
  const { id, pool, state, tenant, bytes, charged, slots, busy, idle, starting, programs, sick } = cell;
  return {
    cell: id,
    pool,
    state,
    tenant: tenant?.name,
    bytes,
    chargedBytes: Math.round(charged),
    slots,
    busy,
    idle,
    starting,
    programs: [...programs].map(({ program }) => program),
    idleMs: state === "warming" || busy > 0 || starting > 0 || !(isEmpty(cell) || idle > 0) ? undefined : Math.max(0, now - cell.idleSince),
    sick,
  };
}

export function programView(now: number, state: ProgramState, overcommit: number): ProgramView {
  const { costs, programBytes, readyBytes, leased, idleCount, starting, waiting, target, granted, failures, pausedUntil } = state;
  return {
    program: state.program,
    tenant: state.tenant.name,
    task: state.task,
    code: state.code,
    pool: state.pool,
    busy: leased,
    idle: idleCount,
    starting,
    waiting,
    readyTarget: target,
    granted,
    programBytes: state.code === "linked" ? programBytes : 0,
    readyBytes,
    runBytes: runCharge(state, overcommit),
    costs: { ...costs },
    failures,
    pausedMs: Math.max(0, pausedUntil - now),
  };
}

/**
 * `queued`: runs of everybody in line; `rate`: runs that end in a second; `leases`: runs that go on.
 * Every run that goes on counts as one that wants a processor, also one that sleeps.
 */
export function outlookOf(state: ProgramState, queued: number, rate: number, leases: number, parallelism: number): Outlook {
  const { code, costs, idleCount, waiting, concurrency, reuse, target } = state;
  const isReady = idleCount > 0;
  const steps = code === "linked" ? 0 : costs.compiled + (code === "stored" ? costs.stored : 0);
  const before = waiting > 0 ? queued : isFull(state) ? 1 : 0;
  return {
    rung: `own/${isReady ? "ready" : code}`,
    startMs: isReady ? 0 : costs.linked + steps,
    refillMs: isReady && target > 0 ? (Math.min(1, leases / parallelism) * costs.linked) / reuse.maxRequests : 0,
    queueMs: before === 0 || rate === 0 ? 0 : (before * 1000) / rate,
    running: working(state),
    waiting,
    concurrency,
    pressure: Math.max(1, (leases + 1) / parallelism),
  };
}

export function poolView(
  cells: Cells,
  residents: Residents,
  now: Pick<PoolView, "reservedRuns" | "waiting" | "leases" | "runLimit" | "draining">,
): PoolView {
  const { budgetBytes, lobbyBytes } = cells.settings;
  return {
    budgetBytes,
    cellBytes: cells.bytes,
    lobbyBytes,
    lobbyChargedBytes: residents.lobbyBytes,
    ...now,
    pools: SUB_POOLS.map((pool) => subPoolView(cells, pool)),
  };
}

function subPoolView(cells: Cells, pool: SubPool): SubPoolView {
  const { cellBytes, cellSlots, warming } = cells.settings.pools[pool];
  const all = [...cells.all.values()].filter((cell) => cell.pool === pool);
  const inState = (state: Cell["state"]): number => all.filter((cell) => cell.state === state).length;
  return {
    pool,
    cellBytes,
    cellSlots,
    cells: all.length,
    warming: inState("warming"),
    target: warming,
    active: inState("active"),
    draining: inState("draining"),
    ...cells.counts[pool],
  };
}
