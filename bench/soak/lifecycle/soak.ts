/**
 * The lifecycle soak itself: one node, many runs at once, each with two sidecars of its own or shared ones.
 *
 * The first sidecar does what it should; the second fails, in one of its functions and in one way, for the tasks that have it so.
 * The main answers, traps, writes a line as its last deed, or is paused and resumed in the middle. Afterwards each run's record
 * and what its sidecars have noted are judged (judge.ts), and in the end nothing may be left.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { RunRecord } from "../../../src/invoke/run.js";
import { Runtime } from "../../../src/runtime.js";
import type { ManifestInput } from "../../../src/tasks/manifest.js";
import { guestFile } from "../../support/paths.js";
import { Random } from "../support/random.js";
import { Findings, Violation, runSteps, type Found } from "../support/steps.js";
import { judgeMoves, judgeNotes, type Note } from "./judge.js";

export interface LifecycleOptions {
  readonly steps: number;
  readonly seed: number;
  readonly atOnce: number;
  readonly progress?: (line: string) => void;
  /** Changes a record before it is judged, for the control. */
  readonly tamper?: (record: RunRecord) => RunRecord;
}

export interface LifecycleResult {
  readonly counts: Readonly<Record<"runs" | "refused" | "overloaded" | "trapped" | "paused" | "shared" | "failing", number>>;
  readonly seconds: number;
  readonly violations: number;
  readonly found: readonly Found[];
}

const FUNCTIONS = ["check", "request", "head", "lines", "ended", "pause", "resume", "stop"] as const;
const HOWS = ["trap", "hang", "loop"] as const;
const CALL_MS = 250;
const STOP_MS = 5000;
const SIDECARS = ["first", "second"] as const;
type Counts = { -readonly [K in keyof LifecycleResult["counts"]]: number };

interface Variant {
  readonly name: string;
  readonly isFailing: boolean;
  readonly isShared: boolean;
}

/** What the main does, by its path, and what the client is to see of it where no sidecar is in the way. */
const DEEDS = [
  { path: "/", status: 200, line: undefined },
  { path: "/trap", status: 500, line: undefined },
  { path: "/log", status: 200, line: "a line on stderr" },
  { path: "/sleep?ms=40", status: 200, line: undefined },
  { path: "/slow?pieces=3&ms=10", status: 200, line: undefined },
] as const;

export async function runLifecycle({
  steps,
  seed,
  atOnce,
  progress = () => {},
  tamper = (record) => record,
}: LifecycleOptions): Promise<LifecycleResult> {
  const log = new Notes();
  const runtime = new Runtime({ log: "info", logTo: log, instances: 600 });
  const findings = new Findings();
  const counts: Counts = { runs: 0, refused: 0, overloaded: 0, trapped: 0, paused: 0, shared: 0, failing: 0 };
  const begin = performance.now();
  try {
    const variants = await deploy(runtime);
    progress(`${variants.length} tasks`);
    const pending: Promise<void>[] = [];
    await runSteps(0, steps, atOnce, async (n) => {
      const random = new Random(seed, n);
      const variant = random.chance(0.3) ? (variants[random.below(2)] as Variant) : random.pick(variants);
      const deed = random.pick(DEEDS);
      const step = new Step(runtime, log, n, variant, deed);
      try {
        await step.run(random.chance(0.3) ? random : undefined, counts);
      } catch (error) {
        findings.add(n, `${variant.name} ${deed.path}`, error);
        return;
      }
      // Its sidecars stop after it: looked at once they have, beside the next steps.
      pending.push(step.judge(tamper).catch((error: unknown) => findings.add(n, `${variant.name} ${deed.path}`, error)));
      if (n % 1000 === 999) progress(`${n + 1} runs`);
    });
    await Promise.all(pending);
    await nothingLeft(runtime).catch((error: unknown) => findings.add(steps, "in the end", error));
  } finally {
    await runtime.close(5000);
  }
  return { counts, seconds: (performance.now() - begin) / 1000, violations: findings.count, found: findings.found };
}

async function deploy(runtime: Runtime): Promise<Variant[]> {
  const guest = (name: string): Uint8Array => readFileSync(guestFile(name));
  const limits = { memory: "16MiB", timeout: `${CALL_MS}ms`, cpu: "100ms" } as const;
  for (const name of SIDECARS)
    await runtime.deploy({ manifest: { name, routes: [], limits, sidecar: { idle: "500ms" } }, component: guest("bystander") });
  const variants: Variant[] = [];
  // Guests see the path as it is asked for, so what tells the tasks apart is the host.
  const failing = FUNCTIONS.flatMap((func) => HOWS.flatMap((how) => [`${func}-${how}-open`, `${func}-${how}-closed`]));
  const hosts = ["good", "shared", ...failing].map((name) => `${name}.test`);
  await runtime.control.updateTenant(runtime.operator, "default", { hosts }, undefined);
  const add = async (
    name: string,
    second: Record<string, string | boolean>,
    more: Partial<NonNullable<ManifestInput["sidecars"]>[number]>,
  ): Promise<void> => {
    const log = { log: true };
    const sidecars = [
      { use: "first", config: log, ...more },
      { use: "second", config: { ...log, ...second }, ...more },
    ];
    await runtime.deploy({
      manifest: { name, routes: [`${name}.test/*`], limits: { timeout: "20s" }, sidecars },
      component: guest("behave-p3"),
    });
    variants.push({ name, isFailing: Object.keys(second).length > 0, isShared: more.scope === "task" });
  };
  await add("good", {}, {});
  await add("shared", {}, { scope: "task" });
  for (const func of FUNCTIONS)
    for (const how of HOWS)
      for (const onFailure of ["open", "closed"] as const) await add(`${func}-${how}-${onFailure}`, { [func]: how }, { onFailure });
  return variants;
}

class Step {
  readonly #runtime: Runtime;
  readonly #log: Notes;
  readonly #variant: Variant;
  readonly #deed: (typeof DEEDS)[number];
  readonly #n: number;
  #id = "";
  #status = 0;

  constructor(runtime: Runtime, log: Notes, n: number, variant: Variant, deed: (typeof DEEDS)[number]) {
    this.#runtime = runtime;
    this.#log = log;
    this.#n = n;
    this.#variant = variant;
    this.#deed = deed;
  }

  /** `pausing`: the run is paused in the middle, and goes on after a while. */
  async run(pausing: Random | undefined, counts: Counts): Promise<void> {
    const { name, isShared, isFailing } = this.#variant;
    const separator = this.#deed.path.includes("?") ? "&" : "?";
    const asked = this.#runtime.fetch(new Request(`http://${name}.test${this.#deed.path}${separator}step=${this.#n}`));
    if (pausing !== undefined && !isShared) void this.#pause(pausing, counts);
    const answer = await asked;
    const body = await answer.text().catch(() => "");
    this.#id = answer.headers.get("pilotlight-run") ?? "";
    this.#status = answer.status;
    counts.runs++;
    if (isShared) counts.shared++;
    if (isFailing) counts.failing++;
    if (answer.status === 503) counts.refused++;
    if (this.#deed.path === "/trap") counts.trapped++;
    // The node itself had more to do than it can: sidecars that loop take processors, too.
    if (answer.status === 503 && body.includes("problems/capacity/")) {
      counts.overloaded++;
      return;
    }
    const { status } = this.#deed;
    if (!isFailing && answer.status !== status) throw new Violation(`answered ${answer.status} instead of ${status}`);
    if (isFailing && answer.status !== status && answer.status !== 503)
      throw new Violation(`answered ${answer.status}, neither ${status} nor 503`);
    if (name.endsWith("-open") && answer.status !== status) throw new Violation(`answered ${answer.status}: what may fail was in the way`);
  }

  async #pause(random: Random, counts: Counts): Promise<void> {
    const { control, operator } = this.#runtime;
    const id = await this.#log.runOf(this.#n);
    if (id === undefined || !(await this.#tryUntil(() => control.pauseRun(operator, "default", id)))) return;
    counts.paused++;
    await sleep(random.below(30));
    await this.#tryUntil(() => control.resumeRun(operator, "default", id));
  }

  /** What is refused while the run has not begun is done once it has; false where it has ended by itself. */
  async #tryUntil(move: () => void): Promise<boolean> {
    for (let i = 0; i < 30; i++) {
      try {
        move();
        return true;
      } catch {
        await sleep(3);
      }
    }
    return false;
  }

  async judge(tamper: (record: RunRecord) => RunRecord): Promise<void> {
    const deadline = performance.now() + STOP_MS + 4 * CALL_MS + 5000;
    for (;;) {
      const record = this.#runtime.runRecord(this.#id);
      if (record === undefined) throw new Violation(`the run ${this.#id} is not known`);
      const lifecycle = record.lifecycle ?? [];
      const isDone =
        record.ended && lifecycle.every(({ ms }) => ms !== undefined) && (this.#variant.isShared || this.#hasStopped(lifecycle));
      if (isDone || performance.now() > deadline) return this.#judge(tamper(record));
      await sleep(20);
    }
  }

  /** Each that was started for it has been stopped, or has failed. */
  #hasStopped(lifecycle: NonNullable<RunRecord["lifecycle"]>): boolean {
    const stopped = lifecycle.filter(({ of, move }) => move === "stop" && of !== "main").length;
    return stopped >= (this.#variant.isFailing ? 1 : SIDECARS.length);
  }

  #judge({ lifecycle = [] }: RunRecord): void {
    judgeMoves({ lifecycle, sidecars: SIDECARS, callMs: CALL_MS, stopMs: STOP_MS });
    if (this.#variant.isShared) return;
    const notes = this.#log.of(this.#id, "first");
    judgeNotes(notes, this.#status === 200 ? this.#deed.line : undefined);
    judgeNotes(this.#log.of(this.#id, "second"), undefined);
    if (!notes.some(({ func }) => func === "stop"))
      throw new Violation(`the first has never been stopped: ${notes.map(({ func }) => func).join(" ")}`);
    this.#log.forget(this.#id);
  }
}

async function nothingLeft(runtime: Runtime): Promise<void> {
  const deadline = performance.now() + 15_000;
  for (;;) {
    const { engine, liveRuns } = runtime.stats();
    // Instances that wait ready for runs that are foreseen belong to no run.
    if (liveRuns === 0 && engine.runs === 0) return;
    if (performance.now() > deadline) throw new Violation(`${liveRuns} runs and ${engine.runs} in the engine are left`);
    await sleep(50);
  }
}

/** What bystanders note, as the log has it: by the run whose own they are. */
class Notes {
  readonly #byRun = new Map<string, { readonly sidecar: string; readonly note: Note }[]>();
  /** By instance: the run whose guard it was; `start` comes before that is known, `stop` after it is over. */
  readonly #runOfInstance = new Map<string, string>();
  readonly #early = new Map<string, { readonly sidecar: string; readonly note: Note }[]>();
  readonly #steps = new Map<number, string>();
  #rest = "";

  write(text: string): void {
    const parts = (this.#rest + text).split("\n");
    this.#rest = parts.pop() as string;
    for (const part of parts) if (part.includes('"context":"bystander"')) this.#line(JSON.parse(part) as Record<string, string>);
  }

  of(run: string, sidecar: string): Note[] {
    return (this.#byRun.get(run) ?? []).filter((each) => each.sidecar === sidecar).map(({ note }) => note);
  }

  forget(run: string): void {
    this.#byRun.delete(run);
  }

  /** The run of a step, once a guard has seen it; undefined when that takes long. */
  async runOf(step: number): Promise<string | undefined> {
    for (let i = 0; i < 200; i++) {
      const run = this.#steps.get(step);
      if (run !== undefined) return run;
      await sleep(2);
    }
    return undefined;
  }

  #line({ text = "", sidecar, task = "" }: Record<string, string>): void {
    const [func = "", instance = "", , run = "", ...about] = text.split(" ");
    const entry = { sidecar: sidecar ?? task, note: { func, instance, about: about.join(" ") } };
    if (run !== "-") {
      this.#runOfInstance.set(instance, run);
      const [, step] = /[?&]step=(\d+)/.exec(text) ?? [];
      if (step !== undefined) this.#steps.set(Number(step), run);
    }
    const owner = this.#runOfInstance.get(instance);
    if (owner === undefined) return void this.#early.set(instance, [...(this.#early.get(instance) ?? []), entry]);
    const notes = this.#byRun.get(owner) ?? [];
    notes.push(...(this.#early.get(instance) ?? []), entry);
    this.#early.delete(instance);
    this.#byRun.set(owner, notes);
  }
}
