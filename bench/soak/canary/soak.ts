/**
 * The canary soak itself: tenants write secrets all over their instances' memory, and all tenants look for each other's.
 *
 * There are fewer cells than tenants, and those that ask change all the time, so cells and the memory under them go from
 * tenant to tenant. A look in a clean instance may find nobody's secret. One in an instance that served before may find its
 * tenant's own, which is the price of using instances again, and the control: looks that find nothing there prove nothing.
 * It never finds another tenant's. A soak in which cells hardly go from tenant to tenant fails too.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { FLAVOURS } from "../../support/paths.js";
import { Random } from "../support/random.js";
import { Findings, runSteps, Violation, type Found } from "../support/steps.js";
import { Marks } from "./marks.js";
import { CanaryNode, REUSES, type Handovers, type NodePlan, type Target } from "./node.js";

export interface CanaryOptions {
  readonly steps: number;
  readonly seed: number;
  readonly atOnce: number;
  /** The nodes, one after the other; each gets its part of the steps. Both kinds unless told. */
  readonly plans?: readonly NodePlan[];
  /** Which task answers instead, on a node that mixes them up; for tests of the soak. */
  readonly mixedUp?: (asked: Target) => Target;
  readonly progress?: (line: string) => void;
}

export interface Tally {
  writes: number;
  /** Looks for anybody's secret, for another tenant's, and for the own one. */
  anybodys: number;
  others: number;
  own: number;
  /** Looks for the own one that found it. */
  ownFound: number;
  /** Requests that were refused for want of room, and made again. */
  refused: number;
}

export interface CanaryResult {
  readonly tally: Readonly<Tally>;
  readonly handovers: Handovers;
  readonly seconds: number;
  readonly violations: number;
  readonly found: readonly Found[];
}

/** As by default; and so that idle cells go back by themselves. */
const PLANS: readonly NodePlan[] = [
  { tenants: 8, cells: 4, pool: "shared", forecast: true },
  { tenants: 8, cells: 4, pool: "variable", forecast: false },
];

/** Fresh pages of 64 KiB that a request adds: fewer and more than an instance's slot keeps resident (2 MiB). */
const PAGES = { clean: [1, 1, 1, 1, 1, 1, 4, 4, 4, 4, 16, 16, 16, 64], reused: [1, 4] } as const;
/** So many requests come from the same tenants: one, or some, or all. */
const PHASE = 64;
/** How often it is looked at whose cells are whose, in requests. */
const LOOK_EVERY = 16;
/** A refused request is made again after so long, in milliseconds, and so often. */
const PAUSE_MS = 20;
const PATIENCE = 500;
/** In so many requests at least one cell must have gone from one tenant to another. */
const PER_HANDOVER = 200;

export async function runCanary(options: CanaryOptions): Promise<CanaryResult> {
  const { steps, plans = PLANS } = options;
  const begin = performance.now();
  const findings = new Findings();
  const tally: Tally = { writes: 0, anybodys: 0, others: 0, own: 0, ownFound: 0, refused: 0 };
  const handovers = { assigned: 0, reclaimed: 0, changed: 0, instances: 0 };
  for (const [i, plan] of plans.entries()) {
    const [from, to] = [i, i + 1].map((n) => Math.floor((steps * n) / plans.length)) as [number, number];
    const canary = new Canary(options, plan, findings);
    const went = await canary.run(from, to - from);
    for (const name of Object.keys(went) as (keyof Handovers)[]) handovers[name] += went[name];
    for (const name of Object.keys(tally) as (keyof Tally)[]) tally[name] += canary.tally[name];
  }
  const seconds = (performance.now() - begin) / 1000;
  return { tally, handovers, seconds, violations: findings.count, found: findings.found };
}

/** The soak of one node. */
class Canary {
  readonly tally: Tally = { writes: 0, anybodys: 0, others: 0, own: 0, ownFound: 0, refused: 0 };
  readonly #options: CanaryOptions;
  readonly #plan: NodePlan;
  readonly #findings: Findings;
  readonly #marks: Marks;

  constructor(options: CanaryOptions, plan: NodePlan, findings: Findings) {
    this.#options = options;
    this.#plan = plan;
    this.#findings = findings;
    this.#marks = new Marks(plan.tenants, options.seed);
  }

  async run(first: number, count: number): Promise<Handovers> {
    const { atOnce, progress = () => {} } = this.#options;
    await using node = await CanaryNode.start(this.#plan);
    await runSteps(first, count, atOnce, async (n) => {
      if (n > 0 && n % 50_000 === 0) progress(`${n} of ${this.#options.steps} requests, ${this.#findings.count} violations`);
      if (n % LOOK_EVERY === 0) node.look();
      await this.#step(node, n);
    });
    const handovers = await node.handovers();
    this.#judge(first + count, count, handovers);
    return handovers;
  }

  async #step(node: CanaryNode, n: number): Promise<void> {
    const { seed } = this.#options;
    const random = new Random(seed, n);
    const tenant = random.pick(askingIn(Math.floor(n / PHASE), seed, this.#plan));
    const target: Target = { tenant, reuse: random.pick(REUSES), flavour: random.pick(FLAVOURS) };
    const isWrite = random.chance(0.5);
    try {
      await (isWrite ? this.#write(node, target, random) : this.#look(node, target, random));
    } catch (error) {
      this.#findings.add(n, `tenant ${tenant}, ${target.reuse} ${target.flavour}, ${isWrite ? "write" : "look"}`, error);
    }
  }

  async #write(node: CanaryNode, target: Target, random: Random): Promise<void> {
    this.tally.writes++;
    const pages = random.pick(PAGES[target.reuse]);
    const secret = this.#marks.secret(target.tenant, random.below(this.#plan.tenants + 1));
    const text = await this.#ask(node, target, `/secret?write=${secret}&pages=${pages}`);
    // Statics and stack come to more than 64 KiB, and then the pages.
    const bytes = Number(/^wrote (\d+)\n$/.exec(text)?.[1]);
    if (!(bytes > (pages + 1) * 65_536)) throw new Violation(`${pages} pages and more should have been written: ${JSON.stringify(text)}`);
  }

  async #look(node: CanaryNode, target: Target, random: Random): Promise<void> {
    const { tenant, reuse } = target;
    const pages = random.pick(PAGES[reuse]);
    const found = async (mark: string): Promise<number> => foundIn(await this.#ask(node, target, `/scan?for=${mark}&pages=${pages}`));
    if (reuse === "clean") {
      this.tally.anybodys++;
      const count = await found(this.#marks.everybodys);
      if (count > 0) throw new Violation(`a clean instance holds a secret ${count} times`);
    } else if (random.chance(0.75)) {
      this.tally.others++;
      const count = await found(this.#marks.others(tenant));
      if (count > 0) throw new Violation(`an instance of tenant ${tenant} holds another tenant's secret ${count} times`);
    } else {
      this.tally.own++;
      if ((await found(this.#marks.own(tenant))) > 0) this.tally.ownFound++;
    }
  }

  /** The body of the answer; a request that finds no room is made again. */
  async #ask(node: CanaryNode, target: Target, path: string): Promise<string> {
    const { mixedUp = (asked) => asked } = this.#options;
    for (let tries = 1; ; tries++) {
      const { status, text } = await node.ask(mixedUp(target), path);
      if (status === 200) return text;
      const isRefused = status === 503 || status === 429;
      if (!isRefused || tries === PATIENCE) throw new Violation(`status ${status} at try ${tries}: ${JSON.stringify(text.slice(0, 300))}`);
      this.tally.refused++;
      await sleep(PAUSE_MS);
    }
  }

  /** What would make the soak prove nothing. */
  #judge(n: number, count: number, { reclaimed, changed }: Handovers): void {
    const fail = (what: string): void => this.#findings.add(n, "the end", new Violation(`${what}: this soak would prove nothing`));
    if (this.tally.ownFound === 0) fail("no look found its own tenant's secret in an instance that had served before");
    const given = reclaimed + changed;
    if (given * PER_HANDOVER < count) fail(`only ${given} cells went from one tenant to another in ${count} requests`);
  }
}

/** The tenants that ask in a phase: mostly as few as there are cells, and now and then all of them. */
function askingIn(phase: number, seed: number, { tenants, cells }: NodePlan): number[] {
  const random = new Random(seed, -2 - phase);
  const all = Array.from({ length: tenants }, (_, i) => i);
  if (random.chance(0.1)) return all;
  const count = 1 + random.below(Math.min(cells, tenants));
  return Array.from({ length: count }, () => all.splice(random.below(all.length), 1)[0] as number);
}

/** How often a look found what it was for. */
function foundIn(text: string): number {
  if (text === "not found\n") return 0;
  const found = Number(/^found (\d+)\n$/.exec(text)?.[1]);
  if (Number.isNaN(found)) throw new Violation(`a look should say what it found: ${JSON.stringify(text)}`);
  return found;
}
