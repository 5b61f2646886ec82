/**
 * The soak of records itself: random histories of one idempotent task against an oracle.
 *
 * Steps come one after the other, so an answer has to be the one that a run would give at this moment, to the byte; where calls and
 * writes overlap, the one of some moment between. Most of it happens in this process; a part on a node in a process of its own that
 * is killed in the middle of writes and calls, and must have kept every write that it had acknowledged.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startChild, type KillableSubject } from "./child.js";
import { Driver, noCounts, type Counts, type Unsure } from "./driver.js";
import { Model } from "./model.js";
import { openSubject } from "./subject.js";
import { Random } from "../support/random.js";
import { Findings, type Found } from "../support/steps.js";

export interface RecordsOptions {
  readonly steps: number;
  readonly seed: number;
  readonly kills: number;
  readonly progress?: (line: string) => void;
  /** Changes what the oracle knows, for the control: each write is lost with this chance. */
  readonly forgetful?: number;
}

export interface RecordsResult {
  readonly counts: Counts & { readonly kills: number; readonly restarts: number };
  readonly seconds: number;
  readonly violations: number;
  readonly found: readonly Found[];
}

const STEPS_A_KILL = 150;
const RESTART_EVERY = 40_000;
const PROGRESS_EVERY = 50_000;

export async function runRecords({ steps, seed, kills, progress = () => {}, forgetful = 0 }: RecordsOptions): Promise<RecordsResult> {
  const began = performance.now();
  const findings = new Findings();
  const counts = noCounts();
  const restarts = await inProcess({ steps, seed, progress, forgetful }, findings, counts);
  progress(`${steps} steps in process: ${findings.count} violations`);
  if (findings.count === 0) await killed(kills, seed, findings, counts, progress);
  const seconds = (performance.now() - began) / 1e3;
  return { counts: { ...counts, kills, restarts }, seconds, violations: findings.count, found: findings.found };
}

async function inProcess(
  {
    steps,
    seed,
    progress,
    forgetful,
  }: Pick<Required<RecordsOptions>, "steps" | "seed" | "forgetful"> & { readonly progress: (line: string) => void },
  findings: Findings,
  counts: Counts,
): Promise<number> {
  const data = mkdtempSync(join(tmpdir(), "pilotlight-soak-records-"));
  const model = new Model();
  let subject = await openSubject(data, false);
  let restarts = 0;
  try {
    let driver = new Driver(subject, model, counts, forgetful);
    await driver.begin();
    for (let n = 0; n < steps && findings.count < 20; n++) {
      if (n > 0 && n % RESTART_EVERY === 0) {
        await driver.settle(n, findings);
        await subject.close();
        subject = await openSubject(data, true);
        driver = new Driver(subject, model, counts, forgetful);
        restarts++;
      }
      if (n % PROGRESS_EVERY === 0 && n > 0) progress(`${n} steps, ${counts.hits} hits, ${findings.count} violations`);
      await driver.step(n, new Random(seed, n), findings);
    }
    await driver.settle(steps, findings);
  } finally {
    await subject.close();
    rmSync(data, { recursive: true, force: true });
  }
  return restarts;
}

/** The same on a node that is killed again and again. */
async function killed(kills: number, seed: number, findings: Findings, counts: Counts, progress: (line: string) => void): Promise<void> {
  const data = mkdtempSync(join(tmpdir(), "pilotlight-soak-records-"));
  const model = new Model();
  let subject: KillableSubject | undefined;
  let unsure: Unsure | undefined;
  try {
    for (let kill = 0; kill <= kills && findings.count === 0; kill++) {
      subject = await startChild(data, kill > 0);
      const driver = new Driver(subject, model, counts, 0);
      if (kill === 0) await driver.begin();
      else await driver.recall(kill, unsure, findings);
      const first = 1e9 + kill * STEPS_A_KILL;
      for (let n = first; n < first + STEPS_A_KILL; n++) await driver.step(n, new Random(seed, n), findings);
      if (kill === kills) await subject.close();
      else unsure = await driver.killed(subject, new Random(seed, -kill - 1), kill, findings);
      if (kill % 10 === 0) progress(`${kill} of ${kills} kills: ${findings.count} violations`);
    }
  } finally {
    await subject?.kill().catch(() => {});
    rmSync(data, { recursive: true, force: true });
  }
}
