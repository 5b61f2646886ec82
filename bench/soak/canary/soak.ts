/**
 * The canary soak itself: tenants write secrets all over their instances' memory, and all tenants look for each other's.
 *
 * There are fewer cells than tenants, and those that ask change all the time, so cells and the memory under them go from
 * tenant to tenant. A look in a clean instance may find nobody's secret. One in an instance that served before may find its
 * tenant's own, which is the price of using instances again and the control: looks that find nothing there prove nothing. It
 * never finds another tenant's. A soak in which cells hardly changed hands fails too.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { FLAVOURS } from "../../support/paths.js";
import { Random } from "../support/random.js";
import { Findings, runSteps, Violation, type Found } from "../support/steps.js";
import { Marks } from "./marks.js";
import { CanaryNode, REUSES, type CanaryPool, type Handovers, type NodeSize, type Target } from "./node.js";

export interface CanaryOptions {
  readonly steps: number;
  readonly seed: number;
  readonly atOnce: number;
  readonly size?: NodeSize;
  readonly pool?: CanaryPool;
  /** Which task answers instead, on a node that mixes them up; for tests of the soak. */
  readonly mixedUp?: (asked: Target) => Target;
  readonly progress?: (line: string) => void;
}

/** What looks were for: anybody's secret, another tenant's, or the tenant's own. */
type Aim = "anybody's" | "another's" | "its own";

export interface CanaryResult {
  readonly writes: number;
  /** Looks, by what they were for. */
  readonly looks: Readonly<Record<Aim, number>>;
  /** Looks for the own secret that found it. */
  readonly ownFound: number;
  /** Requests that were refused for want of room, and made again. */
  readonly refused: number;
  readonly handovers: Handovers;
  readonly seconds: number;
  readonly violations: number;
  readonly found: readonly Found[];
}

export const SIZE: NodeSize = { tenants: 8, cells: 4 };

/** Fresh pages of 64 KiB that a request adds: fewer and more than an instance's slot keeps resident (2 MiB). */
const PAGES = { clean: [1, 1, 1, 4, 4, 16, 64], reused: [1, 4] } as const;
/** So many requests come from the same tenants, one to all of them. */
const PHASE = 64;
/** A refused request is made again after so long, in milliseconds, and so often. */
const PAUSE_MS = 20;
const PATIENCE = 500;
/** In so many requests at least one cell must have been given to a tenant. */
const PER_HANDOVER = 500;

export async function runCanary(options: CanaryOptions): Promise<CanaryResult> {
  const { steps, seed, atOnce, size = SIZE, pool = "shared", mixedUp = (asked) => asked, progress = () => {} } = options;
  await using node = await CanaryNode.start(size, pool);
  const soak = new Canary(node, { seed, size, mixedUp });
  const begin = performance.now();
  await runSteps(0, steps, atOnce, async (n) => {
    if (n > 0 && n % 50_000 === 0) progress(`${n} of ${steps} requests, ${soak.findings.count} violations`);
    await soak.step(n);
  });
  const seconds = (performance.now() - begin) / 1000;
  const handovers = await node.handovers();
  soak.judge(steps, handovers);
  const { writes, looks, ownFound, refused, findings } = soak;
  return { writes, looks, ownFound, refused, handovers, seconds, violations: findings.count, found: findings.found };
}

class Canary {
  readonly findings = new Findings();
  readonly looks: Record<Aim, number> = { "anybody's": 0, "another's": 0, "its own": 0 };
  writes = 0;
  ownFound = 0;
  refused = 0;
  readonly #node: CanaryNode;
  readonly #marks: Marks;
  readonly #options: Required<Pick<CanaryOptions, "seed" | "size" | "mixedUp">>;

  constructor(node: CanaryNode, options: Required<Pick<CanaryOptions, "seed" | "size" | "mixedUp">>) {
    this.#node = node;
    this.#options = options;
    this.#marks = new Marks(options.size.tenants, options.seed);
  }

  async step(n: number): Promise<void> {
    const { seed, size } = this.#options;
    const random = new Random(seed, n);
    const tenant = random.pick(askingIn(Math.floor(n / PHASE), seed, size));
    const target: Target = { tenant, reuse: random.pick(REUSES), flavour: random.pick(FLAVOURS) };
    const isWrite = random.chance(0.5);
    try {
      await (isWrite ? this.#write(target, random) : this.#look(target, random));
    } catch (error) {
      this.findings.add(n, `tenant ${tenant}, ${target.reuse} ${target.flavour}, ${isWrite ? "write" : "look"}`, error);
    }
  }

  async #write(target: Target, random: Random): Promise<void> {
    this.writes++;
    const pages = random.pick(PAGES[target.reuse]);
    const secret = this.#marks.secret(target.tenant, random.below(this.#options.size.tenants + 1));
    const text = await this.#ask(target, `/secret?write=${secret}&pages=${pages}`);
    // Statics and stack come to more than 64 KiB, and then the pages.
    const bytes = Number(/^wrote (\d+)\n$/.exec(text)?.[1]);
    if (!(bytes > (pages + 1) * 65_536)) throw new Violation(`${pages} pages and more should have been written: ${JSON.stringify(text)}`);
  }

  async #look(target: Target, random: Random): Promise<void> {
    const { tenant, reuse } = target;
    const aim: Aim = reuse === "clean" ? "anybody's" : random.chance(0.75) ? "another's" : "its own";
    this.looks[aim]++;
    const text = await this.#ask(target, `/scan?for=${this.#markOf(aim, tenant)}&pages=${random.pick(PAGES[reuse])}`);
    if (text === "not found\n") return;
    if (!/^found \d+\n$/.test(text)) throw new Violation(`a look should say what it found: ${JSON.stringify(text)}`);
    if (aim === "its own") this.ownFound++;
    else throw new Violation(`${aim} secret was ${text.trim()} times in ${reuse === "clean" ? "a clean" : "its tenant's"} instance`);
  }

  #markOf(aim: Aim, tenant: number): string {
    if (aim === "anybody's") return this.#marks.everybodys;
    return aim === "another's" ? this.#marks.others(tenant) : this.#marks.own(tenant);
  }

  /** The body of the answer; a request that finds no room is made again. */
  async #ask(target: Target, path: string): Promise<string> {
    for (let tries = 1; ; tries++) {
      const { status, text } = await this.#node.ask(this.#options.mixedUp(target), path);
      if (status === 200) return text;
      const isRefused = status === 503 || status === 429;
      if (!isRefused || tries === PATIENCE) throw new Violation(`answered ${status} at try ${tries}: ${JSON.stringify(text.slice(0, 300))}`);
      this.refused++;
      await sleep(PAUSE_MS);
    }
  }

  /** What would make the soak prove nothing. */
  judge(steps: number, { assigned, reclaimed, changed }: Handovers): void {
    const fail = (what: string): void => this.findings.add(steps, "the end", new Violation(`${what}: this soak proves nothing`));
    if (this.ownFound === 0) fail("no look found its own tenant's secret in an instance that had served before");
    const given = reclaimed + changed;
    if (given * PER_HANDOVER < steps) fail(`of ${assigned} cells only ${given} were given from one tenant to another in ${steps} requests`);
  }
}

/** The tenants that ask in a phase: a few, and now and then all of them. */
function askingIn(phase: number, seed: number, { tenants, cells }: NodeSize): number[] {
  const random = new Random(seed, -2 - phase);
  if (random.chance(0.1)) return numbersTo(tenants);
  const rest = numbersTo(tenants);
  const count = 1 + random.below(Math.min(cells, tenants));
  return Array.from({ length: count }, () => rest.splice(random.below(rest.length), 1)[0] as number);
}

function numbersTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
