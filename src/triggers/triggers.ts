/**
 * What starts runs without a request: times, written keys, messages.
 *
 * Sources look at what has happened and put jobs into the store of what is run later (src/deferral), once each by their ids. They
 * leave it to that when and how often a job runs, and own no timers: whoever has them calls `poke` when something may have
 * happened, and no later than `nextWake`.
 */
import type { Job } from "../deferral/job.js";
import { CronSource } from "./cron.js";
import { messageJob, queuesOf, type Message, type QueueView } from "./queues.js";
import { StoreSource } from "./stores.js";
import type { TriggerPorts } from "./types.js";

export interface TriggersPorts extends TriggerPorts {
  readonly newId: () => string;
  readonly jobOf: (id: string) => Job | undefined;
}

export class Triggers {
  readonly #ports: TriggersPorts;
  readonly cron: CronSource;
  readonly #stores: StoreSource;
  #refreshing: Promise<void> = Promise.resolve();
  #poking: Promise<void> | undefined;
  #isPokedAgain = false;

  constructor(ports: TriggersPorts) {
    this.#ports = ports;
    this.cron = new CronSource(ports);
    this.#stores = new StoreSource(ports);
  }

  /** Tasks have come, changed or gone. */
  refresh(): Promise<void> {
    return (this.#refreshing = this.#refresh(this.#refreshing));
  }

  async #refresh(before: Promise<void>): Promise<void> {
    await before;
    try {
      // At once, so that nothing that is written from now on is missed.
      await this.#stores.refresh();
      await this.cron.refresh();
    } catch (error) {
      this.#ports.report(error);
    }
  }

  /** Milliseconds since 1970; Infinity: nothing comes by itself. */
  nextWake(): number {
    return this.cron.nextWake();
  }

  /** A time has come, or something was written. Resolves once all of that is durable. */
  poke(): Promise<void> {
    if (this.#poking !== undefined) this.#isPokedAgain = true;
    return (this.#poking ??= this.#poke().finally(() => (this.#poking = undefined)));
  }

  async #poke(): Promise<void> {
    do {
      this.#isPokedAgain = false;
      try {
        await this.#refreshing;
        await this.cron.tick();
        await this.#stores.poll();
      } catch (error) {
        // It is tried again with the next; nothing is lost meanwhile.
        this.#ports.report(error);
      }
    } while (this.#isPokedAgain);
  }

  queues(tenant: string): QueueView[] {
    return queuesOf(this.#ports, tenant);
  }

  /** Throws a `ProblemError` where it cannot be taken. */
  async send(tenant: string, queue: string, message: Message): Promise<Job> {
    const job = messageJob(this.#ports, tenant, queue, message, this.#ports.newId);
    await this.#ports.accept([job], []);
    return this.#ports.jobOf(job.id) as Job;
  }
}
