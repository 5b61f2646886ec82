/** A task under the kill soak: deploys, aliases with one version and several, rollbacks, deletes. */
import { digestOf } from "../../../../src/artefacts/components.js";
import { everyItem, uploadOf } from "../../support/admin.js";
import { numbered, numberIn } from "../../support/numbered.js";
import type { Random } from "../../support/random.js";
import { Violation } from "../../support/steps.js";
import { expectStatus, Known, type Part, type Reached, type Tally } from "./part.js";

interface Led {
  readonly targets: Readonly<Record<string, number>>;
  readonly sticky?: string;
}

interface Alias extends Led {
  readonly previous?: Led;
}

interface Task {
  /** Numbers by label. */
  readonly versions: Readonly<Record<string, number>>;
  readonly last: number;
  readonly aliases: Readonly<Record<string, Alias>>;
}

/** Few, so that tasks share components, and that a component goes out of use and comes again. */
const NUMBERS = 12;
const MOST_VERSIONS = 6;
const REQUESTS = 6;

const digests = new Map<number, string>();

export class TaskPart implements Part {
  readonly #tenant: string;
  readonly #name: string;
  readonly #path: string;
  readonly #known: Known<Task | null>;

  constructor(tenant: string, name: string, tally: Tally) {
    this.#tenant = tenant;
    this.#name = name;
    this.#path = `/tenants/${tenant}/tasks/${name}`;
    this.#known = new Known<Task | null>(`the task ${name} of ${tenant}`, tally, null);
  }

  async prepare({ admin }: Reached): Promise<void> {
    if (this.#tenant !== "default") await expectStatus(admin, [201, 409], "POST", "/tenants", { json: { name: this.#tenant } });
  }

  async change({ admin }: Reached, random: Random): Promise<void> {
    const task = this.#known.value;
    const path = this.#path;
    if (task === null || Object.keys(task.versions).length === 0 || random.chance(0.35))
      return this.#deploy(admin, task, random, random.pick(["live", "live", "live", "canary", ""]));
    const labels = Object.keys(task.versions);
    const unused = labels.filter((label) => !Object.values(task.aliases).some(({ targets }) => Object.hasOwn(targets, label)));
    const alias = random.pick(Object.keys(task.aliases).length === 0 ? ["live"] : Object.keys(task.aliases));
    const kind = random.below(10);
    if (labels.length > MOST_VERSIONS || (kind < 2 && unused.length > 0)) {
      if (unused.length === 0) return this.#lead(admin, task, "live", { targets: { [random.pick(labels)]: 1 } });
      const label = random.pick(unused);
      const { [label]: _, ...versions } = task.versions;
      return this.#known.change({ ...task, versions }, () => expectStatus(admin, [204], "DELETE", `${path}/versions/${label}`));
    }
    if (kind === 2) return this.#known.change(null, () => expectStatus(admin, [204], "DELETE", path));
    if (kind === 3 && Object.hasOwn(task.aliases, "canary")) {
      const { canary: _, ...aliases } = task.aliases;
      return this.#known.change({ ...task, aliases }, () => expectStatus(admin, [204], "DELETE", `${path}/aliases/canary`));
    }
    const back = task.aliases[alias]?.previous;
    if (kind < 6 && back !== undefined && Object.keys(back.targets).every((label) => Object.hasOwn(task.versions, label))) {
      const work = (): Promise<unknown> => expectStatus(admin, [200], "POST", `${path}/aliases/${alias}/rollback`);
      return this.#known.change(led(task, alias, back), work);
    }
    const targets = Object.fromEntries(labels.filter(() => random.chance(0.4)).map((label) => [label, 1 + random.below(99)]));
    const to = Object.keys(targets).length === 0 ? { [random.pick(labels)]: 1 } : targets;
    return this.#lead(admin, task, alias, { targets: to, ...(random.chance(0.3) ? { sticky: "x-user" } : {}) });
  }

  async check({ admin, data }: Reached): Promise<void> {
    this.#known.settle(await this.#found(admin), shown);
    const task = this.#known.value;
    const url = `${data}${this.#tenant === "default" ? "" : `/~${this.#tenant}`}/${this.#name}`;
    const live = task?.aliases["live"];
    const numbers = Object.keys(live?.targets ?? {}).map((label) => task?.versions[label]);
    for (let i = 0; i < (numbers.length > 1 ? REQUESTS : 1); i++) {
      const answer = await fetch(url);
      const text = await answer.text();
      const isRight = live === undefined ? answer.status === 404 : answer.status === 200 && numbers.includes(numberIn(text));
      if (isRight) continue;
      const wanted = live === undefined ? "404" : `200 with ${numbers.join(" or ")}`;
      throw new Violation(`${url} should be answered ${wanted}, and was ${answer.status}: ${text.slice(0, 300)}`);
    }
  }

  /** As `shown` gives it. */
  async #found(admin: Reached["admin"]): Promise<unknown> {
    const answer = await expectStatus(admin, [200, 404], "GET", this.#path);
    if (answer.status === 404) return null;
    const { aliases } = answer.json as { readonly aliases: readonly (Led & { readonly name: string; readonly previous?: Led })[] };
    const versions = await everyItem<{ readonly version: string; readonly digest: string }>(admin, `${this.#path}/versions`);
    return {
      versions: Object.fromEntries(versions.map(({ version, digest }) => [version, digest])),
      aliases: Object.fromEntries(aliases.map(({ name, targets, sticky, previous }) => [name, aliasOf({ targets, sticky }, previous)])),
    };
  }

  async #deploy(admin: Reached["admin"], before: Task | null, random: Random, alias: string): Promise<void> {
    const number = random.below(NUMBERS);
    const task = before ?? { versions: {}, last: 0, aliases: {} };
    const same = Object.keys(task.versions).find((label) => task.versions[label] === number);
    const label = same ?? `v${task.last + 1}`;
    const added = same === undefined ? { ...task, last: task.last + 1, versions: { ...task.versions, [label]: number } } : task;
    const leads = alias === "" || (same !== undefined && Object.keys(task.aliases[alias]?.targets ?? {}).join() === label);
    const to = leads ? added : led(added, alias, { targets: { [label]: 1 } });
    await this.#known.change(to, async () => {
      const status = same === undefined ? 201 : 200;
      const { json } = await expectStatus(
        admin,
        [status],
        "POST",
        `${this.#path}/versions`,
        uploadOf({ name: this.#name }, numbered(number), alias),
      );
      const { version } = json as { readonly version: string };
      if (version !== label) throw new Violation(`${this.#path}: the deploy of ${number} should be ${label}, and is ${version}`);
    });
  }

  #lead(admin: Reached["admin"], task: Task, alias: string, to: Led): Promise<void> {
    const now = task.aliases[alias];
    const same = now !== undefined && JSON.stringify(shownLed(now)) === JSON.stringify(shownLed(to));
    const work = (): Promise<unknown> => expectStatus(admin, [200], "PUT", `${this.#path}/aliases/${alias}`, { json: to });
    return this.#known.change(same ? task : led(task, alias, to), work);
  }
}

/** The digest of the component that answers with the number. */
function digestOfNumber(number: number): string {
  let digest = digests.get(number);
  if (digest === undefined) digests.set(number, (digest = digestOf(numbered(number))));
  return digest;
}

function led(task: Task, alias: string, { targets, sticky }: Led): Task {
  const previous = task.aliases[alias];
  return { ...task, aliases: { ...task.aliases, [alias]: aliasOf({ targets, sticky }, previous) } };
}

function aliasOf(to: { readonly targets: Led["targets"]; readonly sticky?: string | undefined }, previous: Led | undefined): Alias {
  return { ...shownLed(to), ...(previous === undefined ? {} : { previous: shownLed(previous) }) };
}

/** Without what is undefined, and targets in the order of their labels. */
function shownLed({ targets, sticky }: { readonly targets: Led["targets"]; readonly sticky?: string | undefined }): Led {
  const sorted = Object.fromEntries(Object.entries(targets).sort(([a], [b]) => (a < b ? -1 : 1)));
  return { targets: sorted, ...(sticky === undefined ? {} : { sticky }) };
}

function shown(task: Task | null): unknown {
  if (task === null) return null;
  const versions = Object.fromEntries(Object.entries(task.versions).map(([label, number]) => [label, digestOfNumber(number)]));
  return { versions, aliases: task.aliases };
}
