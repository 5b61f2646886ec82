/**
 * A histogram with one key for its labels, for the hot path: an observation is an array increment.
 *
 * prom-client's own sorts and joins the labels at every observation, which costs more than a guest's call.
 */
export class Histogram {
  readonly #name: string;
  readonly #help: string;
  readonly #labels: (key: string) => string;
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, { readonly buckets: Float64Array; sum: number; count: number }>();

  /** `labels` writes a key's labels (`task="hello"`); `bounds` are the buckets' upper ends, ascending, without infinity. */
  constructor(name: string, help: string, labels: (key: string) => string, bounds: readonly number[]) {
    this.#name = name;
    this.#help = help;
    this.#labels = labels;
    this.#bounds = bounds;
  }

  observe(key: string, value: number): void {
    let series = this.#series.get(key);
    if (series === undefined) {
      series = { buckets: new Float64Array(this.#bounds.length + 1), sum: 0, count: 0 };
      this.#series.set(key, series);
    }
    let bucket = 0;
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] as number)) bucket++;
    series.buckets[bucket] = (series.buckets[bucket] as number) + 1;
    series.sum += value;
    series.count++;
  }

  /** Prometheus' text format. */
  render(): string {
    const lines = [`# HELP ${this.#name} ${this.#help}`, `# TYPE ${this.#name} histogram`];
    for (const [key, { buckets, sum, count }] of this.#series) {
      const labels = this.#labels(key);
      let below = 0;
      for (const [i, bound] of this.#bounds.entries()) {
        below += buckets[i] as number;
        lines.push(`${this.#name}_bucket{${labels},le="${bound}"} ${below}`);
      }
      lines.push(`${this.#name}_bucket{${labels},le="+Inf"} ${count}`);
      lines.push(`${this.#name}_sum{${labels}} ${sum}`);
      lines.push(`${this.#name}_count{${labels}} ${count}`);
    }
    return `${lines.join("\n")}\n`;
  }
}
