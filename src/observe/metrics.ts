/**
 * Prometheus metrics. Names follow OpenTelemetry's FaaS conventions where those have one; labels are bounded:
 * tasks are what the operator deployed, everything else is an enumeration.
 */
import { monitorEventLoopDelay, performance, type EventLoopUtilization } from "node:perf_hooks";
import { Counter, Gauge, Registry, collectDefaultMetrics } from "prom-client";
import type { EngineStats } from "../engine/engine.js";
import type { Run } from "../invoke/run.js";
import type { StoreFigures } from "../memo/store.js";
import type { PoolCounts } from "../pool/pool.js";
import { registerCapacity, type CapacitySources } from "./capacity-metrics.js";
import { Histogram } from "./histogram.js";
import { registerLater, type LaterSources } from "./later-metrics.js";

/** From 1 µs to 1 minute. */
const SECONDS = [1e-6, 5e-6, 1e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export interface MetricSources {
  engine(): EngineStats;
  pool(): PoolCounts;
  readonly capacity: CapacitySources;
  /** Components compiled or mapped, and programs linked, ever. */
  code(): { readonly load: number; readonly link: number };
  records(): StoreFigures;
  readonly later: LaterSources;
  liveRuns(): number;
  connections(): number;
}

/** What a task's runs have come to since the last scrape. */
interface OfTask {
  ok: number;
  readonly cold: Map<string, number>;
  readonly recalls: Map<string, number>;
}

/** The labels of a task's series; its key is `tenant/task`, neither of which needs escaping. */
function ofTask(key: string): string {
  const slash = key.indexOf("/");
  return `tenant="${key.slice(0, slash)}",task="${key.slice(slash + 1)}"`;
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #invocations: Counter<"tenant" | "task" | "outcome">;
  readonly #limits: Counter<"tenant" | "task" | "limit">;
  readonly #coldstarts: Counter<"tenant" | "task" | "rung">;
  readonly #dropped: Counter<"tenant" | "task">;
  readonly #recalls: Counter<"tenant" | "task" | "record">;
  readonly #duration = new Histogram("faas_invoke_duration_seconds", "From the lease until the run has settled.", ofTask, SECONDS);
  readonly #init = new Histogram("faas_init_duration_seconds", "Making an instance, by rung.", (rung) => `rung="${rung}"`, SECONDS);
  readonly #wait = new Histogram("pilotlight_lease_wait_seconds", "From admission until the lease.", ofTask, SECONDS);
  readonly #delay = monitorEventLoopDelay({ resolution: 10 });
  #utilization: EventLoopUtilization = performance.eventLoopUtilization();
  /** Runs that ended well, and cold starts by rung, since the last scrape: counted here because a look-up by labels costs. */
  readonly #tally = new Map<string, OfTask>();

  constructor(sources: MetricSources) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry, prefix: "" });
    this.#invocations = new Counter({
      name: "faas_invocations_total",
      help: "Runs that have settled, by outcome.",
      labelNames: ["tenant", "task", "outcome"],
      registers,
    });
    this.#limits = new Counter({
      name: "pilotlight_limits_total",
      help: "Runs ended by a limit.",
      labelNames: ["tenant", "task", "limit"],
      registers,
    });
    this.#coldstarts = new Counter({
      name: "faas_coldstarts_total",
      help: "Runs whose instance was made for them, by rung.",
      labelNames: ["tenant", "task", "rung"],
      registers,
    });
    this.#dropped = new Counter({
      name: "pilotlight_log_lines_dropped_total",
      help: "Guest log lines over the limit.",
      labelNames: ["tenant", "task"],
      registers,
    });
    this.#recalls = new Counter({
      name: "pilotlight_recalls_total",
      help: "Runs of idempotent tasks, by what records did for them: hit and collapsed ran nothing.",
      labelNames: ["tenant", "task", "record"],
      registers,
    });
    this.#delay.enable();
    this.#gauges(sources);
    registerCapacity(this.#registry, sources.capacity);
    registerLater(this.#registry, sources.later);
    this.#registry.registerMetric(codeSteps(sources));
  }

  settled(run: Run): void {
    const outcome = run.outcome;
    if (outcome === undefined) return;
    const { tenant, name, key: task } = run.task;
    const tally = this.#tallyOf(task);
    if (run.memo !== undefined) {
      const { kind } = run.memo.verdict;
      tally.recalls.set(kind, (tally.recalls.get(kind) ?? 0) + 1);
      // A skip is no invocation of the function.
      if (run.memo.isRecalled && outcome.kind === "ok") return;
    }
    if (outcome.kind === "ok") tally.ok++;
    else this.#invocations.inc({ tenant, task: name, outcome: outcome.kind });
    if (outcome.kind === "limit") this.#limits.inc({ tenant, task: name, limit: outcome.limit });
    if (run.usage.droppedLines > 0) this.#dropped.inc({ tenant, task: name }, run.usage.droppedLines);
    if (run.grantedAt === undefined || run.settledAt === undefined) return;
    this.#duration.observe(task, (run.settledAt - run.grantedAt) / 1e3);
    this.#wait.observe(task, (run.grantedAt - run.admittedAt) / 1e3);
    if (run.rung !== undefined && run.usage.startNanoseconds > 0) {
      tally.cold.set(run.rung, (tally.cold.get(run.rung) ?? 0) + 1);
      this.#init.observe(run.rung, run.usage.startNanoseconds / 1e9);
    }
  }

  prepared(nanoseconds: number): void {
    this.#init.observe("prepared", nanoseconds / 1e9);
  }

  /** The text format. */
  async render(): Promise<string> {
    for (const [key, tally] of this.#tally) {
      const [tenant, task] = key.split("/") as [string, string];
      this.#invocations.inc({ tenant, task, outcome: "ok" }, tally.ok);
      tally.ok = 0;
      for (const [rung, count] of tally.cold) this.#coldstarts.inc({ tenant, task, rung }, count);
      tally.cold.clear();
      for (const [record, count] of tally.recalls) this.#recalls.inc({ tenant, task, record }, count);
      tally.recalls.clear();
    }
    const histograms = [this.#duration, this.#init, this.#wait].map((histogram) => histogram.render());
    return [await this.#registry.metrics(), ...histograms].join("\n");
  }

  stop(): void {
    this.#delay.disable();
    this.#registry.clear();
  }

  #tallyOf(task: string): OfTask {
    let tally = this.#tally.get(task);
    if (tally === undefined) {
      tally = { ok: 0, cold: new Map(), recalls: new Map() };
      this.#tally.set(task, tally);
    }
    return tally;
  }

  #gauges(sources: MetricSources): void {
    const gauge = (name: string, help: string, read: () => number): void => {
      const collect = function (this: Gauge): void {
        this.set(read());
      };
      this.#registry.registerMetric(new Gauge({ name, help, registers: [], collect }));
    };
    for (const state of ["idle", "busy", "starting", "ending"] as const) {
      gauge(`pilotlight_instances_${state}`, `Instances that are ${state}.`, () => sources.pool()[state]);
    }
    gauge("pilotlight_instances_capacity", "Most instances at once.", () => sources.engine().capacity);
    gauge("pilotlight_runs_waiting", "Runs that wait for a lease.", () => sources.pool().waiting);
    gauge("pilotlight_runs_live", "Runs that have not settled.", () => sources.liveRuns());
    gauge("pilotlight_guest_memory_bytes", "Linear memories and tables of all instances.", () => sources.engine().guestBytes);
    gauge("pilotlight_records", "Records that are kept.", () => sources.records().records);
    gauge("pilotlight_records_bytes", "What records take.", () => sources.records().bytes);
    gauge("pilotlight_records_memory_bytes", "What of that is in memory.", () => sources.records().memoryBytes);
    gauge("pilotlight_programs", "Programs linked.", () => sources.engine().programs);
    gauge("pilotlight_outbound_connections", "Outbound connections of guests.", () => sources.engine().connections);
    gauge("pilotlight_client_connections", "Connections of clients.", () => sources.connections());
    gauge("pilotlight_event_loop_delay_p99_seconds", "Delay of the event loop, 99th percentile since the last scrape.", () => {
      const delay = this.#delay.percentile(99) / 1e9;
      this.#delay.reset();
      return Number.isFinite(delay) ? delay : 0;
    });
    gauge("pilotlight_event_loop_utilization_ratio", "Share of time that the event loop was busy since the last scrape.", () => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, this.#utilization);
      this.#utilization = now;
      return utilization;
    });
  }
}

function codeSteps(sources: MetricSources): Counter {
  const collect = function (this: Counter): void {
    this.reset();
    for (const [step, times] of Object.entries(sources.code())) this.inc({ step }, times);
  };
  const help = "Components compiled or mapped (load), and programs linked (link).";
  return new Counter({ name: "pilotlight_code_steps_total", help, labelNames: ["step"], registers: [], collect });
}
