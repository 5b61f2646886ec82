/** The state and the component store under the kill soak, without the rest of a node. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { digestOf, type ComponentStore } from "../../../src/artefacts/components.js";
import type { StateStore } from "../../../src/state/store.js";
import { ROOT } from "../../support/paths.js";
import type { Random } from "../support/random.js";
import { Violation } from "../support/steps.js";
import type { Checked, Subject } from "./soak.js";
import { ALIASES, AUDIT, componentsIn, openData, tasksOf, VERSIONS, WRITERS, type Said } from "./state-work.js";

const PROGRAM = fileURLToPath(new URL("state-process.ts", import.meta.url));
const FILES = new Set(["components", "state.mdb", "state.mdb-lock", "node.lock"]);

type Asked = Extract<Said, { kind: "asked" }>;

/** A version that a task leads to. */
interface Live {
  readonly change: string;
  readonly digest: string;
}

interface Running {
  readonly child: ChildProcess;
  /** All that the process said is in when this resolves. */
  readonly over: Promise<unknown>;
  readonly errors: () => string;
}

export class StateSubject implements Subject {
  readonly startMs = 600;
  readonly mostAnswers = 100;
  readonly #folder: string;
  readonly #seed: number;
  /** What tasks lead to, by all that was answered and all that was found since. */
  readonly #live = new Map<string, Live>();
  #changes = 0;
  #round = 0;
  #asked: Asked[] = [];
  #answered = new Set<string>();
  #running: Running | undefined;

  constructor(folder: string, seed: number) {
    this.#folder = folder;
    this.#seed = seed;
  }

  get answers(): number {
    return this.#answered.size;
  }

  begin(random: Random): Promise<void> {
    this.#asked = [];
    this.#answered = new Set();
    const args = [this.#folder, `r${this.#round++}`, this.#seed, random.below(1_000_000_000)].map(String);
    const child = spawn(process.execPath, ["--import", "tsx", PROGRAM, ...args], { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
    const dies = (): void => void child.kill("SIGKILL");
    process.once("exit", dies);
    child.once("exit", () => process.off("exit", dies));
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-4000)));
    const lines = createInterface({ input: child.stdout });
    const over = Promise.all([once(lines, "close"), once(child, "exit")]);
    this.#running = { child, over, errors: () => stderr };
    return new Promise((working) => {
      lines.on("line", (line) => this.#hear(line, working));
      lines.once("close", working);
    });
  }

  async kill(): Promise<void> {
    const { child, over, errors } = this.#running as Running;
    const wasAlive = child.kill("SIGKILL");
    await over;
    if (!wasAlive || child.signalCode !== "SIGKILL") throw new Violation(`the process ended by itself; its last words:\n${errors()}`);
  }

  async check(): Promise<Checked> {
    const { state, components } = openData(this.#folder);
    try {
      for (const asked of this.#asked) this.#settle(state, asked);
      await this.#checkTasks(state, components);
      await this.#checkComponents(components);
    } finally {
      await state.close();
    }
    return { answered: this.#answered.size, cutOff: this.#asked.length - this.#answered.size };
  }

  #hear(line: string, working: () => void): void {
    let said: Said;
    try {
      said = JSON.parse(line) as Said;
    } catch {
      return; // killed within a line: whatever it was, nobody was told
    }
    if (said.kind === "working") working();
    else if (said.kind === "asked") this.#asked.push(said);
    else this.#answered.add(said.change);
  }

  /** In the order in which they were asked for; of each task there is one at a time. */
  #settle(state: StateStore, { change, task, digest }: Asked): void {
    const isThere = state.get(AUDIT, change) === task;
    if (!isThere && this.#answered.has(change)) throw new Violation(`the change ${change} of ${task} was answered, and is not there`);
    if (!isThere) return;
    this.#changes++;
    if (digest === undefined) this.#live.delete(task);
    else this.#live.set(task, { change, digest });
  }

  async #checkTasks(state: StateStore, components: ComponentStore): Promise<void> {
    const tasks = Array.from({ length: WRITERS }, (_, writer) => tasksOf(writer)).flat();
    for (const task of tasks) {
      const live = this.#live.get(task);
      const found = JSON.stringify([state.get(ALIASES, task), state.list(VERSIONS, { prefix: `${task}/` })]);
      const versions = live === undefined ? [] : [{ key: `${task}/${live.change}`, value: live }];
      const expected = JSON.stringify([live?.change, versions]);
      if (found !== expected) throw new Violation(`${task}: alias and versions should be ${expected}, and are ${found}`);
      if (live !== undefined) await checkComponent(components, live);
    }
    const changes = state.list(AUDIT).length;
    if (changes !== this.#changes) throw new Violation(`${changes} changes are in the audit log, and ${this.#changes} were made`);
  }

  /** What nobody uses can be collected, and then there is nothing else. */
  async #checkComponents(components: ComponentStore): Promise<void> {
    const used = new Set([...this.#live.values()].map(({ digest }) => digest));
    await components.collect(used);
    const expected = [...used].map((digest) => `${digest}.wasm`).sort();
    const found = readdirSync(componentsIn(this.#folder)).sort();
    if (JSON.stringify(found) !== JSON.stringify(expected))
      throw new Violation(`components are ${found.join()}, and ${expected.join()} are used`);
    const strange = readdirSync(this.#folder).filter((name) => !FILES.has(name));
    if (strange.length > 0) throw new Violation(`left over in the data folder: ${strange.join(", ")}`);
  }
}

async function checkComponent(components: ComponentStore, { change, digest }: Live): Promise<void> {
  const bytes = await components.get(digest);
  if (bytes === undefined) throw new Violation(`the component ${digest} of the change ${change} is not there`);
  if (digestOf(bytes) !== digest) throw new Violation(`the component ${digest} of the change ${change} has other bytes`);
}
