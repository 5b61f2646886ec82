/** Nodes, tenants and programs by chance, and what happens to them. */
import { createForecast } from "../../../src/forecast/history.js";
import type { Forecast } from "../../../src/forecast/forecast.js";
import type { Code, PoolProgram, PoolSettings, SubPool, TenantTerms, WhenFull } from "../../../src/pool/types.js";
import type { Random } from "../support/random.js";
import type { EngineProgram } from "./engine.js";
import { JUMP, type How, type NodeModel, type NodeOptions } from "./node.js";

const KIB = 2 ** 10;
const MIB = 2 ** 20;
export const TENANTS = ["a", "b", "c", "d", "e"] as const;
const CODES: readonly Code[] = ["linked", "compiled", "stored"];
const ENDINGS: readonly How[] = ["sound", "sound", "sound", "sound", "unsound", "cut", "exhausted", "fat", "refused"];

/** A forecast that says nothing. */
const NOTHING: Forecast = {
  of: () => ({
    arrived: () => {},
    ended: () => {},
    running: 0,
    lastArrival: undefined,
    peak: () => 0,
    rate: () => 0,
    next: () => undefined,
  }),
  forget: () => {},
};

export function optionsOf(random: Random): NodeOptions {
  return {
    slots: 12 + random.below(random.pick([60, 200])),
    callSlots: random.below(8),
    parallelism: 1 + random.below(4),
    queue: random.below(12),
    settings: settingsOf(random, 0),
    // Half of the nodes are kept by what they have seen.
    forecast: random.chance(0.5) ? createForecast({ peakHalfLife: 2000, rateHalfLife: 2000, burstGap: 50, profileAfter: 32 }) : NOTHING,
  };
}

/** Settings that hold so many reserved cells. */
export function settingsOf(random: Random, reserved: number): PoolSettings {
  const cell = (warming: number): PoolSettings["pools"]["shared"] => ({
    cellBytes: (2 + random.below(12)) * MIB,
    cellSlots: 1 + random.below(6),
    warming,
  });
  const pools = { shared: cell(random.below(4)), dedicated: cell(0), variable: cell(random.below(3)) };
  const lobbyBytes = (1 + random.below(6)) * MIB;
  const instanceIdle = 200 + random.below(3000);
  return {
    budgetBytes: lobbyBytes + reserved * pools.dedicated.cellBytes + (12 + random.below(random.pick([60, 200]))) * MIB,
    lobbyBytes,
    pools,
    overcommit: random.pick([1, 1, 2, 4, 8]),
    variableCeiling: random.pick([0, 0.3, 0.6, 1]),
    instanceIdle,
    cellIdle: instanceIdle + 100 + random.below(5000),
    forecast: random.chance(0.9),
    programIdle: 1000 + random.below(20_000),
  };
}

export function programOf(node: NodeModel, random: Random): Omit<PoolProgram, "program"> {
  const tenant = random.pick(TENANTS);
  const shared = random.chance(0.4);
  return {
    tenant,
    task: `${tenant}/${random.below(3)}`,
    reuse: {
      maxRequests: random.chance(0.4) ? 1 : 1 + random.below(40),
      maxConcurrent: shared ? 1 + random.below(4) : 1,
      maxMemory: 300 * KIB,
      maxIdle: 50 + random.below(3000),
      maxAge: 100 + random.below(20_000),
    },
    concurrency: 1 + random.below(12),
    ready: random.chance(0.3) ? random.below(4) : 0,
    ...termsOf(node, tenant, random),
    memoryLimit: random.chance(0.15) ? (4 + random.below(24)) * MIB : 256 * KIB + random.below(4 * MIB),
    code: random.pick(CODES),
  };
}

/** Most of the time what the tenant has. */
function termsOf(node: NodeModel, tenant: string, random: Random): { readonly pool: SubPool; readonly whenFull: WhenFull } {
  const { dedicated, variableCeiling } = node.tenant(tenant).terms;
  const any = random.chance(0.1);
  const pools: SubPool[] = ["shared"];
  if (any || dedicated > 0) pools.push("dedicated");
  if (any || variableCeiling > 0) pools.push("variable");
  const pool = random.pick(pools);
  return {
    pool,
    whenFull: pool === "dedicated" ? random.pick(["wait", "spill", "reject"] as const) : random.pick(["wait", "wait", "reject"] as const),
  };
}

/** One step of a history: an operation by chance, with what it does in words. */
export function operate(node: NodeModel, random: Random): void {
  const what = random.below(1000);
  const n = random.below(2 ** 20);
  if (what < 240) return demand(node, random);
  if (what < 300) return withProgram(node, n, (program) => node.call(random.below(2 ** 20), program, 1 + random.below(3000)));
  if (what < 560) return node.settle(n, random.pick(ENDINGS));
  if (what < 800) return node.deliver(n);
  if (what < 890) return node.pass(random.pick([1, 1, 3, 10, 40, 150, 1000]));
  if (what < 905) return node.settleLate(n);
  if (what < 915) return node.withdraw(n);
  if (what < 925) return node.lose(n);
  if (what < 935) return node.fail(n);
  if (what < 942) return node.silence(n);
  if (what < 947) return node.echo(n);
  if (what < 951) return withProgram(node, n, (program) => node.learn(program, n));
  if (what < 954) return withProgram(node, n, (program) => node.try(program));
  if (what < 966) return change(node, random);
  if (what < 971) return node.drainCell(n);
  if (what < 974) return drain(node, random);
  if (what < 996) return resume(node, random);
  if (what < 998) return node.pass(JUMP + 1 + random.below(100_000));
  return node.goBack(1 + random.below(100_000));
}

function demand(node: NodeModel, random: Random): void {
  const n = random.below(2 ** 20);
  withProgram(node, n, (program) => {
    // Now and then many at once.
    const times = random.chance(0.02) ? 1 + random.below(12) : 1;
    for (let i = 0; i < times; i++) node.demand(program, 1 + random.below(3000), 200 + random.below(8000), random.chance(0.3));
  });
}

function change(node: NodeModel, random: Random): void {
  const n = random.below(2 ** 20);
  switch (random.below(5)) {
    case 0:
      return node.configure(settingsOf(random, reservedOf(node)));
    case 1:
      return changeTerms(node, random);
    case 2:
      return withProgram(node, n, (program) => {
        const { pool, whenFull } = termsOf(node, program.terms.tenant, random);
        node.amend(program, pool, whenFull);
      });
    case 3:
      // As many come as go.
      withProgram(node, n, (program) => node.remove(program));
      return addProgram(node, random);
    default:
      return node.tenant(random.pick(TENANTS)).isDraining ? undefined : changeTerms(node, random);
  }
}

export function addProgram(node: NodeModel, random: Random): void {
  const bytes = 100 * KIB + random.below(900 * KIB);
  // What its linked form holds may be known from before.
  node.add({ ...programOf(node, random), ...(random.chance(0.5) ? { bytes } : {}) }, bytes);
}

/** Terms that the node can keep: an operator's others are refused. */
export function changeTerms(node: NodeModel, random: Random): void {
  const name = random.pick(TENANTS);
  const { budgetBytes, lobbyBytes, pools } = node.settings;
  const others = reservedOf(node) - node.tenant(name).terms.dedicated;
  const most = Math.floor((budgetBytes - lobbyBytes) / pools.dedicated.cellBytes) - others;
  const terms: TenantTerms = {
    dedicated: Math.min(Math.max(0, most), random.below(4)),
    variableCeiling: random.pick([0, 0.2, 0.5, 1]),
    weight: random.pick([0.5, 1, 1, 2]),
  };
  node.terms(name, terms);
}

function reservedOf(node: NodeModel): number {
  let reserved = 0;
  for (const { terms } of node.tenants.values()) reserved += terms.dedicated;
  return reserved;
}

function drain(node: NodeModel, random: Random): void {
  if (random.chance(0.1)) node.drain();
  else node.drain(random.pick(TENANTS));
}

/** Much more often than drains come, so that most of the time there is work. */
function resume(node: NodeModel, random: Random): void {
  if (node.isDraining) return node.resume();
  const drained = [...node.tenants.values()].filter(({ isDraining }) => isDraining);
  if (drained.length > 0) node.resume(random.pick(drained).name);
}

function withProgram(node: NodeModel, n: number, work: (program: EngineProgram) => void): void {
  const there = node.engine.programs.size;
  if (there === 0) return;
  // The newest are the most likely to be there.
  for (let id = there - (n % Math.min(there, 24)); id > 0; id--) {
    const program = node.engine.programs.get(id);
    if (program !== undefined && !program.isForgotten) return work(program);
  }
}
