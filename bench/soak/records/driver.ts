/** Takes the steps of a history, and holds every answer against the model. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../support/random.js";
import { Violation, type Findings } from "../support/steps.js";
import { Killed, type KillableSubject } from "./child.js";
import { STORES, pathOf, type Model, type Question, type Store } from "./model.js";
import type { Answer, Subject } from "./subject.js";

const COUNTED = [
  "calls",
  "hits",
  "collapsed",
  "misses",
  "stale",
  "forced",
  "unmodified",
  "onlyIfCached",
  "writes",
  "guestWrites",
  "deploys",
  "secrets",
  "traps",
  "left",
  "bursts",
  "purges",
] as const;
export type Counts = { [K in (typeof COUNTED)[number]]: number };

const KEYS = Array.from({ length: 12 }, (_, i) => `k${String(i).padStart(2, "0")}`);
const VALUES = ["one", "two", "three", "four", ""] as const;
/** What takes so long is stuck. */
const STUCK_MS = 15_000;
const BIG = 70_000;

export function noCounts(): Counts {
  return Object.fromEntries(COUNTED.map((name) => [name, 0])) as Counts;
}

/** A write that was under way when the node was killed. */
export interface Unsure {
  readonly store: Store;
  readonly key: string;
  readonly value: string;
}

export class Driver {
  readonly #subject: Subject;
  readonly #model: Model;
  readonly #counts: Counts;
  readonly #forgetful: number;
  /** By path: tags that answers had, and their texts. */
  readonly #tags = new Map<string, { readonly etag: string; readonly text: string }>();
  /** Runs that have to have said that they ran, and those that may have. */
  #ran = 0;
  #mayHaveRun = 0;
  #secret = 0;

  constructor(subject: Subject, model: Model, counts: Counts, forgetful: number) {
    this.#subject = subject;
    this.#model = model;
    this.#counts = counts;
    this.#forgetful = forgetful;
  }

  /** After the first start. */
  async begin(): Promise<void> {
    this.#model.version = "0";
    this.#model.token = "token 0, long enough to be one";
  }

  async step(n: number, random: Random, findings: Findings): Promise<void> {
    const dice = random.below(10_000);
    const what = KINDS.find(([, share]) => dice < share)?.[0] ?? "call";
    try {
      await within(STUCK_MS, what, this.#take(what, random));
    } catch (error) {
      findings.add(n, what, error);
    }
  }

  /** Nothing is under way: as many runs have said that they ran as there were answers that no record gave. */
  async settle(n: number, findings: Findings): Promise<void> {
    await sleep(300);
    const ran = await this.#subject.ran();
    if (ran >= this.#ran && ran <= this.#ran + this.#mayHaveRun) return;
    findings.add(n, "runs", new Violation(`${ran} runs said that they ran; ${this.#ran} had to, and ${this.#mayHaveRun} more may have`));
  }

  /** After a kill: all that was acknowledged is there; what was not may be. */
  async recall(n: number, unsure: Unsure | undefined, findings: Findings): Promise<void> {
    if (unsure !== undefined && (await this.#subject.read(unsure.store, unsure.key)) === unsure.value)
      this.#model.write(unsure.store, unsure.key, unsure.value);
    for (const store of STORES)
      for (const key of KEYS) {
        const found = await this.#subject.read(store, key);
        const known = this.#model.stores[store].get(key);
        if (found !== known) findings.add(n, "after a kill", new Violation(`${store}/${key} is ${found}, and ${known} was acknowledged`));
      }
  }

  /** Kills the node while it writes and answers; what it has not acknowledged may be so or not. */
  async killed(subject: KillableSubject, random: Random, n: number, findings: Findings): Promise<Unsure | undefined> {
    const [store, key, value] = [random.pick(STORES), random.pick(KEYS), random.pick(VALUES)];
    const calls = Array.from({ length: 4 }, () => this.#subject.call(pathOf(this.#question(random))).catch((error: unknown) => error));
    let isSaid = false;
    const write = this.#subject.write(store, key, value).then(
      () => (isSaid = true),
      () => false,
    );
    await sleep(random.below(4));
    await subject.kill();
    await Promise.all([write, ...calls]);
    for (const answer of await Promise.all(calls))
      if (answer instanceof Error && !(answer instanceof Killed)) findings.add(n, "call at a kill", answer);
    if (!isSaid) return { store, key, value };
    this.#model.write(store, key, value);
    return undefined;
  }

  async #take(what: Kind, random: Random): Promise<void> {
    switch (what) {
      case "call":
        return this.#exactly(this.#question(random));
      case "write":
        return this.#write(random, random.pick(VALUES));
      case "delete":
        return this.#write(random, undefined);
      case "guest-write":
        return this.#guestWrite(random);
      case "forced":
        return this.#exactly(this.#question(random), { "cache-control": "no-cache" });
      case "only-if-cached":
        return this.#onlyIfCached(this.#question(random));
      case "conditional":
        return this.#conditional(this.#question(random));
      case "burst":
        return this.#burst(random);
      case "slow":
        return this.#slow(random);
      case "trap":
        return this.#trap();
      case "leave":
        return this.#leave(random);
      case "purge":
        this.#counts.purges++;
        return this.#subject.purge(`kv:${random.pick(STORES)}/${random.pick(KEYS)}`);
      case "deploy":
        return this.#deploy(random);
      case "secret":
        this.#counts.secrets++;
        this.#model.token = `token ${++this.#secret} of ${random.below(1e6)}, long enough to be one`;
        return this.#subject.secret(this.#model.token);
    }
  }

  /** Not too many different ones, so that most are asked again. */
  #question(random: Random): Question {
    const store = random.chance(0.8) ? "default" : "other";
    const dice = random.below(100);
    if (dice < 70) {
      const first = random.below(KEYS.length);
      const count = 1 + (first % 4);
      const keys = Array.from({ length: count }, (_, i) => KEYS[(first + i * 5) % KEYS.length] as string);
      return { kind: dice < 45 ? "get" : dice < 58 ? "many" : "exists", store, keys };
    }
    if (dice < 85) return { kind: "list", store };
    if (dice < 97) return { kind: "config", key: random.chance(0.8) ? "version" : "TOKEN" };
    return { kind: "big", bytes: BIG + random.below(30) * 1000 };
  }

  async #call(path: string, headers?: Readonly<Record<string, string>>): Promise<Answer> {
    this.#counts.calls++;
    const answer = (await this.#subject.call(path, headers)) as Answer;
    this.#count(answer);
    return answer;
  }

  #count({ cache, status }: Answer): void {
    if (cache.startsWith("pilotlight; hit")) return void this.#counts.hits++;
    if (cache.includes("; collapsed")) return void this.#counts.collapsed++;
    if (status === 504) return;
    this.#ran++;
    if (cache.includes("fwd=stale")) this.#counts.stale++;
    else if (cache.includes("fwd=request")) this.#counts.forced++;
    else this.#counts.misses++;
  }

  async #exactly(question: Question, headers?: Readonly<Record<string, string>>): Promise<void> {
    const path = pathOf(question);
    const answer = await this.#call(path, headers);
    this.#check(question, answer, [this.#model]);
    if (answer.etag !== undefined) this.#tags.set(path, { etag: answer.etag, text: answer.text });
  }

  /** It is what a run would have answered in one of these states. */
  #check(question: Question, { status, text, cache }: Answer, models: readonly Model[]): void {
    const path = pathOf(question);
    if (status !== 200) throw new Violation(`${path} was answered ${status}: ${text} (${cache})`);
    if (question.kind === "big") {
      if (text.length !== question.bytes) throw new Violation(`${path} was answered with ${text.length} bytes (${cache})`);
      return;
    }
    const right = models.map((model) => model.answer(question));
    if (right.includes(text)) return;
    // A run that reads while others write may see each key at another moment; a record never.
    const isRun = !cache.startsWith("pilotlight; hit") && !cache.includes("; collapsed");
    const lines = right.map((each) => (each ?? "").split("\n"));
    if (isRun && question.kind !== "list" && text.split("\n").every((line, i) => lines.some((each) => each[i] === line))) return;
    throw new Violation(
      `${path} was answered ${JSON.stringify(text)} (${cache}); right was ${right.map((each) => JSON.stringify(each)).join(" or ")}`,
    );
  }

  async #onlyIfCached(question: Question): Promise<void> {
    const answer = await this.#call(pathOf(question), { "cache-control": "only-if-cached" });
    this.#counts.onlyIfCached++;
    if (answer.status !== 504) this.#check(question, answer, [this.#model]);
  }

  async #conditional(question: Question): Promise<void> {
    const path = pathOf(question);
    const tag = this.#tags.get(path);
    if (tag === undefined) return this.#exactly(question);
    const answer = await this.#call(path, { "if-none-match": tag.etag });
    if (answer.status !== 304) return this.#check(question, answer, [this.#model]);
    this.#counts.unmodified++;
    this.#check(question, { ...answer, status: 200, text: tag.text }, [this.#model]);
  }

  async #write(random: Random, value: string | undefined): Promise<void> {
    const [store, key] = [random.chance(0.8) ? "default" : "other", random.pick(KEYS)] as const;
    this.#counts.writes++;
    await this.#subject.write(store, key, value);
    if (!random.chance(this.#forgetful)) this.#model.write(store, key, value);
  }

  async #guestWrite(random: Random): Promise<void> {
    const [key, value] = [random.pick(KEYS), random.pick(VALUES)];
    this.#counts.guestWrites++;
    const answer = await this.#call(`/set?key=${key}&value=${value}&store=default`);
    if (answer.status !== 200) throw new Violation(`a write of the guest's was answered ${answer.status}: ${answer.text}`);
    if (answer.cache.startsWith("pilotlight; hit") || answer.cache.includes("collapsed"))
      throw new Violation("a write was answered from a record");
    this.#model.write("default", key, value);
  }

  /** Equal and other calls at once, and writes among them; then as it must be. */
  async #burst(random: Random): Promise<void> {
    this.#counts.bursts++;
    const models = [this.#model.copy()];
    const question = this.#question(random);
    const asked = Array.from({ length: 3 + random.below(5) }, () => (random.chance(0.7) ? question : this.#question(random)));
    const calls = asked.map(async (each) => this.#call(pathOf(each)));
    for (let i = random.below(3); i > 0; i--) {
      const key = question.kind === "get" && random.chance(0.7) ? random.pick(question.keys) : random.pick(KEYS);
      const [store, value] = [
        "store" in question ? question.store : "default",
        random.chance(0.8) ? random.pick(VALUES) : undefined,
      ] as const;
      await this.#subject.write(store, key, value);
      this.#counts.writes++;
      this.#model.write(store, key, value);
      models.push(this.#model.copy());
    }
    for (const [i, answer] of (await Promise.all(calls)).entries()) this.#check(asked[i] as Question, answer, models);
    await this.#exactly(question);
  }

  /** Something that a run has read changes while it goes on. */
  async #slow(random: Random): Promise<void> {
    const key = random.pick(KEYS);
    const question: Question = { kind: "get", store: "default", keys: [key] };
    const before = this.#model.copy();
    const slow = [1, 2].map(() => this.#call(`${pathOf(question)}&ms=${4 + random.below(8)}`));
    await sleep(random.below(8));
    const value = random.pick(VALUES);
    await this.#subject.write("default", key, value);
    this.#model.write("default", key, value);
    for (const answer of await Promise.all(slow)) this.#check(question, answer, [before, this.#model]);
    await this.#exactly(question);
  }

  async #trap(): Promise<void> {
    this.#counts.traps++;
    const { status } = await this.#call("/trap");
    if (status !== 500) throw new Violation(`a trap was answered ${status}`);
  }

  /** Clients leave, the first of several too; those that stay are answered. */
  async #leave(random: Random): Promise<void> {
    const key = random.pick(KEYS);
    const question: Question = { kind: "get", store: "default", keys: [key] };
    const path = `${pathOf(question)}&ms=6`;
    const leaving = this.#subject.call(path, {}, random.below(8));
    const stays = random.chance(0.5) ? this.#call(path) : undefined;
    this.#mayHaveRun += 2;
    const left = await leaving;
    if (left === "left") this.#counts.left++;
    else this.#check(question, left, [this.#model]);
    if (stays !== undefined) this.#check(question, await stays, [this.#model]);
    await this.#exactly(question);
  }

  async #deploy(random: Random): Promise<void> {
    this.#counts.deploys++;
    // One that there was already, the present one again, or a new one.
    this.#model.version = random.chance(0.3) ? this.#model.version : String(random.below(6));
    await this.#subject.deploy(this.#model.version);
    await this.#exactly({ kind: "config", key: "version" });
  }
}

/** Up to which of 10,000 each kind goes; the rest are calls. */
const KINDS = [
  ["write", 900],
  ["delete", 1100],
  ["guest-write", 1250],
  ["forced", 1400],
  ["only-if-cached", 1550],
  ["conditional", 1950],
  ["burst", 2150],
  ["slow", 2165],
  ["trap", 2180],
  ["leave", 2195],
  ["purge", 2205],
  ["deploy", 2208],
  ["secret", 2210],
  ["call", 10_000],
] as const;
type Kind = (typeof KINDS)[number][0];

async function within<T>(limitMs: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Violation(`${what} is stuck: nothing for ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
