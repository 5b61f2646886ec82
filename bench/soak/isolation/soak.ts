/**
 * The isolation soak itself: two tenants on one node, each beside a node on which it is alone.
 *
 * What a tenant asks goes to both of its nodes, and the answers must be the same: the node where it is alone is the model
 * of what it should see, and whatever the other tenant does, has or changes would make a difference. So a tenant that
 * reads or detects the other's things is found by its own answers, and one that changes them by the other's. At the end of
 * each round both see everything that they have, by their own keys.
 *
 * In half of the rounds the two take turns, in the others both work at once. What must differ between two nodes (ids, key texts, run ids, times, ports) is turned into
 * names first (names.ts); numbers that count changes are not, because a count of everybody's changes tells that somebody else is there.
 * Time is not measured: on a machine that others use it would say little. That the work is the same for what is there and what is not (one hash, one look-up and one
 * comparison for any key; no compiling, reading or writing for what another has) is for the code and its unit tests.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { guestFile } from "../../support/paths.js";
import { Client } from "../support/client.js";
import { Random } from "../support/random.js";
import { Findings, Violation, type Found } from "../support/steps.js";
import { questionsAbout, questionsOfNode, type Route } from "./alike.js";
import { ask, type Asking, type Said } from "./ask.js";
import { follow, type Follower } from "./follow.js";
import { withoutCounters } from "./names.js";
import { forgetEverything, furniture, hostOf, newParty, nextAsking, view, type Party } from "./party.js";
import { Place, type Between } from "./place.js";

export interface IsolationOptions {
  /** Requests of both tenants together; looks at everything come on top. */
  readonly steps: number;
  readonly seed: number;
  /** The share of commands that run as the real program; 0. */
  readonly programs?: number;
  /** How long logs and records of runs may take to be alike, in milliseconds; 5000. */
  readonly patience?: number;
  /** Put between the tenants and the admin plane of the node that they share, for the control. */
  readonly between?: Between;
  readonly progress?: (line: string) => void;
}

export interface IsolationResult {
  readonly requests: number;
  /** Those that were accepted, of these kinds: a soak of refusals would prove little. */
  readonly accepted: Readonly<Record<string, number>>;
  /** Pairs of questions about a name that the other has and one that nobody has. */
  readonly pairs: number;
  /** Routes of the admin API that nothing asked for. */
  readonly unasked: readonly string[];
  readonly seconds: number;
  readonly violations: number;
  readonly found: readonly Found[];
}

const ROUND = 80;

/** A tenant with the node that it shares, and the one that it has for itself. */
interface Side {
  readonly party: Party;
  readonly shared: Place;
  readonly alone: Place;
  readonly client: Client;
}

export async function runIsolation(options: IsolationOptions): Promise<IsolationResult> {
  const { steps, seed, programs = 0, patience = 5000, between, progress = () => {} } = options;
  const folder = mkdtempSync(join(tmpdir(), "pilotlight-isolation-cli-"));
  await using shared = await Place.start("shared", between);
  await using first = await Place.start("first");
  await using second = await Place.start("second");
  const client = new Client(8);
  const sides: [Side, Side] = [
    { party: newParty("acme", "globex", "glodex", folder), shared, alone: first, client },
    { party: newParty("globex", "acme", "acne", folder), shared, alone: second, client },
  ];
  for (const { party, alone } of sides) for (const place of [shared, alone]) await place.admit(party.name, { hosts: [hostOf(party.name)] });
  const routes = await routesOf(first, client);
  const check = new Check(patience);
  const begin = performance.now();
  let pairs = 0;
  for (const side of sides)
    for (const asking of [...furniture(side.party), ...questionsOfNode(side.party, routes)]) await check.step(side, 0, asking);
  for (let n = 0; n < steps; n += ROUND) {
    const random = new Random(seed, n);
    const count = Math.min(ROUND, steps - n);
    const step = (side: Side, i: number): Promise<void> =>
      check.step(side, n + i, nextAsking(side.party, new Random(seed, n + i), programs));
    const logs = await Promise.all(sides.map((side) => followBoth(side)));
    if (random.chance(0.5)) for (let i = 0; i < count; i++) await step(new Random(seed, n + i + 0.5).pick(sides), i);
    else {
      const half = count >> 1;
      await Promise.all(
        sides.map(async (side, s) => {
          for (let i = s * half; i < (s === 0 ? half : count); i++) await step(side, i);
        }),
      );
    }
    for (const log of logs) await check.followed(log, n + count - 1);
    for (const side of sides) for (const look of view(side.party)) await check.step(side, n + count - 1, look);
    const [asker] = random.chance(0.5) ? sides : [sides[1]];
    pairs += await check.alike(asker, n + count - 1, routes, random);
    if (n > 0 && n % (ROUND * 10) === 0) progress(`${n} of ${steps} requests, ${check.findings.count} violations`);
  }
  check.log(shared, steps);
  const seconds = (performance.now() - begin) / 1000;
  client.close();
  rmSync(folder, { recursive: true, force: true });
  const { findings, accepted } = check;
  const unasked = routes
    .filter((route) => !check.asked.some((line) => matches(route, line)))
    .map(({ method, path }) => `${method} ${path}`);
  return {
    requests: steps,
    accepted: Object.fromEntries(accepted),
    pairs,
    unasked,
    seconds,
    violations: findings.count,
    found: findings.found,
  };
}

/** The logs of a tenant from now on, on both of its nodes. */
interface Logs {
  readonly party: Party;
  /** Which tenant of that name it is: the operator may make it anew meanwhile. */
  readonly life: number;
  readonly here: Follower;
  readonly there: Follower;
}

async function followBoth({ party, shared, alone }: Side): Promise<Logs> {
  const [here, there] = await Promise.all([follow(shared, party.name), follow(alone, party.name)]);
  return { party, life: party.life, here, there };
}

class Check {
  readonly #patience: number;
  readonly findings = new Findings();
  readonly accepted = new Map<string, number>();
  /** `METHOD /path` of what was asked of the admin plane. */
  readonly #asked = new Set<string>();
  /** Places where a counter told of somebody else; each is reported once. */
  readonly #counters = new Set<string>();

  constructor(patience: number) {
    this.#patience = patience;
  }

  get asked(): readonly string[] {
    return [...this.#asked];
  }

  /** Asks both nodes of a tenant the same. */
  async step(side: Side, n: number, asking: Asking): Promise<void> {
    const { party, shared, alone, client } = side;
    this.#note(asking);
    try {
      const both = (): Promise<[Said, Said]> => Promise.all([ask(shared, client, asking), ask(alone, client, asking)]);
      let [here, there] = await both();
      const limit = performance.now() + this.#patience;
      while (asking.late === true && masked(shared, here) !== masked(alone, there) && performance.now() < limit) {
        await sleep(20);
        [here, there] = await both();
      }
      if (isAccepted(here)) this.accepted.set(kindOf(asking), (this.accepted.get(kindOf(asking)) ?? 0) + 1);
      this.#same(party, asking, masked(shared, here), masked(alone, there));
      if (asking.kind !== "operator" || asking.settings !== null) return;
      forgetEverything(party);
      for (const first of furniture(party)) await this.step(side, n, first);
    } catch (error) {
      this.findings.add(
        n,
        `${party.name}, ${asking.about}`,
        error instanceof Violation ? new Violation(`${told(asking)}\n${error.message}`) : error,
      );
    }
  }

  #note(asking: Asking): void {
    if (asking.kind === "http" && asking.plane === "admin") this.#asked.add(`${asking.method} ${asking.path.split("?")[0]}`);
  }

  #same(party: Party, asking: Asking, here: string, there: string): void {
    for (const mark of marksIn(told(asking), party.other)) party.said.add(mark);
    const marks = marksIn(here, party.other).filter((mark) => !party.said.has(mark));
    if (marks.length > 0) throw new Violation(`the answer holds ${marks.join(", ")}, which ${party.other} alone has`);
    if (here === there) return;
    const [a, b] = [withoutCounters(here), withoutCounters(there)];
    if (a !== b) throw new Violation(`beside ${party.other} the answer is another than alone: ${difference(a, b)}`);
    if (this.#counters.has(asking.about)) return;
    this.#counters.add(asking.about);
    throw new Violation(`a counter tells of what ${party.other} does: ${difference(here, there)}`);
  }

  /** What both followers were told, once it is the same. Where a tenant went meanwhile, the last lines are a matter of chance. */
  async followed({ party, life, here, there }: Logs, n: number): Promise<void> {
    const limit = performance.now() + this.#patience;
    while (life === party.life && here.text() !== there.text() && performance.now() < limit) await sleep(20);
    try {
      const command = { kind: "cli", about: "following of logs", key: `${party.name}:k0`, args: ["logs", "-f"], cwd: "." } as const;
      if (life === party.life) this.#same(party, command, here.text(), there.text());
    } catch (error) {
      this.findings.add(n, `${party.name}, following of logs`, error);
    }
    here.close();
    there.close();
  }

  /** Asks the shared node about the other tenant, and about one that does not exist. */
  async alike({ party, shared, client }: Side, n: number, routes: readonly Route[], random: Random): Promise<number> {
    const component = readFileSync(guestFile("hello-p2"));
    const about = (name: string): ReturnType<typeof questionsAbout> => questionsAbout(name, party, routes, component);
    const [real, unreal] = [about(party.other), about(party.nobody)];
    // All of them now and then, some of them always.
    const share = random.chance(0.2) ? 1 : 0.2;
    let pairs = 0;
    for (const [i, question] of real.entries()) {
      if (!random.chance(share)) continue;
      pairs++;
      this.#note(question);
      try {
        const [here, there] = await Promise.all([ask(shared, client, question), ask(shared, client, unreal[i] as Asking)]);
        const [a, b] = [masked(shared, here).replaceAll(party.other, "NAME"), masked(shared, there).replaceAll(party.nobody, "NAME")];
        if (a !== b)
          throw new Violation(
            `${told(question)}\nis answered differently for ${party.other} than for ${party.nobody}, which does not exist: ${difference(a, b)}`,
          );
        if (isAccepted(here)) throw new Violation(`${told(question)}\nwas accepted: ${here.text}`);
      } catch (error) {
        this.findings.add(n, `${party.name}, ${question.about}`, error);
      }
    }
    return pairs;
  }

  /** No secret is in the node's own log. */
  log(place: Place, n: number): void {
    const secret = /\w+-secret-\d+/.exec(place.log())?.[0];
    if (secret !== undefined) this.findings.add(n, "the log", new Violation(`the node's log holds the secret ${secret}`));
  }
}

function masked({ names }: Place, { text }: Said): string {
  return names.mask(text);
}

/** Done, or handed to a guest, whatever that made of it. */
function isAccepted({ status, text }: Said): boolean {
  return status === 0 ? !/^exit [^0]/.test(text) : !text.includes("application/problem+json");
}

function kindOf(asking: Asking): string {
  return asking.kind === "http" ? asking.plane : asking.kind;
}

/** Names and values of this tenant alone: they all begin with its name. */
function marksIn(text: string, tenant: string): string[] {
  const found = text.match(new RegExp(`${tenant}(\\.example|[\\w-]*)`, "gi")) ?? [];
  return [...new Set(found.map((mark) => mark.toLowerCase()))];
}

function told(asking: Asking): string {
  switch (asking.kind) {
    case "http":
      return `${asking.method} ${asking.path} (${asking.plane}, key ${asking.key ?? "none"}, ${JSON.stringify(asking.headers ?? {})}) ${bodyText(asking.body)}`;
    case "cli":
      return `pilotlight ${asking.args.join(" ")} (key ${asking.key ?? "none"})`;
    case "operator":
      return `the operator sets ${JSON.stringify(asking.settings)}`;
  }
}

function bodyText(body: string | Buffer | undefined): string {
  if (body === undefined || typeof body === "string") return body ?? "";
  return /\{[^\r]*\}/.exec(body.toString("latin1", 0, 2000))?.[0] ?? "";
}

/** The first lines that differ, with their place. */
function difference(here: string, there: string): string {
  const [left, right] = [here.split("\n"), there.split("\n")];
  const at = left.findIndex((line, i) => line !== right[i]);
  const [a, b] = [left[at] ?? "", right[at] ?? ""];
  const from = Math.max(0, Array.from(a).findIndex((char, i) => char !== b[i]) - 80);
  const status = left[0] === right[0] ? `in an answer ${left[0]}` : `${left[0]} instead of ${right[0]}`;
  return `${status}\n  ${a.slice(from, from + 300)}\n  ${b.slice(from, from + 300)}`;
}

async function routesOf(place: Place, client: Client): Promise<Route[]> {
  const answer = await client.ask(place.adminPort, { path: "/openapi.json" });
  const { paths } = JSON.parse(answer.body.toString()) as { paths: Record<string, Record<string, unknown>> };
  return Object.entries(paths)
    .filter(([path]) => path.startsWith("/v1/"))
    .flatMap(([path, methods]) => Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path })));
}

function matches({ method, path }: Route, line: string): boolean {
  return new RegExp(`^${method} ${path.replace(/\{\w+\}/g, "[^/]+")}$`).test(line);
}
