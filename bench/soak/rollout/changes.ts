/** What is done to the tasks while the load goes on, through the admin API alone; and what the alias must lead to then. */
import { setTimeout as sleep } from "node:timers/promises";
import { uploadOf, type Admin, type AdminAnswer, type AdminRequest } from "../support/admin.js";
import { numbered, numberIn } from "../support/numbered.js";
import type { Random } from "../support/random.js";
import { Violation } from "../support/steps.js";
import type { Era } from "./judge.js";
import { USER_HEADER } from "./load.js";

/** The task under load, and the one that comes and goes beside it. */
export const TASK = "rollout";
export const BESIDE = "beside";
const TASKS = "/tenants/default/tasks";
const SECRET = "TOKEN";

interface Led {
  /** Labels and weights. */
  readonly targets: Readonly<Record<string, number>>;
  readonly sticky: boolean;
}

/** Weights that are tried; the first is the one of the manual. */
const WEIGHTS: readonly (readonly number[])[] = [
  [90, 10],
  [50, 50],
  [1, 3],
  [70, 20, 10],
];
/** How long an alias that leads to one version stays at most. */
const SETTLE_MS = 250;

/** The task under load. One change at a time; each is an era. */
export class LoadedTask {
  readonly eras: Era[] = [];
  readonly counts = new Map<string, number>();
  readonly #admin: Admin;
  readonly #random: Random;
  readonly #splitMs: number;
  /** The number that each version there is answers with. */
  readonly #versions = new Map<string, number>();
  #led: Led = { targets: {}, sticky: false };
  #previous: Led | undefined;
  #number = 0;

  /** `splitMs`: how long an alias that leads to several versions stays, so that their answers can be counted. */
  constructor(admin: Admin, random: Random, splitMs: number) {
    this.#admin = admin;
    this.#random = random;
    this.#splitMs = splitMs;
  }

  /** The versions that the alias leads to. */
  get live(): readonly string[] {
    return Object.keys(this.#led.targets);
  }

  readonly kinds: Readonly<Record<string, () => Promise<void>>> = {
    deploy: () => this.deploy(),
    split: () => this.#split(false),
    rollback: () => this.#rollback(),
    "deploy again": () => this.#deployAgain(),
    sticky: () => this.#split(true),
    "roll back to": () => this.#rollbackTo(),
    delete: () => this.#deleteVersion(),
    secret: () => this.setSecret(),
  };

  /** One change, and the time it is given to show. */
  async change(kind: string): Promise<void> {
    await (this.kinds[kind] as () => Promise<void>)();
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    await sleep(this.live.length > 1 ? this.#splitMs : this.#random.below(SETTLE_MS));
  }

  /** A new version, and the alias to it. Its secret must have been set. */
  async deploy(): Promise<void> {
    const number = this.#number++;
    await this.#move(
      `deploy of ${number}`,
      async () => {
        const label = await this.#upload(number, "live", 201);
        return { targets: { [label]: 1 }, sticky: false };
      },
      new Map([[number, 1]]),
    );
  }

  /** A new value of the secret that every version asks for: those that are live are linked again, and stay live. */
  async setSecret(): Promise<void> {
    await this.#expect(200, "PUT", `/tenants/default/secrets/${SECRET}`, { json: { value: `value ${this.#random.below(1e9)}` } });
  }

  /** The bytes and manifest of an older version: the same version. */
  async #deployAgain(): Promise<void> {
    const [label, number] = await this.#otherVersion();
    await this.#move(`deploy of ${number} again`, async () => {
      const answered = await this.#upload(number, "live", 200);
      if (answered !== label) throw new Violation(`${number} deployed again is ${answered}, and was ${label}`);
      return { targets: { [label]: 1 }, sticky: false };
    });
  }

  async #split(sticky: boolean): Promise<void> {
    const weights = this.counts.has(sticky ? "sticky" : "split") ? this.#random.pick(WEIGHTS) : (WEIGHTS[0] as readonly number[]);
    while (this.#versions.size < weights.length) await this.#upload(this.#number++, "", 201);
    // Those at the end are the newest.
    const labels = [...this.#versions.keys()].slice(-weights.length);
    const targets = Object.fromEntries(labels.map((label, i) => [label, weights[i] as number]));
    await this.#move(`${sticky ? "sticky " : ""}weights ${JSON.stringify(targets)}`, async () => {
      await this.#expect(200, "PUT", `${TASKS}/${TASK}/aliases/live`, { json: { targets, ...(sticky ? { sticky: USER_HEADER } : {}) } });
      return { targets, sticky };
    });
  }

  /** Where it was before, or to a version where that is gone. */
  async #rollback(): Promise<void> {
    const to = this.#previous;
    if (to === undefined || Object.keys(to.targets).some((label) => !this.#versions.has(label))) return this.#rollbackTo();
    await this.#move(`rollback to ${JSON.stringify(to.targets)}`, async () => {
      await this.#expect(200, "POST", `${TASKS}/${TASK}/aliases/live/rollback`);
      return to;
    });
  }

  async #rollbackTo(): Promise<void> {
    const [label, number] = await this.#otherVersion();
    await this.#move(`rollback to ${label} (${number})`, async () => {
      await this.#expect(200, "POST", `${TASKS}/${TASK}/aliases/live/rollback`, { json: { to: label } });
      return { targets: { [label]: 1 }, sticky: false };
    });
  }

  /** One that nothing leads to goes; one that the alias leads to stays. */
  async #deleteVersion(): Promise<void> {
    const [label] = await this.#otherVersion();
    await this.#expect(409, "DELETE", `${TASKS}/${TASK}/versions/${this.#random.pick(this.live)}`);
    await this.#expect(204, "DELETE", `${TASKS}/${TASK}/versions/${label}`);
    this.#versions.delete(label);
    await this.#expect(404, "GET", `${TASKS}/${TASK}/versions/${label}`);
  }

  /** A version that the alias does not lead to; one is made if there is none. */
  async #otherVersion(): Promise<readonly [string, number]> {
    const isOther = ([label]: readonly [string, number]): boolean => !this.live.includes(label);
    if (![...this.#versions].some(isOther)) await this.#upload(this.#number++, "", 201);
    return this.#random.pick([...this.#versions].filter(isOther));
  }

  /** `numbers` where they are not known by label yet. */
  async #move(what: string, work: () => Promise<Led>, numbers?: ReadonlyMap<number, number>): Promise<void> {
    const asked = performance.now();
    const to = await work();
    const answered = performance.now();
    const targets = numbers ?? new Map(Object.entries(to.targets).map(([label, weight]) => [this.#versions.get(label) as number, weight]));
    this.eras.push({ what, targets, sticky: to.sticky, asked, answered });
    if (JSON.stringify(to) !== JSON.stringify(this.#led)) this.#previous = this.live.length === 0 ? undefined : this.#led;
    this.#led = to;
  }

  async #upload(number: number, alias: string, status: number): Promise<string> {
    const { json } = await this.#expect(
      status,
      "POST",
      `${TASKS}/${TASK}/versions`,
      uploadOf({ name: TASK, secrets: [SECRET] }, numbered(number), alias),
    );
    const label = (json as { readonly version: string }).version;
    this.#versions.set(label, number);
    return label;
  }

  #expect(status: number, method: string, path: string, body?: AdminRequest): Promise<AdminAnswer> {
    return expectStatus(this.#admin, status, method, path, body);
  }
}

/** A task that is deployed, asked, deleted and asked again, until `isOver`. Gives how often. */
export async function comeAndGo(admin: Admin, data: string, random: Random, isOver: () => boolean): Promise<number> {
  let rounds = 0;
  for (let number = 1; !isOver(); number++, rounds++) {
    await expectStatus(admin, 201, "POST", `${TASKS}/${BESIDE}/versions`, uploadOf({ name: BESIDE }, numbered(number)));
    await expectBeside(data, 200, number);
    await sleep(random.below(SETTLE_MS));
    await expectBeside(data, 200, number);
    await expectStatus(admin, 204, "DELETE", `${TASKS}/${BESIDE}`);
    await expectBeside(data, 404, undefined);
    await sleep(random.below(SETTLE_MS));
  }
  return rounds;
}

async function expectBeside(data: string, status: number, number: number | undefined): Promise<void> {
  const answer = await fetch(`${data}/${BESIDE}`);
  const text = await answer.text();
  if (answer.status !== status || numberIn(text) !== number)
    throw new Violation(`the task ${BESIDE} should answer ${status} with ${number}, and answered ${answer.status} ${text.slice(0, 300)}`);
}

async function expectStatus(admin: Admin, status: number, method: string, path: string, body?: AdminRequest): Promise<AdminAnswer> {
  const answer = await admin(method, path, body);
  if (answer.status === status) return answer;
  throw new Violation(`${method} ${path} should be answered ${status}, and was ${answer.status}: ${answer.bytes.toString().slice(0, 600)}`);
}
