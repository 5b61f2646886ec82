/** The rollout soak itself: what the node sustains, then 0.7 of that for some seconds while its tasks change. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { BenchError } from "../../support/bench-error.js";
import { percentile } from "../../support/statistics.js";
import { adminClient, type Admin } from "../support/admin.js";
import { Random } from "../support/random.js";
import { ServedNode, type NodeAddress } from "../support/served-node.js";
import { Findings, Violation, type Found } from "../support/steps.js";
import { comeAndGo, LoadedTask, TASK } from "./changes.js";
import { judge } from "./judge.js";
import { Load } from "./load.js";

/** What is put under load: an address, and what it has to say for itself in the end. */
export interface Loaded extends AsyncDisposable {
  readonly address: NodeAddress;
  /** Ends it, and gives what is wrong with how it went: nothing, if all is well. */
  finish(): Promise<readonly string[]>;
}

export interface RolloutOptions {
  /** Seconds of constant load. */
  readonly steps: number;
  readonly seed: number;
  /** Seconds in which it is found out what the node sustains. */
  readonly calibrate: number;
  readonly connections: number;
  /** Milliseconds that an alias with weights stays as it is; 1500. */
  readonly splitMs?: number;
  /** Milliseconds in which the programs that nothing leads to must be given back; 10,000. */
  readonly givenBackMs?: number;
  readonly start?: () => Promise<Loaded>;
  readonly progress?: (line: string) => void;
}

export interface RolloutResult {
  readonly requests: number;
  /** Requests a second: what the node sustained, and what it was asked for. */
  readonly sustained: number;
  readonly rate: number;
  /** Of those under load, in milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Changes of the task under load by kind, and of the other one. */
  readonly changes: Readonly<Record<string, number>>;
  /** Times that answers were held against weights, and that users were followed. */
  readonly split: number;
  readonly sticky: number;
  readonly seconds: number;
  readonly violations: number;
  readonly found: readonly Found[];
}

/** Of what the node sustains. */
const SHARE = 0.7;
const USERS = 500;

export async function runRollout(options: RolloutOptions): Promise<RolloutResult> {
  const { steps, seed, calibrate, connections, splitMs = 1500, givenBackMs = 10_000, start = startNode, progress = () => {} } = options;
  const findings = new Findings();
  const begin = performance.now();
  await using node = await start();
  const { data, admin: adminUrl } = node.address;
  const admin = adminClient(node.address);
  const task = new LoadedTask(admin, new Random(seed, 1), splitMs);
  await task.setSecret();
  await task.deploy();
  const load = new Load({ url: new URL(`${data}/${TASK}`), connections, users: USERS });
  try {
    const sustained = await load.closed(calibrate);
    const rate = SHARE * sustained;
    progress(`${connections} connections: ${Math.round(sustained)} requests a second; ${Math.round(rate)} a second for ${steps} s`);
    const first = load.samples.length;
    let over = false;
    const isOver = (): boolean => over;
    const changing = Promise.all([
      caught(findings, "change", () => changes(task, new Random(seed, 2), isOver, progress)),
      caught(findings, "the other task", () => comeAndGo(admin, data, new Random(seed, 3), isOver)),
    ]);
    await load.constant(rate, steps);
    over = true;
    const [, beside] = await changing;
    const samples = load.samples.slice(first);
    if (samples.length < rate * steps - 1)
      findings.add(
        steps,
        "load",
        new Violation(`of ${Math.round(rate * steps)} requests only ${samples.length} could be sent in twice the time`),
      );
    const verdict = judge(load.samples, task.eras);
    for (const { at, what, message } of verdict.failures) findings.add(Math.round(at - begin), what, new Violation(message));
    await caught(findings, "the end", () => checkEnd(admin, adminUrl, task, givenBackMs));
    for (const wrong of await node.finish()) findings.add(steps, "the node", new Violation(wrong));
    const times = samples.map(({ sent, ended }) => ended - sent);
    const [p50, p99] = times.length === 0 ? [0, 0] : [percentile(times, 50), percentile(times, 99)];
    const kinds = { ...Object.fromEntries(task.counts), "come and go": beside ?? 0 };
    const { split, sticky } = verdict;
    const seconds = (performance.now() - begin) / 1000;
    const requests = load.samples.length;
    return {
      requests,
      sustained,
      rate,
      p50,
      p99,
      changes: kinds,
      split,
      sticky,
      seconds,
      violations: findings.count,
      found: findings.found,
    };
  } finally {
    load.close();
  }
}

/** All kinds in an order of their own, and again in another, until it is over. */
async function changes(task: LoadedTask, random: Random, isOver: () => boolean, progress: (line: string) => void): Promise<void> {
  for (let deck = Object.keys(task.kinds); !isOver(); deck = shuffled(Object.keys(task.kinds), random)) {
    for (const kind of deck) {
      if (isOver()) return;
      await task.change(kind);
    }
    progress(`${task.eras.length} times the alias has been led elsewhere`);
  }
}

/** The alias is where it was led last, and of the programs that were linked none is left that it does not lead to. */
async function checkEnd(admin: Admin, adminUrl: string, task: LoadedTask, givenBackMs: number): Promise<void> {
  const { json } = await admin("GET", `/tenants/default/tasks/${TASK}/aliases/live`);
  const labels = Object.keys((json as { readonly targets: object }).targets)
    .sort()
    .join();
  const expected = [...task.live].sort().join();
  if (labels !== expected) throw new Violation(`the alias leads to ${labels}, and was led to ${expected}`);
  const deadline = performance.now() + givenBackMs;
  for (;;) {
    const metrics = await (await fetch(`${adminUrl}/metrics`)).text();
    const programs = Number(/^pilotlight_programs (\d+)$/m.exec(metrics)?.[1]);
    if (programs <= task.live.length) return;
    if (performance.now() > deadline)
      throw new Violation(
        `${programs} programs are linked ${givenBackMs / 1000} s after the last request; the alias leads to ${task.live.length}`,
      );
    await sleep(100);
  }
}

async function caught<T>(findings: Findings, what: string, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    findings.add(0, what, error);
    return undefined;
  }
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const rest = [...items];
  return items.map(() => rest.splice(random.below(rest.length), 1)[0] as T);
}

async function startNode(): Promise<Loaded> {
  const parent = mkdtempSync(join(tmpdir(), "pilotlight-rollout-"));
  const node = new ServedNode(join(parent, "data"));
  const address = await node.listening;
  if (address === undefined) throw new BenchError(`the node ended before it listened: ${node.said}`);
  return {
    address,
    async finish() {
      const died = node.ended;
      const ended = await node.end("SIGTERM");
      // Who was put off has come again (load.ts).
      const complaints = node.complaints
        .split("\n")
        .filter((line) => !line.includes('"the node has more to do than its processors can"'))
        .join("\n");
      return [
        ...(died === undefined ? [] : [`it ended by itself with ${died}`]),
        ...(ended === 0 ? [] : [`it was told to drain, and ended with ${ended}`]),
        ...(complaints.trim() === "" ? [] : [`it complained: ${complaints}`]),
      ];
    },
    async [Symbol.asyncDispose]() {
      await node.end("SIGTERM");
      rmSync(parent, { recursive: true, force: true });
    },
  };
}
