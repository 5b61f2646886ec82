/** Drives a `Foresight` by hand: what was told, as a table; time passes as a driver lets it pass. */
import {
  Foresight,
  type Announcement,
  type Cost,
  type Depth,
  type ForesightOptions,
  type Heard,
} from "../../../src/triggers/foresight/foresight.js";

export const MiB = 2 ** 20;

interface Told {
  readonly count: number;
  readonly until: number;
  readonly depth: Depth;
}

export class Scene {
  readonly foresight: Foresight;
  now = 0;
  cost: Cost = { linkMs: 2, startMs: 1, bytes: MiB };
  readonly costs = new Map<string, Cost | undefined>();
  room = 1e12;
  /** What was told last, by `tenant/task`; nothing where it was taken back. */
  readonly told = new Map<string, Told>();
  /** How many statements there were. */
  statements = 0;

  constructor(options: Partial<ForesightOptions> = {}) {
    this.foresight = new Foresight(
      {
        expect: (tenant, task, count, until, depth) => {
          this.statements++;
          if (count === 0) this.told.delete(`${tenant}/${task}`);
          else this.told.set(`${tenant}/${task}`, { count, until, depth });
        },
        cost: (_tenant, task) => (this.costs.has(task) ? this.costs.get(task) : this.cost),
        room: () => this.room,
      },
      // What is worth it is asked where a test says so.
      { worth: 1000, ...options },
    );
  }

  /** Lets time pass, waking when that is asked for. */
  pass(until: number): this {
    for (let wakes = 0, at = this.foresight.nextWake(); at <= until; at = this.foresight.nextWake()) {
      if (++wakes > 100_000) throw new Error(`it wants to be woken at ${at} again and again`);
      this.now = Math.max(this.now, at);
      this.foresight.tick(this.now);
    }
    this.now = Math.max(this.now, until);
    return this;
  }

  after(ms: number): this {
    return this.pass(this.now + ms);
  }

  run(task: string, times = 1, tenant = "t"): this {
    for (let i = 0; i < times; i++) this.foresight.arrived(this.now, { tenant, task });
    return this;
  }

  signal(name: string, tenant = "t", key?: string): Heard {
    return this.foresight.signal(this.now, tenant, name, key);
  }

  announce(said: Partial<Announcement> = {}): Heard {
    return this.foresight.announce(this.now, { tenant: "t", task: "B", count: 1, start: this.now, window: 10_000, sender: "s", ...said });
  }

  /** So many times: the sign, then so many runs of the task after a delay, then a minute of nothing. */
  train(times: number, { cause = "A", task = "B", count = 1, delay = 500, pause = 60_000, signal = false, tenant = "t" } = {}): this {
    for (let i = 0; i < times; i++) {
      if (signal) this.signal(cause, tenant);
      else this.run(cause, 1, tenant);
      this.after(delay).run(task, count, tenant).after(pause);
    }
    return this;
  }

  /** Instances or linked code that were told to be expected of the task; 0: nothing. */
  expected(task: string, tenant = "t"): number {
    return this.told.get(`${tenant}/${task}`)?.count ?? 0;
  }

  pair(cause: string, task: string, tenant = "t"): ReturnType<Foresight["view"]>["pairs"][number] | undefined {
    return this.foresight.view(this.now, tenant).pairs.find((pair) => pair.cause === cause && pair.task === task);
  }
}
