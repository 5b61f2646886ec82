/**
 * Prometheus metrics. Names follow OpenTelemetry's FaaS conventions where those have one; labels are bounded:
 * tasks are what the operator deployed, everything else is an enumeration.
 */
import { monitorEventLoopDelay, performance, type EventLoopUtilization } from "node:perf_hooks";
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import type { EngineStats } from "../engine/engine.js";
import type { Run } from "../invoke/run.js";
import type { PoolCounts } from "../pool/pool.js";

/** From 1 µs to 1 minute. */
const SECONDS = [1e-6, 5e-6, 1e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export interface MetricSources {
  engine(): EngineStats;
  pool(): PoolCounts;
  liveRuns(): number;
  connections(): number;
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #invocations: Counter<"task" | "outcome">;
  readonly #limits: Counter<"task" | "limit">;
  readonly #coldstarts: Counter<"task" | "rung">;
  readonly #duration: Histogram<"task">;
  readonly #init: Histogram<"rung">;
  readonly #wait: Histogram<string>;
  readonly #dropped: Counter<"task">;
  readonly #delay = monitorEventLoopDelay({ resolution: 10 });
  #utilization: EventLoopUtilization = performance.eventLoopUtilization();
  /** Children by task, so that a run costs no look-up by labels. */
  readonly #byTask = new Map<string, { ok: Counter.Internal; duration: Histogram.Internal<"task"> }>();

  constructor(sources: MetricSources) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry, prefix: "" });
    this.#invocations = new Counter({ name: "faas_invocations_total", help: "Runs that have settled, by outcome.", labelNames: ["task", "outcome"], registers });
    this.#limits = new Counter({ name: "pilotlight_limits_total", help: "Runs ended by a limit.", labelNames: ["task", "limit"], registers });
    this.#coldstarts = new Counter({ name: "faas_coldstarts_total", help: "Runs whose instance was made for them, by rung.", labelNames: ["task", "rung"], registers });
    this.#duration = new Histogram({ name: "faas_invoke_duration_seconds", help: "From the lease until the run has settled.", labelNames: ["task"], buckets: SECONDS, registers });
    this.#init = new Histogram({ name: "faas_init_duration_seconds", help: "Making an instance, by rung.", labelNames: ["rung"], buckets: SECONDS, registers });
    this.#wait = new Histogram({ name: "pilotlight_lease_wait_seconds", help: "From admission until the lease.", buckets: SECONDS, registers });
    this.#dropped = new Counter({ name: "pilotlight_log_lines_dropped_total", help: "Guest log lines over the limit.", labelNames: ["task"], registers });
    this.#delay.enable();
    this.#gauges(sources);
  }

  settled(run: Run): void {
    const outcome = run.outcome;
    if (outcome === undefined) return;
    const task = run.task.name;
    const children = this.#children(task);
    if (outcome.kind === "ok") children.ok.inc();
    else this.#invocations.inc({ task, outcome: outcome.kind });
    if (outcome.kind === "limit") this.#limits.inc({ task, limit: outcome.limit });
    if (run.usage.droppedLines > 0) this.#dropped.inc({ task }, run.usage.droppedLines);
    if (run.grantedAt === undefined || run.settledAt === undefined) return;
    children.duration.observe((run.settledAt - run.grantedAt) / 1e3);
    this.#wait.observe((run.grantedAt - run.admittedAt) / 1e3);
    if (run.rung !== undefined && run.usage.startNanoseconds > 0) {
      this.#coldstarts.inc({ task, rung: run.rung });
      this.#init.observe({ rung: run.rung }, run.usage.startNanoseconds / 1e9);
    }
  }

  prepared(nanoseconds: number): void {
    this.#init.observe({ rung: "prepared" }, nanoseconds / 1e9);
  }

  /** The text format. */
  render(): Promise<string> {
    return this.#registry.metrics();
  }

  stop(): void {
    this.#delay.disable();
    this.#registry.clear();
  }

  #children(task: string): { ok: Counter.Internal; duration: Histogram.Internal<"task"> } {
    let children = this.#byTask.get(task);
    if (children === undefined) {
      children = { ok: this.#invocations.labels({ task, outcome: "ok" }), duration: this.#duration.labels({ task }) };
      this.#byTask.set(task, children);
    }
    return children;
  }

  #gauges(sources: MetricSources): void {
    const registers = [this.#registry];
    const gauge = (name: string, help: string, read: () => number): void => {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read());
        },
      });
    };
    for (const state of ["idle", "busy", "starting", "ending"] as const) {
      gauge(`pilotlight_instances_${state}`, `Instances that are ${state}.`, () => sources.pool()[state]);
    }
    gauge("pilotlight_instances_capacity", "Most instances at once.", () => sources.engine().capacity);
    gauge("pilotlight_runs_waiting", "Runs that wait for a lease.", () => sources.pool().waiting);
    gauge("pilotlight_runs_live", "Runs that have not settled.", () => sources.liveRuns());
    gauge("pilotlight_guest_memory_bytes", "Linear memories and tables of all instances.", () => sources.engine().guestBytes);
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
