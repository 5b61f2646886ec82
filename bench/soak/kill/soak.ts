/** The kill soak itself: begin a process over a data folder, kill it, look at what is there, and again. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "../support/random.js";
import { Findings, type Found } from "../support/steps.js";

/** Something that is killed: a process that changes a data folder, and who knows what it answered. */
export interface Subject {
  /** Milliseconds within which it is killed while it starts. */
  readonly startMs: number;
  /** It is killed while it works before it has answered so many changes. */
  readonly mostAnswers: number;
  /** Changes of this round that it has answered so far. */
  readonly answers: number;
  /**
   * Starts the process over what the last round left, and lets it work. The promise resolves once changes are being
   * made, and also when the process ends before that.
   */
  begin(random: Random): Promise<void>;
  /** `kill -9`; resolves when the process is gone. Throws a `Violation` when it was gone before. */
  kill(): Promise<void>;
  /** Looks at the data folder; throws a `Violation` for what was answered and is not there, or is there by halves. */
  check(): Promise<Checked>;
}

/** Changes of a round that had been answered when it ended, and those that had not. */
export interface Checked {
  readonly answered: number;
  readonly cutOff: number;
}

/** Makes a subject over an empty data folder. */
export type MakeSubject = (folder: string, seed: number) => Subject;

export interface KillOptions {
  /** Rounds of all subjects together. */
  readonly steps: number;
  readonly seed: number;
  readonly subjects: Readonly<Record<string, MakeSubject>>;
  readonly progress?: (line: string) => void;
}

export interface KillResult {
  readonly rounds: number;
  readonly answered: number;
  readonly cutOff: number;
  readonly seconds: number;
  readonly violations: number;
  readonly found: readonly Found[];
}

/** Share of rounds in which the process is killed while it starts. */
const WHILE_STARTING = 0.15;
/** So that it is in the middle of something when it is killed, and not where it has just answered. */
const LAST_MS = 25;
/** For answers on a machine that has other things to do. */
const WORK_MS = 10_000;

export async function runKill({ steps, seed, subjects, progress = () => {} }: KillOptions): Promise<KillResult> {
  const findings = new Findings();
  const counts = { rounds: 0, answered: 0, cutOff: 0 };
  const begin = performance.now();
  const parent = mkdtempSync(join(tmpdir(), "pilotlight-kill-"));
  try {
    const named = Object.entries(subjects).map(([name, make]) => ({ name, subject: make(join(parent, name), seed) }));
    // The first thing wrong makes all that follows doubtful: what is on the disk is not what the subject expects.
    for (let n = 0; n < steps && findings.count === 0; n++) {
      const { name, subject } = named[n % named.length] as (typeof named)[number];
      try {
        const { answered, cutOff } = await round(subject, new Random(seed, n));
        counts.answered += answered;
        counts.cutOff += cutOff;
      } catch (error) {
        findings.add(n, name, error);
      }
      counts.rounds++;
      if ((n + 1) % 20 === 0) progress(`${n + 1} of ${steps} rounds, ${counts.answered} answered changes, ${findings.count} violations`);
    }
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
  return { ...counts, seconds: (performance.now() - begin) / 1000, violations: findings.count, found: findings.found };
}

async function round(subject: Subject, random: Random): Promise<Checked> {
  const working = subject.begin(random);
  if (random.chance(WHILE_STARTING)) {
    await sleep(random.below(subject.startMs));
  } else {
    await working;
    const enough = random.below(subject.mostAnswers);
    const deadline = performance.now() + WORK_MS;
    while (subject.answers < enough && performance.now() < deadline) await sleep(1);
    await sleep(random.below(LAST_MS));
  }
  await subject.kill();
  return subject.check();
}
