/**
 * The last runs of each tenant that ended, so that they can be asked about.
 *
 * Each tenant has a ring of its own, which grows with what it runs: how long a run is known is no sign of what others do.
 * Every run passes here, so nothing of one is kept alive: what is remembered is copied into a ring of flat
 * arrays. Kept as objects, ten thousand runs would all grow old, and the garbage collector would copy each.
 */
import type { OutcomeKind } from "../engine/outcome.js";
import type { Task } from "../tasks/task.js";
import type { Caller } from "../tenants/tenant.js";
import type { Memo } from "./memo.js";
import { NO_REASONS, verdictOf, type KnownRun, type Run, type RunRecord } from "./run.js";

/** Ended runs that are remembered of each tenant. */
export const ENDED_RUNS = 10_000;

const ID_BYTES = 32;
const NUMBERS = 8;
/** Bits of one of them. */
const GRANTED = 1;
const EXPECTED = 2;

/** A tenant's first runs find room for so many. */
const FIRST_SIZE = 64;

export class EndedRuns {
  readonly #most: number;
  readonly #rings = new Map<string, Ring>();

  constructor(most: number = ENDED_RUNS) {
    this.#most = most;
  }

  /** Remembers a settled run in place of its tenant's oldest. */
  add(run: Run): void {
    const { tenant } = run.task;
    let ring = this.#rings.get(tenant);
    if (ring === undefined) this.#rings.set(tenant, (ring = new Ring(Math.min(FIRST_SIZE, this.#most))));
    else if (ring.isFull && ring.size < this.#most) this.#rings.set(tenant, (ring = ring.grown(Math.min(2 * ring.size, this.#most))));
    ring.add(run);
  }

  /** An ended run. Looks at all of them: this is for people, not for the hot path. */
  get(id: string): KnownRun | undefined {
    if (!/^[0-9a-f]{32}$/.test(id)) return undefined;
    for (const ring of this.#rings.values()) {
      const known = ring.get(id);
      if (known !== undefined) return known;
    }
    return undefined;
  }

  /** When a tenant goes. */
  forget(tenant: string): void {
    this.#rings.delete(tenant);
  }
}

/** Of a run that another called, or that had sidecars. The parent by its id: the runs themselves are not kept. */
type Descended = Pick<RunRecord, "parent" | "pick" | "calls" | "lifecycle">;

class Ring {
  readonly size: number;
  readonly #ids: Buffer;
  readonly #numbers: Float64Array;
  readonly #tasks: (Task | undefined)[];
  readonly #outcomes: (OutcomeKind | undefined)[];
  readonly #rungs: Run["rung"][];
  readonly #pools: Run["pool"][];
  readonly #terms: Run["term"][];
  /** Nearly all of them are lists that the pool has once. */
  readonly #whys: (readonly string[] | undefined)[];
  readonly #callers: (Caller | undefined)[];
  /** Of idempotent tasks alone. */
  readonly #memos: (Memo | undefined)[];
  /** What most runs do not have: who called them, and why them. */
  readonly #descents: (Descended | undefined)[];
  #next = 0;
  #count = 0;

  constructor(size: number) {
    this.size = size;
    this.#ids = Buffer.alloc(size * ID_BYTES);
    this.#numbers = new Float64Array(size * NUMBERS);
    this.#tasks = Array.from({ length: size });
    this.#outcomes = Array.from({ length: size });
    this.#rungs = Array.from({ length: size });
    this.#pools = Array.from({ length: size });
    this.#terms = Array.from({ length: size });
    this.#whys = Array.from({ length: size });
    this.#callers = Array.from({ length: size });
    this.#descents = Array.from({ length: size });
    this.#memos = Array.from({ length: size });
  }

  /** The next run would take the place of the oldest. */
  get isFull(): boolean {
    return this.#count === this.size;
  }

  /** A larger one with the same runs. Only while none has been replaced: what is in it is in order then. */
  grown(size: number): Ring {
    const ring = new Ring(size);
    this.#ids.copy(ring.#ids);
    ring.#numbers.set(this.#numbers);
    for (let at = 0; at < this.size; at++) {
      ring.#tasks[at] = this.#tasks[at];
      ring.#outcomes[at] = this.#outcomes[at];
      ring.#rungs[at] = this.#rungs[at];
      ring.#pools[at] = this.#pools[at];
      ring.#terms[at] = this.#terms[at];
      ring.#whys[at] = this.#whys[at];
      ring.#callers[at] = this.#callers[at];
      ring.#descents[at] = this.#descents[at];
      ring.#memos[at] = this.#memos[at];
    }
    ring.#next = this.size;
    ring.#count = this.size;
    return ring;
  }

  add(run: Run): void {
    const at = this.#next;
    this.#next = at + 1 === this.size ? 0 : at + 1;
    this.#count = Math.min(this.#count + 1, this.size);
    this.#ids.write(run.id, at * ID_BYTES, ID_BYTES, "latin1");
    const settled = run.settledAt ?? run.admittedAt;
    const granted = run.grantedAt ?? settled;
    const numbers = this.#numbers;
    const base = at * NUMBERS;
    numbers[base] = run.startedAtWall;
    numbers[base + 1] = run.status ?? 0;
    numbers[base + 2] = granted - run.admittedAt;
    numbers[base + 3] = settled - granted;
    numbers[base + 4] = run.usage.cpuNanoseconds;
    numbers[base + 5] = run.usage.memoryBytes;
    numbers[base + 6] = (run.grantedAt === undefined ? 0 : GRANTED) | (run.expected === true ? EXPECTED : 0);
    numbers[base + 7] = run.cell ?? 0;
    this.#tasks[at] = run.task;
    this.#outcomes[at] = run.outcome?.kind;
    this.#rungs[at] = run.rung;
    this.#pools[at] = run.pool;
    this.#terms[at] = run.term;
    this.#whys[at] = run.why;
    this.#callers[at] = run.caller;
    this.#memos[at] = run.memo;
    const { parent, pick } = run.descent;
    this.#descents[at] =
      parent === undefined && pick === undefined && run.moves === undefined
        ? undefined
        : { parent: parent?.id, pick, calls: run.usage.calls || undefined, lifecycle: run.moves };
  }

  get(id: string): KnownRun | undefined {
    for (let back = 1; back <= this.#count; back++) {
      const at = (this.#next - back + this.size) % this.size;
      if (this.#ids.toString("latin1", at * ID_BYTES, (at + 1) * ID_BYTES) !== id) continue;
      return { record: this.#record(id, at), task: this.#tasks[at] as Task, caller: this.#callers[at] as Caller };
    }
    return undefined;
  }

  #record(id: string, at: number): RunRecord {
    const task = this.#tasks[at] as Task;
    const [startedAt, status, queueMs, runMs, cpu, memoryBytes, flags, cell] = this.#numbers.subarray(
      at * NUMBERS,
      (at + 1) * NUMBERS,
    ) as unknown as [number, number, number, number, number, number, number, number];
    return {
      id,
      task: task.name,
      version: task.version.label,
      state: "settled",
      ended: true,
      startedAt: new Date(startedAt).toISOString(),
      outcome: this.#outcomes[at],
      status: status === 0 ? undefined : status,
      expected: (flags & EXPECTED) !== 0,
      capacity: this.#rungs[at],
      pool: this.#pools[at],
      term: this.#terms[at],
      cell: cell === 0 ? undefined : cell,
      why: this.#whys[at] ?? NO_REASONS,
      parent: this.#descents[at]?.parent,
      pick: this.#descents[at]?.pick,
      record: verdictOf(this.#memos[at]),
      calls: this.#descents[at]?.calls,
      // Its sidecars stop after it.
      lifecycle: this.#descents[at]?.lifecycle,
      queueMs,
      runMs: (flags & GRANTED) !== 0 ? runMs : undefined,
      cpuMs: cpu / 1e6,
      memoryBytes,
    };
  }
}
