/** What is done later and what is made ready sooner, read when somebody scrapes. Labels are enumerations. */
import { Counter, Gauge, type Registry } from "prom-client";

/** What has become of predictions and announcements, ever; what is held for them now. Bytes × seconds, bytes, instances. */
export interface ForesightFigures {
  readonly predictions: number;
  readonly hits: number;
  readonly late: number;
  readonly wasted: number;
  readonly waste: number;
  readonly announcements: number;
  readonly refused: number;
  readonly switchedOff: number;
  readonly passed: number;
  readonly instances: number;
  readonly bytes: number;
}

export interface DeferredFigures {
  /** Steps of runs that answer later since the process began: by what asked for them and what became of them. */
  readonly steps: Iterable<readonly [{ readonly by: string; readonly state: string }, number]>;
  /** That wait now. */
  readonly waiting: number;
}

export interface LaterSources {
  foresight(): ForesightFigures;
  deferred(): DeferredFigures;
}

const RUNS = ["hits", "late"] as const;

export function registerLater(registry: Registry, sources: LaterSources): void {
  const counter = (name: string, help: string, read: () => number): void => {
    const collect = function (this: Counter): void {
      this.reset();
      this.inc(read());
    };
    registry.registerMetric(new Counter({ name, help, registers: [], collect }));
  };
  const gauge = (name: string, help: string, read: () => number): void => {
    const collect = function (this: Gauge): void {
      this.set(read());
    };
    registry.registerMetric(new Gauge({ name, help, registers: [], collect }));
  };
  const foresight = (): ForesightFigures => sources.foresight();
  const deferred = (): DeferredFigures => sources.deferred();
  counter("pilotlight_pretriggers_predictions_total", "Times that runs were foreseen.", () => foresight().predictions);
  counter("pilotlight_pretriggers_announcements_total", "Announcements and signals that were taken.", () => foresight().announcements);
  counter("pilotlight_pretriggers_refused_total", "Announcements that were not.", () => foresight().refused);
  registry.registerMetric(
    new Counter({
      name: "pilotlight_pretriggers_runs_total",
      help: "Runs that were expected: found what was prepared (hits), or came when it was not there (late).",
      labelNames: ["found"],
      registers: [],
      collect(this: Counter<"found">): void {
        this.reset();
        for (const found of RUNS) this.inc({ found }, foresight()[found]);
      },
    }),
  );
  counter("pilotlight_pretriggers_wasted_total", "Instances that were prepared and that nobody used.", () => foresight().wasted);
  counter(
    "pilotlight_pretriggers_wasted_byte_seconds_total",
    "What those and programs took that were held for nothing.",
    () => foresight().waste,
  );
  counter("pilotlight_pretriggers_passed_total", "Predictions that were not worth their price, or had no room.", () => foresight().passed);
  counter("pilotlight_pretriggers_off_total", "Times that a pair switched itself off.", () => foresight().switchedOff);
  gauge("pilotlight_pretriggers_instances", "Instances that lie ready for runs that are expected.", () => foresight().instances);
  gauge("pilotlight_pretriggers_bytes", "What is held for them.", () => foresight().bytes);
  gauge("pilotlight_deferred_waiting", "Runs that answer later and have not begun.", () => deferred().waiting);
  registry.registerMetric(
    new Counter({
      name: "pilotlight_deferred_total",
      help: "Steps of runs that answer later, by what asked for them.",
      labelNames: ["by", "state"],
      registers: [],
      collect(this: Counter<"by" | "state">): void {
        this.reset();
        for (const [labels, count] of deferred().steps) this.inc(labels, count);
      },
    }),
  );
}
