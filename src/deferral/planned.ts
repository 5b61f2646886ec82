/**
 * What is already put off, and until when: of the demand that is to come, the part that was decided on. Without it all that can wait
 * would go to the same quiet hour, and make a peak of it.
 */

/** Demand is added up for so long together. Milliseconds. */
const BUCKET = 15 * 60_000;
/** What is put off from now on counts at the least as this, where nobody knows what it takes. */
const LEAST_MS = 1;

export class Planned {
  /** Milliseconds of work that begins in each quarter hour. */
  readonly #work = new Map<number, number>();
  /** Where each job is counted, and as how much. */
  readonly #jobs = new Map<string, readonly [bucket: number, ms: number]>();

  /** The job is to start at that time, in milliseconds since 1970, and usually takes so long. */
  set(job: string, at: number, ms: number): void {
    this.delete(job);
    const bucket = Math.floor(at / BUCKET);
    const work = Math.max(LEAST_MS, ms);
    this.#jobs.set(job, [bucket, work]);
    this.#work.set(bucket, (this.#work.get(bucket) ?? 0) + work);
  }

  delete(job: string): void {
    const counted = this.#jobs.get(job);
    if (counted === undefined) return;
    this.#jobs.delete(job);
    const [bucket, ms] = counted;
    const left = (this.#work.get(bucket) ?? 0) - ms;
    if (left > 0) this.#work.set(bucket, left);
    else this.#work.delete(bucket);
  }

  /** Runs at once, on average, that have been put off to this time. What is shared with a quarter hour in part counts in part. */
  demand(from: number, to: number): number {
    if (!(to > from)) return 0;
    let work = 0;
    for (let bucket = Math.floor(from / BUCKET); bucket * BUCKET < to; bucket++) {
      const shared = Math.min(to, (bucket + 1) * BUCKET) - Math.max(from, bucket * BUCKET);
      work += ((this.#work.get(bucket) ?? 0) * shared) / BUCKET;
    }
    return work / (to - from);
  }
}
