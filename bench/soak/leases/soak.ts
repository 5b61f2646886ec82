/**
 * The soak of leases itself: nodes by chance, one after the other, each with so many random steps under the judge.
 *
 * A node that broke a promise is given up, and the next one begins; its seed and step show it again.
 */
import { Pool } from "../../../src/pool/pool.js";
import { Random } from "../support/random.js";
import { Findings, type Found } from "../support/steps.js";
import { Judge, judgeReserves } from "./judge.js";
import { NodeModel, type MakePool } from "./node.js";
import { addProgram, changeTerms, operate, optionsOf } from "./work.js";

export interface LeasesOptions {
  readonly steps: number;
  readonly seed: number;
  /** Steps between two looks at everything; commands are judged one by one whatever this is. */
  readonly every?: number;
  /** The node to begin with, of those of the seed. */
  readonly from?: number;
  /** Steps of one node. */
  readonly stepsEach?: number;
  readonly makePool?: MakePool;
  readonly progress?: (line: string) => void;
}

export interface LeasesResult {
  readonly nodes: number;
  /** Cells that came to another tenant are `moved`. */
  readonly counts: Readonly<NodeModel["counts"]> & { readonly moved: number };
  readonly seconds: number;
  readonly violations: number;
  readonly found: readonly Found[];
}

const STEPS_EACH = 20_000;
const EVERY = 64;
const PROGRAMS = 12;
const NODES_A_LINE = 50;

export const makeRealPool: MakePool = ({ slots, callSlots, parallelism, queue, settings, forecast }) =>
  new Pool({ slots, callSlots, parallelism, queue }, settings, forecast);

export function runLeases(options: LeasesOptions): LeasesResult {
  const { steps, seed, every = EVERY, stepsEach = STEPS_EACH, from = 0, makePool = makeRealPool, progress = () => {} } = options;
  const findings = new Findings();
  const counts = { granted: 0, refused: 0, shared: 0, expired: 0, raised: 0, reclaimed: 0, called: 0, reserved: 0 };
  let moved = 0;
  const begin = performance.now();
  let nodes = from;
  for (let first = 0; first < steps; first += stepsEach) {
    const count = Math.min(stepsEach, steps - first);
    const node = runNode(new Random(seed, nodes++), first, count, every, makePool, findings);
    for (const key of Object.keys(counts) as (keyof typeof counts)[]) counts[key] += node.counts[key];
    moved += node.engine.moved;
    if (nodes % NODES_A_LINE === 0) progress(`${first + count} of ${steps} steps, ${findings.count} violations`);
  }
  return {
    nodes: nodes - from,
    counts: { ...counts, moved },
    seconds: (performance.now() - begin) / 1000,
    violations: findings.count,
    found: findings.found,
  };
}

/** So many steps on one node; stops at its first violation. */
function runNode(random: Random, first: number, count: number, every: number, makePool: MakePool, findings: Findings): NodeModel {
  const node = new NodeModel(optionsOf(random), makePool);
  const judge = new Judge(node);
  let step = first;
  try {
    for (let i = 0; i < 3; i++) changeTerms(node, random);
    for (let i = 0; i < PROGRAMS; i++) addProgram(node, random);
    for (; step < first + count; step++) {
      operate(node, random);
      if (step % every === 0) judge.judge();
    }
    judge.judge();
    node.finish();
    judgeReserves(node);
  } catch (error) {
    findings.add(step, `node ${Math.floor(first / count)}`, error);
  }
  return node;
}
