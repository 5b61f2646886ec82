/** The rules on a real node: each has a node of its own with the same three providers, and they take turns at the same calls. */
import { join } from "node:path";
import { ROOT } from "../support/paths.js";
import { startServer, type RunningServer } from "../support/server.js";
import { median, rotated } from "../support/statistics.js";

/** Always one provider; by capability; and whichever is cheapest by what was measured of all beforehand. */
const FIXED = ["lean", "table", "even"] as const;
const NODE_RULES = [...FIXED, "ours", "oracle"] as const;
export type NodeRule = (typeof NODE_RULES)[number];

/** Milliseconds, medians over blocks of each block's. */
export interface RuleResult {
  readonly rule: NodeRule;
  readonly calls: number;
  readonly mean: number;
  readonly p99: number;
}

interface Block {
  readonly calls: number;
  readonly mean: number;
  readonly p99: number;
}

/** Calls come in blocks of 2,000. */
export async function onNode(calls: number, progress: (line: string) => void): Promise<RuleResult[]> {
  const nodes: { readonly rule: NodeRule; readonly server: RunningServer; readonly blocks: Block[] }[] = [];
  try {
    for (const rule of NODE_RULES) nodes.push({ rule, server: await startNode(rule), blocks: [] });
    // Nobody begins with code that was never run.
    for (const { server } of nodes) await server.ask("0");
    for (let seed = 1, made = 0; made < calls; seed++) {
      for (const { rule, server, blocks } of rotated(nodes, seed)) {
        const block = JSON.parse(await server.ask(String(seed))) as Block;
        server.check();
        blocks.push(block);
        progress(`on a node: block ${seed}, ${rule}: ${block.mean.toFixed(3)} ms in the mean`);
      }
      made += nodes[0]?.blocks.at(-1)?.calls ?? calls;
    }
  } finally {
    await Promise.all(nodes.map(({ server }) => server[Symbol.asyncDispose]()));
  }
  return nodes.map(({ rule, blocks }) => ({
    rule,
    calls: blocks.reduce((sum, block) => sum + block.calls, 0),
    mean: median(blocks.map(({ mean }) => mean)),
    p99: median(blocks.map(({ p99 }) => p99)),
  }));
}

/** The rule that always takes one provider and does best. */
export function bestFixed(results: readonly RuleResult[]): RuleResult {
  const fixed = results.filter(({ rule }) => FIXED.some((name) => name === rule));
  return fixed.reduce((best, each) => (each.mean < best.mean ? each : best));
}

function startNode(rule: NodeRule): Promise<RunningServer> {
  const script = join(ROOT, "bench/dispatch/node.mjs");
  return startServer({ name: `the node of ${rule}`, command: [process.execPath, script, rule], talks: true });
}
