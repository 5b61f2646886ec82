/**
 * What starts runs without a request: times, written keys, messages.
 *
 * Sources look at what has happened and put jobs into the store of what is run later (src/deferral), once each by their ids. They
 * leave it to that when and how often a job runs, and own no timers: whoever has them calls `poke` when something may have
 * happened, and no later than `nextWake`.
 */
import { ProblemError, type Problem } from "../base/problem.js";
import type { Job } from "../deferral/job.js";
import { CronSource } from "./cron.js";
import { messageJob, queuesOf, type Message, type QueueView } from "./queues.js";
import { StoreSource } from "./stores.js";
import type { TriggerPorts } from "./types.js";

export interface TriggersPorts extends TriggerPorts {
  readonly newId: () => string;
  readonly jobOf: (id: string) => Job | undefined;
  /** Why a tenant may have no more that waits; undefined: it may. */
  readonly refusal: (tenant: string) => Problem | undefined;
}

export class Triggers {
  readonly #ports: TriggersPorts;
  readonly cron: CronSource;
  readonly #stores: StoreSource;
  #poking: Promise<void> | undefined;
  #isPokedAgain = false;
  #isClosed = false;

  constructor(ports: TriggersPorts) {
    this.#ports = ports;
    this.cron = new CronSource(ports);
    this.#stores = new StoreSource(ports);
  }

  /**
   * Tasks have come, changed or gone. To be called once all of them are known, as what is not there is forgotten: its missed times, and
   * what was written and not looked at yet.
   */
  async refresh(): Promise<void> {
    // Both look at the tasks now, before anything else is written; neither keeps the other from it.
    await Promise.all([this.#told(() => this.#stores.refresh()), this.#told(() => this.cron.refresh())]);
  }

  /** Milliseconds since 1970; Infinity: nothing comes by itself. */
  nextWake(): number {
    return Math.min(this.cron.nextWake(), this.#stores.nextWake());
  }

  /** A time has come, or something was written. Resolves once all of that is durable. */
  poke(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    if (this.#poking !== undefined) this.#isPokedAgain = true;
    return (this.#poking ??= this.#poke().finally(() => (this.#poking = undefined)));
  }

  async #poke(): Promise<void> {
    do {
      this.#isPokedAgain = false;
      await Promise.all([this.#told(() => this.cron.tick()), this.#told(() => this.#stores.poll())]);
    } while (this.#isPokedAgain && !this.#isClosed);
  }

  /** What could not be done is tried again after a while (`nextWake`); nothing is lost meanwhile. */
  async #told(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#ports.report(error);
    }
  }

  /** Looks at nothing more. Resolves once what goes on is written down. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stores.stop();
    await this.#poking;
  }

  queues(tenant: string): QueueView[] {
    return queuesOf(this.#ports, tenant);
  }

  /** Throws a `ProblemError` where it cannot be taken. */
  async send(tenant: string, queue: string, message: Message): Promise<Job> {
    const job = messageJob(this.#ports, tenant, queue, message, this.#ports.newId, this.#ports.jobOf);
    const problem = this.#ports.refusal(tenant);
    if (problem !== undefined) {
      const { code, detail, ...more } = problem;
      throw new ProblemError(code, detail, more);
    }
    await this.#ports.accept([job], []);
    return this.#ports.jobOf(job.id) as Job;
  }
}
