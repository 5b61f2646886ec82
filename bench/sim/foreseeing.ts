/**
 * The product's foresight beside the pool, joined with it as src/ahead.ts joins them on a node, over the simulated clock.
 *
 * It hears of each run once the pool has, and of signals and announcements at their times.
 */
import { SHARE } from "../../src/ahead.js";
import type { PoolView } from "../../src/pool/views.js";
import type { Announcement, Depth, Foresight } from "../../src/triggers/foresight/foresight.js";
import { Watching, type Granted, type NodeAt } from "./beside.js";
import type { Signal } from "./chains.js";
import { Prepared, type Usage } from "./prepared.js";

type Ports = ConstructorParameters<typeof Foresight>[0];

/** Somebody announces at that time. */
export interface Said {
  readonly time: number;
  readonly said: Announcement;
}

export interface ForeseeingOptions {
  /** A foresight, made as the runtime makes it. */
  readonly makeForesight: (ports: Ports) => Foresight;
  readonly signals: readonly Signal[];
  readonly said: readonly Said[];
}

/** What was told last of a program. */
interface Told {
  count: number;
  until: number;
  depth: Depth;
}

export class Foreseeing extends Watching {
  readonly foresight: Foresight;
  readonly #node: NodeAt;
  readonly #prepared: Prepared;
  readonly #options: ForeseeingOptions;
  readonly #programs = new Map<string, number>();
  readonly #told: Told[];
  #signal = 0;
  #said = 0;
  #now = 0;
  /** By why: announcements that were not taken. */
  readonly refused: Record<string, number> = {};

  constructor(node: NodeAt, options: ForeseeingOptions) {
    super(node);
    this.#node = node;
    this.#options = options;
    const { tasks } = node.scene.trace;
    for (const [program, { tenant, name }] of tasks.entries()) this.#programs.set(nameOf(tenant, name), program);
    this.#told = tasks.map(() => ({ count: 0, until: 0, depth: "program" }));
    this.#prepared = new Prepared(node.scene);
    this.foresight = options.makeForesight({
      expect: (tenant, task, count, until, depth) => {
        const program = this.#programs.get(nameOf(tenant, task)) as number;
        Object.assign(this.#told[program] as Told, { count, until, depth });
        this.#prepared.told(this.#now, program, depth === "ready" ? count : 0);
        node.tell(this.#now, { kind: "expect", program, count, until, depth });
      },
      cost: (tenant, task) => {
        const program = this.#programs.get(nameOf(tenant, task));
        return program === undefined ? undefined : node.pool.costOf(program);
      },
      room: () => freeOf(node) * SHARE,
    });
  }

  /** What came of what was prepared, in the window. */
  get usage(): Usage {
    return this.#prepared.usage;
  }

  override nextWake(): number {
    const { signals, said } = this.#options;
    const signal = signals[this.#signal]?.time ?? Number.POSITIVE_INFINITY;
    const next = said[this.#said]?.time ?? Number.POSITIVE_INFINITY;
    return Math.max(this.#now, Math.min(this.foresight.nextWake(), signal, next));
  }

  override tick(now: number): void {
    this.#now = now;
    const { signals, said } = this.#options;
    this.foresight.tick(now);
    for (let next = signals[this.#signal]; next !== undefined && next.time <= now; next = signals[++this.#signal]) {
      this.foresight.signal(now, next.tenant, next.signal);
    }
    for (let next = said[this.#said]; next !== undefined && next.time <= now; next = said[++this.#said]) {
      const heard = this.foresight.announce(now, next.said);
      if (!heard.accepted) this.refused[heard.why] = (this.refused[heard.why] ?? 0) + 1;
    }
  }

  override arrived(now: number, run: number): void {
    this.#now = now;
    const { trace } = this.#node.scene;
    const { tenant, name } = trace.tasks[trace.task[run] as number] as (typeof trace.tasks)[number];
    if (this.foresight.arrived(now, { tenant, task: name })) this.#prepared.expected(run);
  }

  override prepared(now: number, program: number, slot: number): void {
    const { count, until, depth } = this.#told[program] as Told;
    this.#prepared.made(now, program, slot, depth === "ready" && until > now ? count : 0);
  }

  override granted(now: number, granted: Granted): void {
    super.granted(now, granted);
    this.#prepared.granted(now, granted);
  }

  override ended(now: number, slot: number): void {
    this.#prepared.ended(now, slot);
  }

  override linking(now: number, program: number, isAhead: boolean): void {
    const { count, until } = this.#told[program] as Told;
    this.#prepared.linking(program, isAhead && count > 0 && until > now);
  }

  override lowered(now: number, program: number): void {
    this.#prepared.lowered(now, program);
  }
}

/** Bytes of the budget that nothing holds, as src/runtime.ts reckons them. */
function freeOf({ pool }: NodeAt): number {
  const { budgetBytes, lobbyChargedBytes }: PoolView = pool.view();
  return Math.max(0, budgetBytes - lobbyChargedBytes - pool.cells().reduce((sum, { chargedBytes }) => sum + chargedBytes, 0));
}

function nameOf(tenant: string, task: string): string {
  return JSON.stringify([tenant, task]);
}
