/**
 * The canary soak itself: some requests write a secret all over their instance's memory, others look for it.
 *
 * One secret for all of a soak, so that a scan finds what any earlier request left behind, on whatever slot. It travels
 * masked (guests/README.md), so a request that looks for it does not bring it along. First comes the control, in which
 * an instance serves several requests and the scan must find the secret: a scan that finds nothing there proves nothing.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { FLAVOURS, type Flavour } from "../../support/paths.js";
import { Client } from "../support/client.js";
import { SoakNode } from "../support/node.js";
import type { Planned } from "../support/node-process.js";
import { Random } from "../support/random.js";
import { Findings, runSteps, Violation, type Found } from "../support/steps.js";

export interface CanaryOptions {
  readonly steps: number;
  readonly seed: number;
  readonly atOnce: number;
  readonly progress?: (line: string) => void;
}

export interface CanaryResult {
  /** Scans of the control that found the secret, of so many, for each flavour. */
  readonly control: { readonly found: readonly number[]; readonly scans: number };
  readonly writes: number;
  readonly scans: number;
  readonly seconds: number;
  readonly violations: number;
  readonly found: readonly Found[];
}

/** Fresh pages of 64 KiB that a request adds: fewer and more than an instance's slot keeps resident (2 MiB). */
const PAGES = [1, 4, 16, 64];
const CONTROL_SCANS = 5;
const SETTLED_MS = 20;
const SECRET_BYTES = 32;
const MASK = 0x5a;

export async function runCanary(options: CanaryOptions): Promise<CanaryResult> {
  const { steps, seed, atOnce, progress = () => {} } = options;
  const findings = new Findings();
  const masked = maskedSecret(new Random(seed, -1));
  const control = await controlScans(masked, findings);
  progress(`control, instances used again: ${control.found.join(" and ")} of ${control.scans} scans found the secret`);

  // Everything by default: a clean instance for each request.
  await using node = await SoakNode.start(FLAVOURS.map((flavour) => tasks(flavour)));
  const client = new Client(atOnce);
  const counts = { write: 0, scan: 0 };
  const step = async (n: number): Promise<void> => {
    const random = new Random(seed, n);
    const flavour = random.pick(FLAVOURS);
    const kind = random.pick(["write", "scan"] as const);
    const pages = random.pick(PAGES);
    counts[kind]++;
    if (n > 0 && n % 10_000 === 0) progress(`${n} of ${steps} requests, ${findings.count} violations`);
    try {
      const port = node.ports[FLAVOURS.indexOf(flavour)] as number;
      if (kind === "write") await write(client, port, masked, pages);
      else if ((await scan(client, port, masked, pages)) > 0)
        throw new Violation("the secret of another request was found in this one's memory");
    } catch (error) {
      findings.add(n, `${flavour} ${kind}`, error);
    }
  };
  const begin = performance.now();
  await runSteps(0, steps, atOnce, step, () => node.death !== undefined);
  const seconds = (performance.now() - begin) / 1000;
  client.close();
  if (node.death !== undefined) findings.add(steps, "the end", new Violation(node.death));
  return { control, writes: counts.write, scans: counts.scan, seconds, violations: findings.count, found: findings.found };
}

function tasks(flavour: Flavour, reuse?: { readonly maxRequests: number }): Planned[] {
  return [{ guest: `behave-${flavour}`, manifest: { name: "behave", routes: ["/*"], ...(reuse === undefined ? {} : { reuse }) } }];
}

/**
 * On instances that serve many requests, one after the other, what one wrote is there for the next.
 *
 * An answer can be here before its instance is free for the next request, which then gets an instance of its own: so
 * each scan follows a write of its own after a moment, and some of them must find it, not all.
 */
async function controlScans(masked: string, findings: Findings): Promise<CanaryResult["control"]> {
  await using node = await SoakNode.start(FLAVOURS.map((flavour) => tasks(flavour, { maxRequests: 1000 })));
  const client = new Client(1);
  const found: number[] = [];
  for (const [i, port] of node.ports.entries()) {
    let here = 0;
    for (let n = 0; n < CONTROL_SCANS; n++) {
      await write(client, port, masked, 4);
      await sleep(SETTLED_MS);
      if ((await scan(client, port, masked, 1)) > 0) here++;
    }
    if (here === 0)
      findings.add(
        -1,
        `${FLAVOURS[i]} control`,
        new Violation("no scan found the secret on an instance that had written it: this soak would prove nothing"),
      );
    found.push(here);
  }
  client.close();
  return { found, scans: CONTROL_SCANS };
}

async function write(client: Client, port: number, masked: string, pages: number): Promise<void> {
  const text = await answerOf(client, port, `/secret?write=${masked}&pages=${pages}`);
  // Statics and stack come to more than 64 KiB, and then the pages.
  const bytes = Number(/^wrote (\d+)\n$/.exec(text)?.[1]);
  if (!(bytes > (pages + 1) * 65_536)) throw new Violation(`${pages} pages and more should have been written: ${JSON.stringify(text)}`);
}

/** How often the secret was found. */
async function scan(client: Client, port: number, masked: string, pages: number): Promise<number> {
  const text = await answerOf(client, port, `/scan?for=${masked}&pages=${pages}`);
  if (text === "not found\n") return 0;
  const found = Number(/^found (\d+)\n$/.exec(text)?.[1]);
  if (Number.isNaN(found)) throw new Violation(`a scan should say what it found: ${JSON.stringify(text)}`);
  return found;
}

async function answerOf(client: Client, port: number, path: string): Promise<string> {
  const { status, ending, body } = await client.ask(port, { path });
  if (status !== 200 || ending !== "whole")
    throw new Violation(`status ${status} (${ending}): ${JSON.stringify(body.toString("latin1", 0, 300))}`);
  return body.toString();
}

/** The hex of a secret as it travels. No 8 bytes of it are likely to be in memory by chance. */
function maskedSecret(random: Random): string {
  return Buffer.from(random.bytes(SECRET_BYTES).map((byte) => byte ^ MASK)).toString("hex");
}
