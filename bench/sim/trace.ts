/** A trace: requests in the order of their arrival, in columns, because there are millions and every policy replays them all. */

/** What a task is written in, which decides what its start costs. */
export const COMPONENTS = ["c", "rust", "javascript"] as const;
export type Component = (typeof COMPONENTS)[number];

export interface TraceTask {
  readonly tenant: string;
  readonly name: string;
  readonly component: Component;
}

export interface Trace {
  readonly tasks: readonly TraceTask[];
  readonly length: number;
  /** Milliseconds from the beginning, ascending. */
  readonly time: Float64Array;
  /** Index into `tasks`. */
  readonly task: Int32Array;
  /** Milliseconds from the guest's first instruction to its end. */
  readonly duration: Float64Array;
  /** What its instance holds while it runs, in bytes. */
  readonly bytes: Float64Array;
}

/**
 * How many tasks are of which kind. An assumption: nobody has published what people write components in. Small ones are C
 * or Rust without much of a library, larger ones Rust with one, and JavaScript brings its engine along.
 */
export const COMPONENT_SHARES: Readonly<Record<Component, number>> = { c: 0.5, rust: 0.2, javascript: 0.3 };

/** The kind that a number from 0 to 1 falls to. */
export function componentAt(place: number): Component {
  let before = 0;
  for (const component of COMPONENTS) {
    before += COMPONENT_SHARES[component];
    if (place < before) return component;
  }
  return "javascript";
}

/** Puts a trace together, request by request. */
export class TraceBuilder {
  #length = 0;
  #time = new Float64Array(1 << 16);
  #task = new Int32Array(1 << 16);
  #duration = new Float64Array(1 << 16);
  #bytes = new Float64Array(1 << 16);

  /** Throws a `RangeError` when the request came before the one that was added last. */
  add(time: number, task: number, duration: number, bytes: number): void {
    const at = this.#length;
    if (at > 0 && time < (this.#time[at - 1] as number)) {
      throw new RangeError(`a request at ${time} ms cannot follow one at ${this.#time[at - 1]} ms`);
    }
    if (at === this.#time.length) this.#grow();
    this.#time[at] = time;
    this.#task[at] = task;
    this.#duration[at] = duration;
    this.#bytes[at] = bytes;
    this.#length++;
  }

  build(tasks: readonly TraceTask[]): Trace {
    const length = this.#length;
    return {
      tasks,
      length,
      time: this.#time.subarray(0, length),
      task: this.#task.subarray(0, length),
      duration: this.#duration.subarray(0, length),
      bytes: this.#bytes.subarray(0, length),
    };
  }

  #grow(): void {
    const size = 2 * this.#time.length;
    const doubled = (from: Float64Array): Float64Array<ArrayBuffer> => {
      const to = new Float64Array(size);
      to.set(from);
      return to;
    };
    const task = new Int32Array(size);
    task.set(this.#task);
    this.#task = task;
    this.#time = doubled(this.#time);
    this.#duration = doubled(this.#duration);
    this.#bytes = doubled(this.#bytes);
  }
}
