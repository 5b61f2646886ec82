/**
 * A fleet of providers in simulated time: each has two workers and a line, and is now and then ten times slower for a while.
 *
 * Arrivals are independent, sizes have a heavy tail (log-normal, sigma 1). Slow spells come to each provider on its own, one
 * in 20 s in the mean, and last half a second. The load is 85 % of what all can do while none is slow.
 */
import { Costs } from "#dist/dispatch/costs.js";
import { choose } from "#dist/dispatch/select.js";
import { Random } from "../soak/support/random.js";

export const RULES = ["ours", "two choices", "random", "cheapest", "oracle"] as const;
export type RuleName = (typeof RULES)[number];

export interface FleetOptions {
  readonly seed: number;
  readonly calls: number;
}

/** Milliseconds from arrival to the end. */
export interface FleetResult {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

const PROVIDERS = 12;
const WORKERS = 2;
/** How many times longer each class takes than the quickest. */
const CLASSES = [1, 2, 4];
const MEAN_MS = 2;
const SIGMA = 1;
const LOAD = 0.85;
const SPELL_EVERY_MS = 20_000;
const SPELL_MS = 500;
const SPELL_FACTOR = 10;

interface Provider {
  readonly id: number;
  readonly factor: number;
  running: number;
  readonly line: Call[];
  slowUntil: number;
  nextSpell: number;
  /** For the oracle: what lies before a new call, in milliseconds of work. */
  backlog: number;
}

interface Call {
  readonly arrived: number;
  /** Of the quickest class. */
  readonly work: number;
}

interface Ending {
  readonly at: number;
  readonly provider: Provider;
  readonly call: Call;
  readonly service: number;
}

export function simulate(rule: RuleName, { seed, calls }: FleetOptions): FleetResult {
  const random = new Random(seed, 0);
  const unit = (): number => (random.below(2 ** 32) + 0.5) / 2 ** 32;
  const choice = new Random(seed, 1);
  const chance = (): number => choice.below(2 ** 32) / 2 ** 32;
  const costs = new Costs();
  const providers = Array.from({ length: PROVIDERS }, (_, id): Provider => {
    const factor = CLASSES[id % CLASSES.length] as number;
    return { id, factor, running: 0, line: [], slowUntil: 0, nextSpell: -SPELL_EVERY_MS * Math.log(unit()), backlog: 0 };
  });
  const perMs = providers.reduce((sum, { factor }) => sum + WORKERS / (MEAN_MS * factor), 0);
  const times: number[] = [];
  const endings = new Heap();
  let now = 0;

  const start = (provider: Provider, call: Call): void => {
    while (provider.nextSpell <= now) {
      provider.slowUntil = provider.nextSpell + SPELL_MS;
      provider.nextSpell += SPELL_MS - SPELL_EVERY_MS * Math.log(unit());
    }
    const service = call.work * provider.factor * (now < provider.slowUntil ? SPELL_FACTOR : 1);
    provider.running++;
    endings.push({ at: now + service, provider, call, service });
  };
  const finish = ({ provider, call, service }: Ending): void => {
    provider.running--;
    provider.backlog -= call.work * provider.factor;
    times.push(now - call.arrived);
    costs.observe(provider.id, "f", { bytes: 1, serviceMs: service, memoryMibMs: service }, now);
    const next = provider.line.shift();
    if (next !== undefined) start(provider, next);
  };

  let arrival = 0;
  for (let n = 0; n < calls; n++) {
    arrival += -Math.log(unit()) / (perMs * LOAD);
    for (let ending = endings.first; ending !== undefined && ending.at <= arrival; ending = endings.first) {
      endings.pop();
      now = ending.at;
      finish(ending);
    }
    now = arrival;
    const call = { arrived: now, work: MEAN_MS * Math.exp(SIGMA * normal(unit) - SIGMA ** 2 / 2) };
    const provider = PICK[rule]({ providers, costs, now, chance });
    provider.backlog += call.work * provider.factor;
    if (provider.running < WORKERS) start(provider, call);
    else provider.line.push(call);
  }
  for (let ending = endings.pop(); ending !== undefined; ending = endings.pop()) {
    now = ending.at;
    finish(ending);
  }
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(share * times.length))] as number;
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999) };
}

interface Seen {
  readonly providers: readonly Provider[];
  readonly costs: Costs;
  readonly now: number;
  readonly chance: () => number;
}

const PICK: Readonly<Record<RuleName, (seen: Seen) => Provider>> = {
  ours: ({ providers, costs, now, chance }) =>
    choose(
      providers,
      ({ id, running, line }) => {
        const estimate = costs.estimate(id, "f", 1, now);
        const queueMs = (line.length * estimate.serviceMs) / WORKERS + (running >= WORKERS ? estimate.serviceMs / WORKERS : 0);
        const outlook = {
          rung: "own/ready",
          startMs: 0,
          refillMs: 0,
          queueMs,
          running,
          waiting: line.length,
          concurrency: WORKERS,
          pressure: 1,
        };
        return { provider: String(id), version: "v1", estimate, outlook };
      },
      1,
      chance,
    ).order[0] as Provider,
  "two choices": ({ providers, chance }) => {
    const [a, b] = [pick(providers, chance), pick(providers, chance)];
    return a.running + a.line.length <= b.running + b.line.length ? a : b;
  },
  random: ({ providers, chance }) => pick(providers, chance),
  cheapest: ({ providers, costs, now }) => least(providers, ({ id }) => costs.estimate(id, "f", 1, now).serviceMs),
  // Knows all work that lies before it, and who is slow.
  oracle: ({ providers, now }) =>
    least(providers, ({ backlog, factor, slowUntil }) => (backlog / WORKERS + MEAN_MS * factor) * (now < slowUntil ? SPELL_FACTOR : 1)),
};

function pick(providers: readonly Provider[], chance: () => number): Provider {
  return providers[Math.floor(chance() * providers.length)] as Provider;
}

function least(providers: readonly Provider[], of: (provider: Provider) => number): Provider {
  return providers.reduce((a, b) => (of(b) < of(a) ? b : a));
}

function normal(unit: () => number): number {
  return Math.sqrt(-2 * Math.log(unit())) * Math.cos(2 * Math.PI * unit());
}

/** Endings by their time. */
class Heap {
  readonly #items: Ending[] = [];

  get first(): Ending | undefined {
    return this.#items[0];
  }

  push(item: Ending): void {
    const items = this.#items;
    let at = items.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = items[parent] as Ending;
      if (above.at <= item.at) break;
      items[at] = above;
      at = parent;
    }
    items[at] = item;
  }

  pop(): Ending | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (first === undefined || last === undefined || items.length === 0) return first;
    let at = 0;
    for (let child = 1; child < items.length; child = 2 * at + 1) {
      const right = items[child + 1];
      if (right !== undefined && right.at < (items[child] as Ending).at) child++;
      const below = items[child] as Ending;
      if (below.at >= last.at) break;
      items[at] = below;
      at = child;
    }
    items[at] = last;
    return first;
  }
}
