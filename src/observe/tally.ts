/**
 * What many runs come to: sums, the most of each kind, and a histogram of memory.
 *
 * Plain number fields, because one is added to at the end of every run; two tallies become one by `merge`, so that an
 * hour's make a day's.
 */
import type { SubPool, Term } from "../pool/types.js";

/** How a run got its place; `none`: it got none. */
export type UsageTerm = Term | "none";

/** One run that has ended, as far as usage goes. */
export interface UsageOfRun {
  readonly tenant: string;
  readonly task: string;
  /** Of the cell that it got, or the one it asked for when it got none. */
  readonly pool: SubPool;
  readonly term: UsageTerm;
  /** How it came by its instance: `own/ready`. Undefined: it got none. */
  readonly rung: string | undefined;
  /** From admission until it got its place, or until it was given up. */
  readonly waitMs: number;
  /** From the guest's first instruction until the end. */
  readonly runMs: number;
  readonly cpuMs: number;
  /** From admission until the answer began; 0: none did. */
  readonly headMs: number;
  /** What its instance counted for in the node's memory budget. */
  readonly chargedBytes: number;
  /** The most that its instance held; 0: not known. */
  readonly memoryBytes: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** Runs of its task that were there as it ended, itself included. */
  readonly concurrent: number;
  /** Why it was refused. */
  readonly refused: string | undefined;
  /** It was answered from a record, and ran nothing. */
  readonly recalled?: boolean;
  /** The limit that ended it. */
  readonly limit: string | undefined;
}

const GiB = 2 ** 30;

/** The histogram of memory: four buckets for each doubling, from a page of Wasm to all that 32 bits reach. */
const LOWEST_LOG = 16;
const STEPS = 4;
const BUCKETS = (32 - LOWEST_LOG) * STEPS + 2;

const SUMS = [
  "runs",
  "refused",
  "abandoned",
  "recalled",
  "runMs",
  "cpuMs",
  "gibSeconds",
  "waitMs",
  "ready",
  "linked",
  "compiled",
  "stored",
  "requestBytes",
  "responseBytes",
  "overMemory",
  "overTime",
  "taskFull",
  "tenantFull",
  "nodeFull",
  "overloaded",
  "draining",
  "otherwise",
] as const;
const MOST = ["maxWaitMs", "maxRunMs", "maxHeadMs", "maxMemory", "peak"] as const;

/** As it is stored. Fields that a later version adds are 0 in what an earlier one wrote. */
export interface StoredTally {
  readonly fields: Readonly<Record<string, number>>;
  /** Buckets and how many runs each has, in turn; those without any are left out. */
  readonly memory: readonly number[];
}

export class Tally {
  /** Runs that got a place; those that were refused; those that were given up before they got one; those that a record spared. */
  runs = 0;
  refused = 0;
  abandoned = 0;
  recalled = 0;
  runMs = 0;
  cpuMs = 0;
  /** Memory that was charged, times the time that it was used. */
  gibSeconds = 0;
  waitMs = 0;
  /** Runs by how far their code was. */
  ready = 0;
  linked = 0;
  compiled = 0;
  stored = 0;
  requestBytes = 0;
  responseBytes = 0;
  /** Runs that ended at the limit of their memory, and at the time until the head. */
  overMemory = 0;
  overTime = 0;
  /** Refused, by reason. */
  taskFull = 0;
  tenantFull = 0;
  nodeFull = 0;
  overloaded = 0;
  draining = 0;
  otherwise = 0;
  maxWaitMs = 0;
  maxRunMs = 0;
  maxHeadMs = 0;
  maxMemory = 0;
  /** Runs of one task at once. */
  peak = 0;
  readonly #memory = new Uint32Array(BUCKETS);

  /** Goes up by one with each run that is added. */
  get count(): number {
    return this.runs + this.refused + this.abandoned + this.recalled;
  }

  add(run: UsageOfRun): void {
    if (run.recalled === true) {
      // What it waited for was no place.
      this.recalled++;
      this.responseBytes += run.responseBytes;
      return;
    }
    if (run.refused !== undefined) this.#refuse(run.refused);
    else if (run.term === "none") this.abandoned++;
    else this.#ran(run);
    this.waitMs += run.waitMs;
    if (run.waitMs > this.maxWaitMs) this.maxWaitMs = run.waitMs;
    if (run.concurrent > this.peak) this.peak = run.concurrent;
  }

  /** Adds what another one has. */
  merge(other: Tally): void {
    for (const name of SUMS) this[name] += other[name];
    for (const name of MOST) this[name] = Math.max(this[name], other[name]);
    for (let i = 0; i < BUCKETS; i++) this.#memory[i] = (this.#memory[i] as number) + (other.#memory[i] as number);
  }

  /** What at most 5 % of the runs went over, to a fifth; 0: no run's memory is known. */
  get memoryP95(): number {
    const known = this.#memory.reduce((sum, count) => sum + count, 0);
    let left = Math.ceil(known * 0.95);
    if (left === 0) return 0;
    let bucket = 0;
    while ((left -= this.#memory[bucket] as number) > 0) bucket++;
    return Math.min(this.maxMemory, Math.round(2 ** (LOWEST_LOG + bucket / STEPS)));
  }

  store(): StoredTally {
    const fields = Object.fromEntries([...SUMS, ...MOST].map((name) => [name, this[name]] as const).filter(([, value]) => value !== 0));
    const memory: number[] = [];
    for (const [bucket, count] of this.#memory.entries()) if (count > 0) memory.push(bucket, count);
    return { fields, memory };
  }

  static of({ fields, memory }: StoredTally): Tally {
    const tally = new Tally();
    for (const name of [...SUMS, ...MOST]) tally[name] = fields[name] ?? 0;
    for (let i = 0; i + 1 < memory.length; i += 2) tally.#memory[memory[i] as number] = memory[i + 1] as number;
    return tally;
  }

  #ran(run: UsageOfRun): void {
    this.runs++;
    this.runMs += run.runMs;
    this.cpuMs += run.cpuMs;
    this.gibSeconds += (run.chargedBytes / GiB) * (run.runMs / 1e3);
    this.requestBytes += run.requestBytes;
    this.responseBytes += run.responseBytes;
    if (run.runMs > this.maxRunMs) this.maxRunMs = run.runMs;
    if (run.headMs > this.maxHeadMs) this.maxHeadMs = run.headMs;
    if (run.limit === "memory") this.overMemory++;
    else if (run.limit === "head-time") this.overTime++;
    if (run.rung !== undefined) this.#climbed(run.rung);
    if (run.memoryBytes > 0) this.#held(run.memoryBytes);
  }

  #held(bytes: number): void {
    if (bytes > this.maxMemory) this.maxMemory = bytes;
    const bucket = Math.min(BUCKETS - 1, Math.max(0, Math.ceil((Math.log2(bytes) - LOWEST_LOG) * STEPS)));
    this.#memory[bucket] = (this.#memory[bucket] as number) + 1;
  }

  /** By its ending, without cutting the text: this is on the path of every run. */
  #climbed(rung: string): void {
    if (rung.endsWith("/ready")) this.ready++;
    else if (rung.endsWith("/linked")) this.linked++;
    else if (rung.endsWith("/compiled")) this.compiled++;
    else this.stored++;
  }

  #refuse(reason: string): void {
    this.refused++;
    switch (reason) {
      case "task-full":
        this.taskFull++;
        break;
      case "tenant-full":
        this.tenantFull++;
        break;
      case "node-full":
        this.nodeFull++;
        break;
      case "overloaded":
        this.overloaded++;
        break;
      case "draining":
        this.draining++;
        break;
      default:
        this.otherwise++;
    }
  }
}
