/**
 * A histogram with one label, for the hot path: an observation is an array increment.
 *
 * prom-client's own sorts and joins the labels at every observation, which costs more than a guest's call.
 */
export class Histogram {
  readonly #name: string;
  readonly #help: string;
  readonly #label: string;
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, { readonly buckets: Float64Array; sum: number; count: number }>();

  /** `bounds` are the buckets' upper ends, ascending, without infinity. */
  constructor(name: string, help: string, label: string, bounds: readonly number[]) {
    this.#name = name;
    this.#help = help;
    this.#label = label;
    this.#bounds = bounds;
  }

  observe(label: string, value: number): void {
    let series = this.#series.get(label);
    if (series === undefined) {
      series = { buckets: new Float64Array(this.#bounds.length + 1), sum: 0, count: 0 };
      this.#series.set(label, series);
    }
    let bucket = 0;
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] as number)) bucket++;
    series.buckets[bucket] = (series.buckets[bucket] as number) + 1;
    series.sum += value;
    series.count++;
  }

  /** Prometheus' text format. Label values are names of ours, which need no escaping. */
  render(): string {
    const lines = [`# HELP ${this.#name} ${this.#help}`, `# TYPE ${this.#name} histogram`];
    for (const [label, { buckets, sum, count }] of this.#series) {
      let below = 0;
      for (const [i, bound] of this.#bounds.entries()) {
        below += buckets[i] as number;
        lines.push(`${this.#name}_bucket{${this.#label}="${label}",le="${bound}"} ${below}`);
      }
      lines.push(`${this.#name}_bucket{${this.#label}="${label}",le="+Inf"} ${count}`);
      lines.push(`${this.#name}_sum{${this.#label}="${label}"} ${sum}`);
      lines.push(`${this.#name}_count{${this.#label}="${label}"} ${count}`);
    }
    return `${lines.join("\n")}\n`;
  }
}
