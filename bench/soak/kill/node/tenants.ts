/** A tenant under the kill soak that comes and goes with its terms, keys, secrets and data; nothing of it is left for the next of its name. */
import type { StateStore } from "../../../../src/state/store.js";
import { Secrets } from "../../../../src/tenants/secrets.js";
import { everyItem, type Admin } from "../../support/admin.js";
import type { Random } from "../../support/random.js";
import { Violation } from "../../support/steps.js";
import { expectStatus, Known, Tally, type Part, type Reached } from "./part.js";

interface Terms {
  /** The quota `tasks`. */
  readonly tasks: number;
  readonly keys: number;
  /** Names of its secrets. */
  readonly secrets: readonly string[];
  readonly hasEntry: boolean;
}

interface HeldKey {
  readonly id: string;
  readonly text: string;
}

const SECRETS = ["TOKEN", "PASSWORD"];
const ENTRY = "stores/mine/entries/mark";

export class TenantPart implements Part {
  readonly #name: string;
  readonly #path: string;
  readonly #withStores: boolean;
  readonly #known: Known<Terms | null>;
  /** Values of secrets, while the tenant has them. */
  readonly #values = new Map<string, Known<string | null>>();
  /** Texts of keys that hold, and of the last that do not any more, with their ids. */
  #holding: HeldKey[] = [];
  #gone: string[] = [];
  #number = 0;

  /** `withStores`: gives it data in a store, too. */
  constructor(name: string, tally: Tally, withStores = true) {
    this.#name = name;
    this.#path = `/tenants/${name}`;
    this.#withStores = withStores;
    this.#known = new Known<Terms | null>(`the tenant ${name}`, tally, null);
    this.#forgetSecrets();
  }

  async change({ admin }: Reached, random: Random): Promise<void> {
    const terms = this.#known.value;
    if (terms === null) return this.#create(admin, random);
    const kind = random.below(12);
    if (kind === 0) return this.#delete(admin);
    if (kind < 3) {
      const tasks = 1 + random.below(1000);
      return this.#known.change({ ...terms, tasks }, () =>
        expectStatus(admin, [200], "PATCH", this.#path, { json: { quotas: { tasks } } }),
      );
    }
    if (kind < 5) return this.#known.change({ ...terms, keys: terms.keys + 1 }, () => this.#issue(admin));
    const key = this.#holding[0];
    if (kind < 7 && key !== undefined) {
      await this.#known.change({ ...terms, keys: terms.keys - 1 }, () =>
        expectStatus(admin, [204], "DELETE", `${this.#path}/keys/${key.id}`),
      );
      this.#holding.shift();
      this.#gone = [...this.#gone.slice(-4), key.text];
      return undefined;
    }
    if (kind === 7 && this.#withStores) {
      return this.#known.change({ ...terms, hasEntry: true }, () =>
        expectStatus(admin, [204], "PUT", `${this.#path}/${ENTRY}`, { bytes: Buffer.from(this.#name) }),
      );
    }
    const secret = random.pick(SECRETS);
    const others = terms.secrets.filter((name) => name !== secret);
    const value = this.#values.get(secret) as Known<string | null>;
    if (kind === 8 && terms.secrets.includes(secret)) {
      return value.change(null, () =>
        this.#known.change({ ...terms, secrets: others }, () => expectStatus(admin, [204], "DELETE", `${this.#path}/secrets/${secret}`)),
      );
    }
    const text = `${secret} ${this.#name} ${this.#number++} ${random.bytes(random.below(2000)).toString("hex")}`;
    return value.change(text, () =>
      this.#known.change({ ...terms, secrets: [...others, secret].sort() }, () =>
        expectStatus(admin, [200], "PUT", `${this.#path}/secrets/${secret}`, { json: { value: text } }),
      ),
    );
  }

  async check({ admin, withKey }: Reached): Promise<void> {
    this.#known.settle(await this.#found(admin));
    if (this.#known.value === null) {
      this.#gone = [...this.#gone, ...this.#holding.map(({ text }) => text)].slice(-5);
      this.#holding = [];
    }
    const holding: HeldKey[] = [];
    for (const key of this.#holding) {
      // The first may be one whose revocation was not answered; how many there are has been looked at.
      const { status } = await withKey(key.text)("GET", "/whoami");
      if (status === 200) holding.push(key);
      else if (key !== this.#holding[0]) throw new Violation(`the key ${key.id} of ${this.#name} should hold, and is answered ${status}`);
    }
    this.#holding = holding;
    const most = this.#known.value?.keys ?? 0;
    if (holding.length > most) throw new Violation(`${holding.length} keys of ${this.#name} hold, and ${most} are listed`);
    for (const text of this.#gone) {
      const { status } = await withKey(text)("GET", "/whoami");
      if (status !== 401) throw new Violation(`a key of ${this.#name} that was revoked is answered ${status}`);
    }
  }

  checkFolder(folder: string, state: StateStore): void {
    const secrets = Secrets.open(state, () => 0, folder);
    for (const [name, value] of this.#values) {
      const found = secrets.reveal(this.#name, name) ?? null;
      if (this.#known.value !== null) value.settle(found);
    }
    const names = secrets.names(this.#name).join();
    const expected = (this.#known.value?.secrets ?? []).join();
    if (names !== expected) throw new Violation(`the secrets of ${this.#name} that open are ${names}; they should be ${expected}`);
    if (this.#known.value === null) this.#forgetSecrets();
  }

  async #create(admin: Admin, random: Random): Promise<void> {
    const tasks = 1 + random.below(1000);
    const fresh: Terms = { tasks, keys: 0, secrets: [], hasEntry: false };
    await this.#known.change(fresh, () =>
      expectStatus(admin, [201], "POST", "/tenants", { json: { name: this.#name, quotas: { tasks } } }),
    );
  }

  /** They go with the tenant. Their values are looked at apart from the rest, and are no changes of their own. */
  #forgetSecrets(): void {
    for (const secret of SECRETS)
      this.#values.set(secret, new Known<string | null>(`the secret ${secret} of ${this.#name}`, new Tally(), null));
  }

  async #delete(admin: Admin): Promise<void> {
    await this.#known.change(null, () => expectStatus(admin, [204], "DELETE", this.#path));
    this.#forgetSecrets();
    this.#gone = [...this.#gone, ...this.#holding.map(({ text }) => text)].slice(-5);
    this.#holding = [];
  }

  async #issue(admin: Admin): Promise<void> {
    const { json } = await expectStatus(admin, [201], "POST", `${this.#path}/keys`, { json: { scopes: ["read"] } });
    const { key, text } = json as { readonly key: { readonly id: string }; readonly text: string };
    this.#holding.push({ id: key.id, text });
  }

  async #found(admin: Admin): Promise<Terms | null> {
    const answer = await expectStatus(admin, [200, 404], "GET", this.#path);
    if (answer.status === 404) return null;
    const { quotas } = answer.json as { readonly quotas: { readonly tasks: number } };
    const keys = await everyItem(admin, `${this.#path}/keys`);
    const secrets = await everyItem<{ readonly name: string }>(admin, `${this.#path}/secrets`);
    const tasks = await everyItem(admin, `${this.#path}/tasks`);
    if (tasks.length > 0) throw new Violation(`the tenant ${this.#name} has tasks, and never had any`);
    const entry = await expectStatus(admin, [200, 404], "GET", `${this.#path}/${ENTRY}`);
    return { tasks: quotas.tasks, keys: keys.length, secrets: secrets.map(({ name }) => name), hasEntry: entry.status === 200 };
  }
}
