import { describe, expect, it, onTestFinished } from "vitest";
import type { EngineStats } from "../../src/engine/engine.js";
import { NO_USAGE, type Outcome } from "../../src/engine/outcome.js";
import type { Run } from "../../src/invoke/run.js";
import { Histogram } from "../../src/observe/histogram.js";
import type { CapacitySources } from "../../src/observe/capacity-metrics.js";
import { Metrics } from "../../src/observe/metrics.js";
import type { SubPoolView } from "../../src/pool/views.js";
import { Workbench } from "../invoke/workbench.js";
import { fakeTask } from "../tasks/fake-task.js";

const ENGINE: EngineStats = {
  instances: 3,
  runs: 2,
  programs: 5,
  guestBytes: 77,
  connections: 4,
  asks: 0,
  capacity: 1000,
  allocator: "pooling",
};
const POOL = { idle: 1, busy: 2, starting: 3, ending: 4, waiting: 6 };
const FORESIGHT = {
  predictions: 40,
  hits: 41,
  late: 42,
  wasted: 43,
  waste: 44,
  announcements: 45,
  refused: 46,
  switchedOff: 47,
  passed: 48,
  instances: 49,
  bytes: 52,
};
const SHARED: SubPoolView = {
  pool: "shared",
  cellBytes: 100,
  cellSlots: 4,
  cells: 6,
  warming: 1,
  target: 2,
  active: 3,
  draining: 2,
  assigned: 7,
  reclaimed: 8,
  replaced: 9,
  misses: 10,
};
const CAPACITY: CapacitySources = {
  view: () => ({
    budgetBytes: 1000,
    cellBytes: 600,
    lobbyBytes: 100,
    lobbyChargedBytes: 50,
    reservedRuns: 0,
    waiting: 6,
    leases: 11,
    runLimit: Number.POSITIVE_INFINITY,
    draining: false,
    pools: [SHARED],
  }),
  totals: () => ({
    rungs: { "own/ready": 12, "warming/stored": 13 },
    passed: { "own/ready: none is idle": 14 },
    refused: { overloaded: 15 },
    expired: 16,
    evictedInstances: 17,
    evictedPrograms: 18,
    foreseen: 19,
  }),
};

const CODE = { load: 20, link: 21 };

function metrics(): Metrics {
  const made = new Metrics({
    engine: () => ENGINE,
    pool: () => POOL,
    capacity: CAPACITY,
    code: () => CODE,
    liveRuns: () => 8,
    connections: () => 9,
    records: () => ({ records: 30, bytes: 31, memoryBytes: 32, evicted: 33, rejected: 34 }),
    later: {
      foresight: () => FORESIGHT,
      deferred: () => ({ steps: [[{ by: "cron", state: "done" }, 50]], waiting: 51 }),
    },
  });
  onTestFinished(() => made.stop());
  return made;
}

function ended(task: string, outcome: Outcome, facts: Partial<Run> = {}): Run {
  return Object.assign(new Workbench().run(fakeTask(task)), { outcome, grantedAt: 1, settledAt: 3, rung: "own/linked", ...facts });
}

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The samples of ours in the text format. */
async function samples(from: Metrics): Promise<Sample[]> {
  const lines = (await from.render()).split("\n").filter((line) => /^(faas|pilotlight)_/.test(line));
  return lines.map((line) => {
    const match = /^([a-z0-9_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    expect(match, line).not.toBeNull();
    const [, name, labels, value] = match as RegExpExecArray;
    return {
      name: name as string,
      labels: Object.fromEntries([...(labels ?? "").matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, key, text]) => [key, text])),
      value: Number(value),
    };
  });
}

const valueOf = (all: readonly Sample[], name: string, labels: Record<string, string> = {}): number | undefined =>
  all.find((sample) => sample.name === name && Object.entries(labels).every(([key, text]) => sample.labels[key] === text))?.value;

describe("the metrics", () => {
  it("have these names and labels, and no others", async () => {
    const made = metrics();
    made.settled(ended("a", { kind: "ok", exit: 0 }, { usage: { ...NO_USAGE, startNanoseconds: 1000 } }));
    made.settled(ended("a", { kind: "limit", limit: "memory", used: 2, allowed: 1 }, { usage: { ...NO_USAGE, droppedLines: 2 } }));
    made.prepared(5000);
    const names = new Map<string, Set<string>>();
    for (const { name, labels } of await samples(made)) {
      const family = name.replace(/_(bucket|sum|count)$/, "");
      const known = names.get(family) ?? new Set();
      for (const label of Object.keys(labels)) if (label !== "le") known.add(label);
      names.set(family, known);
    }
    const seen = Object.fromEntries(
      [...names].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, labels]) => [name, [...labels].sort().join(",")]),
    );
    expect(seen).toEqual({
      faas_coldstarts_total: "rung,task,tenant",
      faas_init_duration_seconds: "rung",
      faas_invocations_total: "outcome,task,tenant",
      faas_invoke_duration_seconds: "task,tenant",
      pilotlight_capacity_bytes: "part",
      pilotlight_capacity_passed_total: "reason,rung",
      pilotlight_capacity_refused_total: "reason",
      pilotlight_capacity_rungs_total: "rung",
      pilotlight_cells: "pool,state",
      pilotlight_cells_assigned_total: "pool",
      pilotlight_cells_missed_total: "pool",
      pilotlight_cells_reclaimed_total: "pool",
      pilotlight_cells_replaced_total: "pool",
      pilotlight_cells_target: "pool",
      pilotlight_client_connections: "",
      pilotlight_code_steps_total: "step",
      pilotlight_deferred_total: "by,state",
      pilotlight_deferred_waiting: "",
      pilotlight_event_loop_delay_p99_seconds: "",
      pilotlight_event_loop_utilization_ratio: "",
      pilotlight_evictions_total: "what",
      pilotlight_guest_memory_bytes: "",
      pilotlight_instances_busy: "",
      pilotlight_instances_capacity: "",
      pilotlight_instances_ending: "",
      pilotlight_instances_idle: "",
      pilotlight_instances_starting: "",
      pilotlight_lease_wait_seconds: "task,tenant",
      pilotlight_leases: "",
      pilotlight_leases_expired_total: "",
      pilotlight_limits_total: "limit,task,tenant",
      pilotlight_log_lines_dropped_total: "task,tenant",
      pilotlight_outbound_connections: "",
      pilotlight_pretriggers_announcements_total: "",
      pilotlight_pretriggers_bytes: "",
      pilotlight_pretriggers_instances: "",
      pilotlight_pretriggers_off_total: "",
      pilotlight_pretriggers_passed_total: "",
      pilotlight_pretriggers_predictions_total: "",
      pilotlight_pretriggers_refused_total: "",
      pilotlight_pretriggers_runs_total: "found",
      pilotlight_pretriggers_wasted_byte_seconds_total: "",
      pilotlight_pretriggers_wasted_total: "",
      pilotlight_programs: "",
      pilotlight_records: "",
      pilotlight_records_bytes: "",
      pilotlight_records_memory_bytes: "",
      pilotlight_run_limit: "",
      pilotlight_runs_foreseen_total: "",
      pilotlight_runs_live: "",
      pilotlight_runs_waiting: "",
    });
  });

  it("are in the text format, each family described once", async () => {
    const made = metrics();
    made.settled(ended("a", { kind: "ok", exit: 0 }));
    const text = await made.render();
    const described = text
      .split("\n")
      .filter((line) => line.startsWith("# TYPE "))
      .map((line) => line.split(" ")[2]);
    expect(new Set(described).size).toBe(described.length);
    for (const { name } of await samples(made)) expect(described).toContain(name.replace(/_(bucket|sum|count)$/, ""));
  });

  it("count runs by task and outcome, and show the same when they are looked at again", async () => {
    const made = metrics();
    for (let i = 0; i < 3; i++) made.settled(ended("a", { kind: "ok", exit: 0 }));
    made.settled(ended("a", { kind: "trap", message: "whatever the guest said" }));
    made.settled(ended("b", { kind: "ok", exit: 0 }));
    for (let look = 0; look < 2; look++) {
      const all = await samples(made);
      expect(valueOf(all, "faas_invocations_total", { task: "a", outcome: "ok" })).toBe(3);
      expect(valueOf(all, "faas_invocations_total", { task: "a", outcome: "trap" })).toBe(1);
      expect(valueOf(all, "faas_invocations_total", { task: "b", outcome: "ok" })).toBe(1);
    }
    made.settled(ended("a", { kind: "ok", exit: 0 }));
    expect(valueOf(await samples(made), "faas_invocations_total", { task: "a", outcome: "ok" })).toBe(4);
  });

  it("count limits by which it was, and lines that were dropped", async () => {
    const made = metrics();
    made.settled(ended("a", { kind: "limit", limit: "cpu", used: 2, allowed: 1 }, { usage: { ...NO_USAGE, droppedLines: 5 } }));
    const all = await samples(made);
    expect(valueOf(all, "pilotlight_limits_total", { task: "a", limit: "cpu" })).toBe(1);
    expect(valueOf(all, "pilotlight_log_lines_dropped_total", { task: "a" })).toBe(5);
  });

  it("count a cold start where an instance was made for the run, not where one was ready", async () => {
    const made = metrics();
    made.settled(ended("a", { kind: "ok", exit: 0 }, { usage: { ...NO_USAGE, startNanoseconds: 2_000_000 } }));
    made.settled(ended("a", { kind: "ok", exit: 0 }, { rung: "own/ready" }));
    const all = await samples(made);
    expect(all.filter(({ name }) => name === "faas_coldstarts_total")).toEqual([
      { name: "faas_coldstarts_total", labels: { tenant: "default", task: "a", rung: "own/linked" }, value: 1 },
    ]);
    expect(valueOf(all, "faas_init_duration_seconds_count", { rung: "own/linked" })).toBe(1);
    expect(valueOf(all, "faas_init_duration_seconds_sum", { rung: "own/linked" })).toBeCloseTo(0.002);
  });

  it("measure waiting and running in seconds, and neither for a run that never had a lease", async () => {
    const made = metrics();
    made.settled(ended("a", { kind: "ok", exit: 0 }, { grantedAt: 250, settledAt: 1250 }));
    made.settled(ended("b", { kind: "refused", code: "node-full", message: "" }, { grantedAt: undefined }));
    const all = await samples(made);
    expect(valueOf(all, "faas_invoke_duration_seconds_sum", { task: "a" })).toBe(1);
    expect(valueOf(all, "pilotlight_lease_wait_seconds_sum", { task: "a" })).toBe(0.25);
    expect(valueOf(all, "faas_invoke_duration_seconds_count", { task: "b" })).toBeUndefined();
    expect(valueOf(all, "faas_invocations_total", { task: "b", outcome: "refused" })).toBe(1);
  });

  it("read the gauges when they are asked for", async () => {
    const all = await samples(metrics());
    const gauges = [
      "instances_idle",
      "instances_busy",
      "instances_starting",
      "instances_ending",
      "runs_waiting",
      "runs_live",
      "client_connections",
      "outbound_connections",
      "guest_memory_bytes",
      "programs",
      "instances_capacity",
    ];
    expect(gauges.map((name) => valueOf(all, `pilotlight_${name}`))).toEqual([1, 2, 3, 4, 6, 8, 9, 4, 77, 5, 1000]);
    expect(valueOf(all, "pilotlight_event_loop_utilization_ratio")).toBeGreaterThanOrEqual(0);
    expect(valueOf(all, "pilotlight_event_loop_delay_p99_seconds")).toBeGreaterThanOrEqual(0);
  });

  it("show the pool's cells and what it has counted, the same at each look", async () => {
    const made = metrics();
    for (let look = 0; look < 2; look++) {
      const all = await samples(made);
      const value = (name: string, labels?: Record<string, string>): number | undefined => valueOf(all, `pilotlight_${name}`, labels);
      expect(["warming", "active", "draining"].map((state) => value("cells", { pool: "shared", state }))).toEqual([1, 3, 2]);
      expect(["budget", "cells", "lobby"].map((part) => value("capacity_bytes", { part }))).toEqual([1000, 600, 50]);
      const totals = ["cells_assigned_total", "cells_reclaimed_total", "cells_replaced_total", "cells_missed_total"];
      expect(totals.map((name) => value(name, { pool: "shared" }))).toEqual([7, 8, 9, 10]);
      expect([value("cells_target"), value("leases"), value("leases_expired_total"), value("runs_foreseen_total")]).toEqual([
        2, 11, 16, 19,
      ]);
      expect(value("capacity_rungs_total", { rung: "warming/stored" })).toBe(13);
      expect(value("capacity_passed_total", { rung: "own/ready", reason: "none is idle" })).toBe(14);
      expect(value("capacity_refused_total", { reason: "overloaded" })).toBe(15);
      expect(["instance", "program"].map((what) => value("evictions_total", { what }))).toEqual([17, 18]);
      expect(["load", "link"].map((step) => value("code_steps_total", { step }))).toEqual([20, 21]);
    }
  });

  it("have no label whose values a request or a guest could make up", async () => {
    const made = metrics();
    const origin = { kind: "http", method: "MADE-UP", path: "/made-up", requestId: "made-up", traceparent: "made-up" } as const;
    const outcomes: Outcome[] = [
      { kind: "trap", message: "made-up" },
      { kind: "guest-error", code: "error-code", message: "made-up" },
      { kind: "platform", code: "internal", message: "made-up" },
      { kind: "ok", exit: 0 },
    ];
    for (let i = 0; i < 400; i++)
      made.settled(ended("a", outcomes[i % 4] as Outcome, { origin: { ...origin, path: `/made-up/${i}` }, status: 200 + i }));
    const text = await made.render();
    expect(text.toLowerCase()).not.toContain("made-up");
    expect((await samples(made)).filter(({ name }) => name === "faas_invocations_total")).toHaveLength(4);
  });
});

describe("a histogram", () => {
  it("counts each value in every bucket that is large enough", () => {
    const histogram = new Histogram("h", "Help.", (key) => `task="${key}"`, [1, 2]);
    for (const value of [0.5, 1, 1.5, 2, 3]) histogram.observe("a", value);
    expect(histogram.render()).toBe(
      [
        "# HELP h Help.",
        "# TYPE h histogram",
        'h_bucket{task="a",le="1"} 2',
        'h_bucket{task="a",le="2"} 4',
        'h_bucket{task="a",le="+Inf"} 5',
        'h_sum{task="a"} 8',
        'h_count{task="a"} 5',
        "",
      ].join("\n"),
    );
  });

  it("keeps its labels apart, and is only described when it has seen nothing", () => {
    const histogram = new Histogram("h", "Help.", (key) => `task="${key}"`, [1]);
    expect(histogram.render()).toBe("# HELP h Help.\n# TYPE h histogram\n");
    histogram.observe("a", 1);
    histogram.observe("b", 2);
    expect(histogram.render()).toContain('h_bucket{task="a",le="1"} 1');
    expect(histogram.render()).toContain('h_bucket{task="b",le="1"} 0');
  });
});
