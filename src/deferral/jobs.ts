/**
 * The jobs of a node, durable: what was accepted is there after `kill -9`, once, and goes from state to state in whole steps.
 *
 * Heads are in memory, bodies and answers on the disk alone. A step is shown once it is durable; two steps of one job take turns.
 */
import { put, remove, table, type Change, type StateStore } from "../state/store.js";
import { bytesOf, isOver, MOVES, type Job, type JobInput, type JobResult, type JobState, type NewJob } from "./job.js";

const JOBS = table<Job>("jobs");
const INPUTS = table<JobInput>("job-inputs");
const RESULTS = table<JobResult>("job-results");

/** What has failed for good, and somebody may redrive, is kept at least so long. Milliseconds. */
export const DEAD_MS = 7 * 86_400_000;

/** What of a job a step changes. */
export type Step = Partial<
  Pick<
    Job,
    | "dueAt"
    | "notAfter"
    | "starts"
    | "startedAt"
    | "endedAt"
    | "version"
    | "ranBy"
    | "status"
    | "fault"
    | "isDead"
    | "keptUntil"
    | "resultBytes"
  >
>;

export interface JobQuery {
  readonly tenant: string;
  readonly task?: string | undefined;
  readonly state?: JobState | undefined;
  readonly dead?: boolean | undefined;
  readonly queue?: string | undefined;
}

/** A tenant's jobs that are not over or are dead letters: so many, and so much of what they were given; and those that are over. */
export interface JobLoad {
  readonly waiting: number;
  readonly bytes: number;
  readonly kept: number;
  /** With their answers. */
  readonly keptBytes: number;
}

const NO_LOAD: JobLoad = { waiting: 0, bytes: 0, kept: 0, keptBytes: 0 };
/** What is over of one tenant. */
const MOST_KEPT = 20_000;
const MOST_KEPT_BYTES = 256 * 2 ** 20;

export class Jobs {
  readonly #state: StateStore;
  readonly #jobs = new Map<string, Job>();
  /** By tenant, in the order in which they were accepted. */
  readonly #tenants = new Map<string, Map<string, Job>>();
  readonly #loads = new Map<string, { waiting: number; bytes: number; kept: number; keptBytes: number }>();
  /** Steps that are on their way to the disk, by job. */
  readonly #turns = new Map<string, Promise<unknown>>();
  /** Ids that are being accepted. */
  readonly #coming = new Map<string, Promise<void>>();

  constructor(state: StateStore) {
    this.#state = state;
    const all = state.list(JOBS).map(({ value }) => value);
    for (const job of all.sort((a, b) => a.acceptedAt - b.acceptedAt)) this.#show(job);
  }

  get(id: string): Job | undefined {
    return this.#jobs.get(id);
  }

  all(): IterableIterator<Job> {
    return this.#jobs.values();
  }

  /** How many wait, of all tenants. */
  get waiting(): number {
    let sum = 0;
    for (const { waiting } of this.#loads.values()) sum += waiting;
    return sum;
  }

  load(tenant: string): JobLoad {
    return this.#loads.get(tenant) ?? NO_LOAD;
  }

  input(id: string): JobInput | undefined {
    return this.#state.get(INPUTS, id);
  }

  result(id: string): JobResult | undefined {
    return this.#state.get(RESULTS, id);
  }

  /**
   * Takes them on, those at least that are not there yet, together with whatever else is to be true at the same moment. Resolves
   * with the new ones once they are durable.
   */
  async accept(wanted: readonly NewJob[], now: number, more: readonly Change[] = []): Promise<Job[]> {
    const changes: Change[] = [...more];
    const fresh: Job[] = [];
    for (const { input, dueAt = now, parked, ...said } of wanted) {
      if (this.#jobs.has(said.id) || this.#coming.has(said.id) || fresh.some(({ id }) => id === said.id)) continue;
      const head = { ...said, acceptedAt: now, inputBytes: bytesOf(input), dueAt, starts: 0 };
      const job: Job =
        parked === undefined
          ? { ...head, state: "waiting" }
          : { ...head, state: "failed", isDead: true, fault: parked, endedAt: now, keptUntil: now + DEAD_MS };
      fresh.push(job);
      changes.push(put(JOBS, job.id, plain(job)), put(INPUTS, job.id, input));
    }
    // Who asks for what is being accepted already is told once that is so.
    const others = wanted.map(({ id }) => this.#coming.get(id)).filter((each) => each !== undefined);
    if (changes.length > 0) {
      const committed = this.#state.commit(changes);
      const settled = committed.catch(() => {});
      for (const { id } of fresh) this.#coming.set(id, settled);
      try {
        await committed;
        for (const job of fresh) this.#show(job);
      } finally {
        for (const { id } of fresh) this.#coming.delete(id);
      }
    }
    await Promise.all(others);
    return fresh;
  }

  /**
   * Brings a job to another state, and resolves once that is durable. Undefined: it is not in a state that this may follow, or is
   * not there any more; then nothing has changed. `from`: only from this state, as it is when the step's turn comes.
   */
  step(id: string, to: JobState, step: Step, result?: JobResult, from?: JobState): Promise<Job | undefined> {
    return this.#turn(id, async () => {
      const job = this.#jobs.get(id);
      if (job === undefined || !MOVES[job.state].includes(to) || (from !== undefined && job.state !== from)) return undefined;
      const after: Job = { ...job, ...step, state: to };
      const changes: Change[] = [put(JOBS, id, plain(after))];
      if (result !== undefined) changes.push(put(RESULTS, id, result));
      else if (to === "waiting") changes.push(remove(RESULTS, id));
      // What it was given is not needed for anything but another start.
      if (to === "done") changes.push(remove(INPUTS, id));
      await this.#state.commit(changes);
      this.#show(after);
      return after;
    });
  }

  /** Lets go of what is known of them. */
  async forget(ids: readonly string[]): Promise<void> {
    const changes = ids.flatMap((id) => [remove(JOBS, id), remove(INPUTS, id), remove(RESULTS, id)]);
    if (changes.length === 0) return;
    await this.#state.commit(changes);
    for (const id of ids) this.#hide(id);
  }

  /** All of a tenant that has gone, and what was being accepted for it just then. */
  async forgetTenant(tenant: string): Promise<void> {
    do {
      await Promise.all(this.#coming.values());
      await this.forget(this.of(tenant).map(({ id }) => id));
    } while (this.of(tenant).length > 0);
  }

  /**
   * What has to go of a tenant, for as much as it may keep of what is over: the first that came. What has failed as often as it may stays,
   * and counts with what waits.
   */
  surplus(tenant: string): string[] {
    let { kept, keptBytes } = this.load(tenant);
    if (kept <= MOST_KEPT && keptBytes <= MOST_KEPT_BYTES) return [];
    const ids: string[] = [];
    for (const job of this.of(tenant)) {
      // A little more goes than has to, so that this is not asked for with each.
      if (kept <= 0.9 * MOST_KEPT && keptBytes <= 0.9 * MOST_KEPT_BYTES) break;
      if (!isKept(job)) continue;
      ids.push(job.id);
      kept--;
      keptBytes -= keptBytesOf(job);
    }
    return ids;
  }

  /** Those whose time is over. */
  expired(now: number): string[] {
    const ids: string[] = [];
    for (const { id, state, keptUntil } of this.#jobs.values())
      if (isOver(state) && keptUntil !== undefined && keptUntil <= now) ids.push(id);
    return ids;
  }

  /** The latest first, from behind `after`. */
  list({ tenant, task, state, dead, queue }: JobQuery, after: string | undefined, limit: number): Job[] {
    const found: Job[] = [];
    const all = [...(this.#tenants.get(tenant)?.values() ?? [])].reverse();
    let isBehind = after === undefined;
    for (const job of all) {
      if (found.length >= limit) break;
      if (!isBehind) {
        isBehind = job.id === after;
        continue;
      }
      if (task !== undefined && job.task !== task) continue;
      if (state !== undefined && job.state !== state) continue;
      if (dead !== undefined && (job.isDead === true) !== dead) continue;
      if (queue !== undefined && (job.origin.kind !== "queue" || job.origin.queue !== queue)) continue;
      found.push(job);
    }
    return found;
  }

  of(tenant: string): Job[] {
    return [...(this.#tenants.get(tenant)?.values() ?? [])];
  }

  async #turn<T>(id: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(id);
    const mine = (async () => {
      await before?.catch(() => {});
      return work();
    })();
    this.#turns.set(id, mine);
    try {
      return await mine;
    } finally {
      if (this.#turns.get(id) === mine) this.#turns.delete(id);
    }
  }

  #show(job: Job): void {
    const before = this.#jobs.get(job.id);
    this.#jobs.set(job.id, job);
    let own = this.#tenants.get(job.tenant);
    if (own === undefined) this.#tenants.set(job.tenant, (own = new Map()));
    own.set(job.id, job);
    this.#count(job.tenant, before, job);
  }

  #hide(id: string): void {
    const job = this.#jobs.get(id);
    if (job === undefined) return;
    this.#jobs.delete(id);
    const own = this.#tenants.get(job.tenant);
    own?.delete(id);
    if (own?.size === 0) this.#tenants.delete(job.tenant);
    this.#count(job.tenant, job, undefined);
  }

  #count(tenant: string, before: Job | undefined, after: Job | undefined): void {
    let load = this.#loads.get(tenant);
    if (load === undefined) this.#loads.set(tenant, (load = { ...NO_LOAD }));
    for (const [job, sign] of [
      [before, -1],
      [after, 1],
    ] as const) {
      if (job === undefined) continue;
      if (isKept(job)) {
        load.kept += sign;
        load.keptBytes += sign * keptBytesOf(job);
      } else {
        load.waiting += sign;
        load.bytes += sign * (job.inputBytes + (job.resultBytes ?? 0));
      }
    }
    if (load.waiting === 0 && load.kept === 0) this.#loads.delete(tenant);
  }
}

/** It is over, and nobody is to look after it. */
function isKept({ state, isDead }: Job): boolean {
  return isOver(state) && isDead !== true;
}

/** Of what was done, what was asked for is let go. */
function keptBytesOf({ state, inputBytes, resultBytes = 0 }: Job): number {
  return (state === "done" ? 0 : inputBytes) + resultBytes;
}

/** Without fields that are not there: what is read back is what was written. */
function plain(job: Job): Job {
  return Object.fromEntries(Object.entries(job).filter(([, value]) => value !== undefined)) as unknown as Job;
}
