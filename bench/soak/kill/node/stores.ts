/** Stores under the kill soak: written through the admin API, and by a guest. */
import { readFileSync } from "node:fs";
import { digestOf } from "../../../../src/artefacts/components.js";
import { guestFile } from "../../../support/paths.js";
import { everyItem, uploadOf } from "../../support/admin.js";
import { Random } from "../../support/random.js";
import { Violation } from "../../support/steps.js";
import { expectStatus, Known, type Part, type Reached, type Tally } from "./part.js";

/** Names that people give keys. */
const KEYS = ["plain", "a/b", "ä ö", "k%2Fx", "?&=#", "z".repeat(200)];
const MOST_BYTES = 40_000;
const DELETES = 0.2;
/** What a key holds is told by a number; null: it is not there. */
type Held = Known<number | null>;

/** Keys of one store, written and deleted through the admin API. */
export class StorePart implements Part {
  readonly #path: string;
  readonly #held: ReadonlyMap<string, Held>;
  #number = 0;

  constructor(store: string, tally: Tally) {
    this.#path = `/tenants/default/stores/${store}/entries`;
    this.#held = new Map(KEYS.map((key) => [key, new Known<number | null>(`the key ${key} of the store ${store}`, tally, null)]));
  }

  async change({ admin }: Reached, random: Random): Promise<void> {
    const [key, held] = random.pick([...this.#held]);
    const path = `${this.#path}/${encodeURIComponent(key)}`;
    if (held.value !== null && random.chance(DELETES)) return held.change(null, () => expectStatus(admin, [204], "DELETE", path));
    const number = this.#number++;
    return held.change(number, () => expectStatus(admin, [204], "PUT", path, { bytes: valueOf(number) }));
  }

  async check({ admin }: Reached): Promise<void> {
    for (const [key, held] of this.#held) {
      const { status, bytes } = await expectStatus(admin, [200, 404], "GET", `${this.#path}/${encodeURIComponent(key)}`);
      held.settle(status === 404 ? null : printOf(bytes), (number) => (number === null ? null : printOf(valueOf(number))));
    }
    const listed = (await everyItem<{ readonly key: string }>(admin, this.#path)).map(({ key }) => key).sort();
    const expected = [...this.#held].flatMap(([key, { value }]) => (value === null ? [] : [key])).sort();
    if (listed.join("\n") !== expected.join("\n"))
      throw new Violation(`${this.#path} lists ${listed.join()}; there should be ${expected.join()}`);
  }
}

/** Some keys that a guest sets to one value in one batch: all of them, or none. */
export class GuestStorePart implements Part {
  readonly #keys = ["g0", "g1", "g2", "g3"];
  readonly #known: Known<number | null>;
  #number = 0;

  constructor(tally: Tally) {
    this.#known = new Known<number | null>("what a guest wrote into its store", tally, null);
  }

  async prepare({ admin }: Reached): Promise<void> {
    const manifest = { name: "writer", routes: ["/set-many"], stores: ["written"] };
    const upload = uploadOf(manifest, readFileSync(guestFile("kv-draft2")));
    await expectStatus(admin, [200, 201], "POST", "/tenants/default/tasks/writer/versions", upload);
  }

  async change({ data }: Reached): Promise<void> {
    const number = this.#number++;
    await this.#known.change(number, async () => {
      const pairs = this.#keys.map((key) => `${key}:value-${number}`).join();
      const answer = await fetch(`${data}/set-many?store=written&pairs=${pairs}`);
      const text = await answer.text();
      if (answer.status !== 200 || text !== "set")
        throw new Violation(`the guest should have answered 200 set, and answered ${answer.status} ${text.slice(0, 300)}`);
    });
  }

  async check({ admin }: Reached): Promise<void> {
    const found: (string | null)[] = [];
    for (const key of this.#keys) {
      const { status, bytes } = await expectStatus(admin, [200, 404], "GET", `/tenants/default/stores/written/entries/${key}`);
      found.push(status === 404 ? null : bytes.toString());
    }
    this.#known.settle(found, (number) => this.#keys.map(() => (number === null ? null : `value-${number}`)));
  }
}

function printOf(value: Buffer): string {
  return `${value.length} bytes with the hash ${digestOf(value)}`;
}

/** Of a length and with bytes of its own. */
function valueOf(number: number): Buffer {
  const random = new Random(number, 77);
  return random.bytes(1 + random.below(MOST_BYTES));
}
