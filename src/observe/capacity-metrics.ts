/** The pool's gauges and counters, read when somebody scrapes. Labels are enumerations: sub-pools, states, rungs, reasons. */
import { Counter, Gauge, type Registry } from "prom-client";
import type { PoolTotals, PoolView } from "../pool/views.js";

export interface CapacitySources {
  view(): PoolView;
  totals(): PoolTotals;
}

/** One sample: its labels and its value. */
type Sample = readonly [Readonly<Record<string, string>>, number];

export function registerCapacity(registry: Registry, sources: CapacitySources): void {
  const view = (): PoolView => sources.view();
  const totals = (): PoolTotals => sources.totals();
  const gauge = (name: string, help: string, labelNames: string[], read: () => Sample[]): void => {
    const collect = function (this: Gauge): void {
      this.reset();
      for (const [labels, value] of read()) this.set(labels, value);
    };
    registry.registerMetric(new Gauge({ name, help, labelNames, registers: [], collect }));
  };
  // The pool counts, so that its steps need no library; a counter here says what it has counted.
  const counter = (name: string, help: string, labelNames: string[], read: () => Sample[]): void => {
    const collect = function (this: Counter): void {
      this.reset();
      for (const [labels, value] of read()) this.inc(labels, value);
    };
    registry.registerMetric(new Counter({ name, help, labelNames, registers: [], collect }));
  };
  const pools = (value: (pool: PoolView["pools"][number]) => number) => (): Sample[] =>
    view().pools.map((pool) => [{ pool: pool.pool }, value(pool)]);

  gauge("pilotlight_cells", "Cells, by sub-pool and state.", ["pool", "state"], () =>
    view().pools.flatMap(({ pool, warming, active, draining }) =>
      Object.entries({ warming, active, draining }).map(([state, cells]): Sample => [{ pool, state }, cells]),
    ),
  );
  gauge(
    "pilotlight_cells_target",
    "Unassigned cells that there should be.",
    ["pool"],
    pools(({ target }) => target),
  );
  gauge("pilotlight_capacity_bytes", "The node's budget, and what of it is in cells and in the lobby.", ["part"], () => {
    const { budgetBytes, cellBytes, lobbyChargedBytes } = view();
    return Object.entries({ budget: budgetBytes, cells: cellBytes, lobby: lobbyChargedBytes }).map(([part, bytes]): Sample => [
      { part },
      bytes,
    ]);
  });
  gauge("pilotlight_leases", "Leases that are held.", [], () => [[{}, view().leases]]);
  gauge("pilotlight_run_limit", "Runs that may go on at once while the processors are the limit; +Inf: they are not.", [], () => [
    [{}, view().runLimit],
  ]);
  counter(
    "pilotlight_cells_assigned_total",
    "Cells given to a tenant.",
    ["pool"],
    pools(({ assigned }) => assigned),
  );
  counter(
    "pilotlight_cells_reclaimed_total",
    "Cells emptied for another tenant.",
    ["pool"],
    pools(({ reclaimed }) => reclaimed),
  );
  counter(
    "pilotlight_cells_replaced_total",
    "Cells replaced because they were sick or an operator drained them.",
    ["pool"],
    pools(({ replaced }) => replaced),
  );
  counter(
    "pilotlight_cells_missed_total",
    "Times that no unassigned cell was there.",
    ["pool"],
    pools(({ misses }) => misses),
  );
  counter("pilotlight_capacity_rungs_total", "Leases, by rung of the ladder.", ["rung"], () =>
    Object.entries(totals().rungs).map(([rung, times]): Sample => [{ rung }, times]),
  );
  counter("pilotlight_capacity_passed_total", "Rungs that were not possible, and why.", ["rung", "reason"], () =>
    Object.entries(totals().passed).map(([passed, times]): Sample => {
      const colon = passed.indexOf(": ");
      return [{ rung: passed.slice(0, colon), reason: passed.slice(colon + 2) }, times];
    }),
  );
  counter("pilotlight_capacity_refused_total", "Runs refused for want of capacity, by reason.", ["reason"], () =>
    Object.entries(totals().refused).map(([reason, times]): Sample => [{ reason }, times]),
  );
  counter("pilotlight_leases_expired_total", "Leases that outlived their deadline.", [], () => [[{}, totals().expired]]);
  counter("pilotlight_evictions_total", "Instances and programs let go for want of room.", ["what"], () => {
    const { evictedInstances, evictedPrograms } = totals();
    return [
      [{ what: "instance" }, evictedInstances],
      [{ what: "program" }, evictedPrograms],
    ];
  });
  counter("pilotlight_runs_foreseen_total", "Runs that capacity was prepared for ahead.", [], () => [[{}, totals().foreseen]]);
}
