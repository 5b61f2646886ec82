/**
 * A node that is given work for later, and killed: each accepted request, tick, message and write is one run record, none is lost,
 * and none begins more often than was promised.
 *
 * Each run adds one to a counter of its own in a store, which is durable before it answers: so what began is counted where the
 * platform has no say in it.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { guestFile } from "../../support/paths.js";
import type { Checked, Subject } from "../kill/soak.js";
import { adminClient, everyItem, uploadOf, type Admin } from "../support/admin.js";
import type { Random } from "../support/random.js";
import { ServedNode } from "../support/served-node.js";
import { Violation } from "../support/steps.js";

interface JobView {
  readonly id: string;
  readonly task: string;
  readonly state: string;
  readonly starts: number;
  readonly origin: string;
}

type Kind = "once" | "again" | "mail" | "write";

interface Asked {
  readonly kind: Kind;
  /** Undefined: whether it was accepted is not known. */
  id: string | undefined;
}

const PENDING: ReadonlySet<string> = new Set(["waiting", "running"]);
const TENANT = "/tenants/default";
/** What began before a kill may have to be done once more. */
const SETTLE_MS = 40_000;
const WRITERS = 4;
const SHARES: readonly Kind[] = ["once", "once", "again", "mail", "write"];

export interface SubjectOptions {
  /** What is asked for; `write` alone for `soak -- store-trigger`. */
  readonly kinds?: readonly Kind[];
  /** It is killed before it has answered so many. */
  readonly mostAnswers?: number;
  /** Ticks each second as well. */
  readonly ticks?: boolean;
}

export class DeferredSubject implements Subject {
  readonly startMs = 1500;
  readonly mostAnswers: number;
  readonly #folder: string;
  readonly #kinds: readonly Kind[];
  readonly #ticks: boolean;
  #node: ServedNode | undefined;
  #over = false;
  #wrong: Error | undefined;
  #writers: Promise<unknown> = Promise.resolve();
  #next = 0;
  /** By the name of its counter. */
  readonly #asked = new Map<string, Asked>();
  #answered = 0;
  #cutOff = 0;
  #sinceKill = 0;

  constructor(folder: string, { kinds = SHARES, ticks = true, mostAnswers = 120 }: SubjectOptions = {}) {
    this.mostAnswers = mostAnswers;
    this.#folder = folder;
    this.#kinds = kinds;
    this.#ticks = ticks;
  }

  get answers(): number {
    return this.#sinceKill;
  }

  /** All that was ever accepted. */
  get asked(): number {
    return this.#asked.size;
  }

  async begin(random: Random): Promise<void> {
    this.#over = false;
    this.#wrong = undefined;
    [this.#answered, this.#cutOff, this.#sinceKill] = [0, 0, 0];
    const node = new ServedNode(this.#folder);
    this.#node = node;
    const address = await node.listening;
    if (address === undefined) return;
    const admin = adminClient(address);
    const seeds = Array.from({ length: WRITERS }, () => random.below(1e9));
    this.#writers = this.#work(admin, address.data, seeds);
  }

  async kill(): Promise<void> {
    this.#over = true;
    const node = this.#node as ServedNode;
    const ended = await node.end("SIGKILL");
    await this.#writers;
    if (ended !== "SIGKILL") throw new Violation(`the node ended by itself with ${ended}; ${node.said}`);
    if (this.#wrong !== undefined) throw this.#wrong;
  }

  async check(): Promise<Checked> {
    await using node = new ServedNode(this.#folder);
    const address = await node.listening;
    if (address === undefined) throw new Violation(`the node does not start; ${node.said}`);
    const admin = adminClient(address);
    if ((await admin("GET", `${TENANT}/tasks/once`)).status === 200) {
      const jobs = await this.#settled(admin);
      await this.#judge(admin, jobs);
    }
    const ended = await node.end("SIGTERM");
    if (ended !== 0) throw new Violation(`the node was told to drain, and ended with ${ended}; ${node.said}`);
    return { answered: this.#answered, cutOff: this.#cutOff };
  }

  /** What is not over by itself yet, but for ticks that go on coming. */
  async #settled(admin: Admin): Promise<readonly JobView[]> {
    const deadline = performance.now() + SETTLE_MS;
    for (;;) {
      const jobs = await everyItem<JobView>(admin, `${TENANT}/deferred`);
      const left = jobs.filter(({ state, task }) => PENDING.has(state) && task !== "clock");
      if (left.length === 0) return jobs;
      if (performance.now() > deadline) throw new Violation(`${left.length} runs do not come to an end: ${JSON.stringify(left[0])}`);
      await sleep(50);
    }
  }

  async #judge(admin: Admin, jobs: readonly JobView[]): Promise<void> {
    const byId = new Map(jobs.map((job) => [job.id, job]));
    if (byId.size !== jobs.length) throw new Violation(`there are ${jobs.length} run records and ${byId.size} ids`);
    const writes = new Map<string, JobView[]>();
    for (const job of jobs) {
      const key = /^store in\/(\S+) /.exec(job.origin)?.[1];
      if (key !== undefined) writes.set(key, [...(writes.get(key) ?? []), job]);
    }
    for (const [name, { kind, id }] of this.#asked) {
      if (kind === "write") this.#judgeWrite(name, id !== undefined, writes.get(name) ?? [], await counted(admin, name));
      else if (id !== undefined) {
        const job = byId.get(id);
        if (job === undefined) throw new Violation(`${name} was accepted as ${id}, and there is no such run`);
        judgeStarts(name, kind, job, await counted(admin, name));
        // It is not looked at again, nor kept: the next rounds have their own.
      }
      this.#asked.delete(name);
    }
    if (!this.#ticks) return;
    const ticks = jobs.filter(({ task }) => task === "clock");
    const times = new Set(ticks.map(({ origin }) => origin));
    if (times.size !== ticks.length) throw new Violation(`${ticks.length} ticks have run records, of ${times.size} moments`);
    const starts = ticks.reduce((sum, job) => sum + job.starts, 0);
    const ran = await counted(admin, "ticks");
    if (ran > starts + 1) throw new Violation(`${ran} ticks have run, and ${starts} were started`);
  }

  #judgeWrite(name: string, wasAnswered: boolean, jobs: readonly JobView[], ran: number): void {
    if (jobs.length > 1 || (wasAnswered && jobs.length === 0))
      throw new Violation(`${name} was written once${wasAnswered ? "" : ", perhaps"}, and has ${jobs.length} run records`);
    const [job] = jobs;
    if (job !== undefined) judgeStarts(name, "write", job, ran);
  }

  async #work(admin: Admin, data: string, seeds: readonly number[]): Promise<void> {
    try {
      await this.#deploy(admin);
      await Promise.all(seeds.map((seed) => this.#writer(admin, data, seed)));
    } catch (error) {
      if (!(this.#over && !(error instanceof Violation))) this.#wrong ??= error as Error;
    }
  }

  async #deploy(admin: Admin): Promise<void> {
    const component = readFileSync(guestFile("reader"));
    const task = { stores: ["default"], capacity: { ready: 0 } };
    const tasks = [
      { name: "once", routes: ["/once/*"] },
      { name: "again", routes: ["/again/*"], repeat: true },
      { name: "mails", routes: ["/mails/*"], triggers: [{ queue: "mails", path: "/mails/message" }] },
      { name: "writes", routes: ["/writes/*"], triggers: [{ store: "in", path: "/writes/increment?key=written" }] },
      ...(this.#ticks
        ? [{ name: "clock", routes: ["/clock/*"], triggers: [{ cron: "* * * * * *", path: "/clock/increment?key=ticks" }] }]
        : []),
    ];
    for (const each of tasks) {
      const { status, bytes } = await admin("POST", `${TENANT}/tasks/${each.name}/versions`, uploadOf({ ...task, ...each }, component));
      if (status >= 300) throw new Violation(`deploying ${each.name} was answered ${status}: ${bytes.toString()}`);
    }
  }

  async #writer(admin: Admin, data: string, seed: number): Promise<void> {
    for (let n = 0; !this.#over; n++) {
      const kind = this.#kinds[(seed + n) % this.#kinds.length] as Kind;
      const name = `j${this.#next++}`;
      const asked: Asked = { kind, id: undefined };
      this.#asked.set(name, asked);
      try {
        asked.id = await this.#ask(admin, data, kind, name);
        this.#answered++;
        this.#sinceKill++;
      } catch (error) {
        if (error instanceof Violation || !this.#over) throw error;
        this.#cutOff++;
      }
    }
  }

  async #ask(admin: Admin, data: string, kind: Kind, name: string): Promise<string> {
    if (kind === "write") {
      const { status, bytes } = await admin("PUT", `${TENANT}/stores/in/entries/${name}`, { bytes: Buffer.from(name) });
      if (status >= 300) throw new Violation(`a write was answered ${status}: ${bytes.toString()}`);
      return name;
    }
    if (kind === "mail") {
      const { status, json } = await admin("POST", `${TENANT}/queues/mails/messages`, { bytes: Buffer.from(name) });
      if (status !== 202) throw new Violation(`a message was answered ${status}: ${JSON.stringify(json)}`);
      return (json as { id: string }).id;
    }
    const answer = await fetch(`${data}/${kind}/increment?key=${name}`, { method: "POST", headers: { prefer: "respond-async" } });
    const document = (await answer.json()) as { id: string };
    if (answer.status !== 202) throw new Violation(`a request was answered ${answer.status}: ${JSON.stringify(document)}`);
    return document.id;
  }
}

/** Says what is wrong with how often it has begun. */
function judgeStarts(name: string, kind: Kind, job: JobView, ran: number): void {
  const { state, starts } = job;
  // What a message's and a write's run counts is not its own.
  const isCounted = kind === "once" || kind === "again";
  if (kind !== "again" && starts > 1) throw new Violation(`${name} began ${starts} times, which may begin once`);
  if (isCounted && kind === "once" && ran > 1) throw new Violation(`${name} has run ${ran} times, which may run once`);
  if (isCounted && state === "done" && ran === 0) throw new Violation(`${name} is done, and has not run: ${JSON.stringify(job)}`);
  if (isCounted && ran > starts) throw new Violation(`${name} has run ${ran} times, and was started ${starts} times`);
  if (kind === "again" && state !== "done") throw new Violation(`${name} may be repeated, and is ${state}`);
  if (state !== "done" && state !== "interrupted") throw new Violation(`${name} is ${state}`);
}

async function counted(admin: Admin, key: string): Promise<number> {
  const { status, bytes } = await admin("GET", `${TENANT}/stores/default/entries/${key}`);
  return status === 200 ? Number(bytes.toString()) : 0;
}
