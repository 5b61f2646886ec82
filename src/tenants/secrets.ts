/**
 * The secrets of the tenants: sealed in the store, open in this process's memory.
 *
 * At rest a value is AES-256-GCM under the key of the data folder (secret-key.ts), bound to its tenant and name, so
 * that a sealed value moved to another name does not open. Everything is opened at the start: a wrong key is found
 * then, and not by a request. Values leave by `reveal` alone; private fields keep them out of JSON and of `inspect`.
 */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from "node:crypto";
import { UserError } from "../base/errors.js";
import { put, remove, table, type Change, type Plan, type StateStore } from "../state/store.js";
import { Mask } from "./mask.js";
import { Faults, noSuch } from "./refusals.js";
import { openSecretKey, type SecretKey } from "./secret-key.js";

/** What anyone may see of a secret. */
export interface SecretInfo {
  readonly name: string;
  readonly updatedAt: string;
  /** Goes up with each change of any secret, and is never used twice, also not by a secret of the same name later. */
  readonly revision: number;
}

interface Sealed extends SecretInfo {
  /** Nonce, tag and ciphertext in base64. */
  readonly sealed: string;
}

interface Meta {
  /** Something that only the right key opens. */
  readonly check: string;
  /** The highest that was given away. */
  readonly revision: number;
}

interface Open {
  readonly info: SecretInfo;
  readonly value: string;
}

/** By `tenant/name`; neither has a slash. */
const SECRETS = table<Sealed>("secrets");
const META = table<Meta>("secrets-meta");
const CHECK = "check";

const NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/;
const MAX_BYTES = 65_536;
/** For each tenant. */
const KEEP_REPLACED = 64;
const NONCE = 12;
const TAG = 16;

export class Secrets {
  readonly #wall: () => number;
  readonly #key: Buffer;
  readonly #check: string;
  readonly #tenants = new Map<string, Map<string, Open>>();
  /** The last values that were replaced or removed: runs that began before still have them. Masked like the rest. */
  readonly #replaced = new Map<string, readonly string[]>();
  /** Made when a text is masked for the first time after a change. */
  readonly #masks = new Map<string, Mask>();
  #revision = 0;

  /** With the key file of a data folder, which is made if there is none yet. Throws a `UserError` that names the file. */
  static open(store: StateStore, wall: () => number, folder: string): Secrets {
    return new Secrets(store, wall, openSecretKey(folder, store.get(META, CHECK) !== undefined));
  }

  /** For state that goes with the process. */
  static inMemory(store: StateStore, wall: () => number): Secrets {
    return new Secrets(store, wall, { bytes: randomBytes(32), path: "of this process" });
  }

  private constructor(store: StateStore, wall: () => number, key: SecretKey) {
    this.#wall = wall;
    this.#key = key.bytes;
    const meta = store.get(META, CHECK);
    if (meta !== undefined && this.#unseal(meta.check, CHECK) === undefined) {
      throw new UserError(
        `the key of the secrets, ${key.path}, is not the one that they are sealed with; put the right file back, from a backup of the data folder`,
      );
    }
    this.#check = meta?.check ?? this.#seal(CHECK, CHECK);
    this.#revision = meta?.revision ?? 0;
    for (const { key: place, value } of store.list(SECRETS)) this.#load(place, value);
  }

  /** In order. */
  names(tenant: string): string[] {
    return [...(this.#tenants.get(tenant)?.keys() ?? [])].sort();
  }

  info(tenant: string, name: string): SecretInfo | undefined {
    return this.#tenants.get(tenant)?.get(name)?.info;
  }

  /** The value, for the guest that it is for and for nobody else. */
  reveal(tenant: string, name: string): string | undefined {
    return this.#tenants.get(tenant)?.get(name)?.value;
  }

  /** Throws `request/invalid`, never with the value in it. */
  put(tenant: string, name: string, value: string): Plan<SecretInfo> {
    const bytes = Buffer.from(value, "utf8");
    const faults = new Faults();
    checkName(name, faults);
    if (bytes.length === 0) faults.add("value", "expected a value; this one is empty");
    if (bytes.length > MAX_BYTES) faults.add("value", `expected at most ${MAX_BYTES} bytes; these are ${bytes.length}`);
    faults.check();
    const info: SecretInfo = { name, updatedAt: new Date(this.#wall()).toISOString(), revision: ++this.#revision };
    const place = `${tenant}/${name}`;
    // As it will be after a restart: half a surrogate pair does not survive UTF-8.
    const open: Open = { info, value: bytes.toString("utf8") };
    return {
      changes: [put(SECRETS, place, { ...info, sealed: this.#seal(open.value, place) }), this.#metaChange()],
      apply: () => {
        this.#retire(tenant, name);
        this.#show(tenant, open);
        return info;
      },
    };
  }

  /** Throws `request/no-such-thing`. */
  remove(tenant: string, name: string): Plan<SecretInfo> {
    const info = this.info(tenant, name);
    if (info === undefined) throw noSuch("secret", name);
    return {
      changes: [remove(SECRETS, `${tenant}/${name}`)],
      apply: () => {
        this.#retire(tenant, name);
        this.#tenants.get(tenant)?.delete(name);
        return info;
      },
    };
  }

  /** All secrets of a tenant that goes; how many there were. */
  removeAll(tenant: string): Plan<number> {
    const names = this.names(tenant);
    return {
      changes: names.map((name) => remove(SECRETS, `${tenant}/${name}`)),
      apply: () => {
        for (const name of names) this.#retire(tenant, name);
        this.#tenants.delete(tenant);
        return names.length;
      },
    };
  }

  /** A key for something else of this node; the same as long as the key file is. */
  derived(purpose: string): Uint8Array {
    return createHmac("sha256", this.#key).update(purpose).digest();
  }

  /** The text without values of this tenant's secrets; the same string when there are none in it. See mask.ts. */
  mask(text: string, tenant: string): string {
    const known = this.#masks.get(tenant);
    if (known !== undefined) return known.apply(text);
    const values = this.#tenants.get(tenant)?.values() ?? [];
    const replaced = this.#replaced.get(tenant) ?? [];
    // Only tenants that have or had a secret get an entry: names that nobody has must not pile up here.
    if (!this.#tenants.has(tenant) && replaced.length === 0) return text;
    const mask = new Mask([...Array.from(values, ({ value }) => value), ...replaced]);
    this.#masks.set(tenant, mask);
    return mask.apply(text);
  }

  #load(place: string, { sealed, ...info }: Sealed): void {
    const value = this.#unseal(sealed, place);
    if (value === undefined) throw new UserError(`the sealed secret ${place} is damaged in the state; restore a backup of the data folder`);
    this.#revision = Math.max(this.#revision, info.revision);
    this.#show(place.slice(0, place.indexOf("/")), { info, value });
  }

  #show(tenant: string, open: Open): void {
    const secrets = this.#tenants.get(tenant) ?? new Map<string, Open>();
    this.#tenants.set(tenant, secrets.set(open.info.name, open));
    this.#masks.delete(tenant);
  }

  #retire(tenant: string, name: string): void {
    const value = this.reveal(tenant, name);
    if (value === undefined) return;
    this.#replaced.set(tenant, [...(this.#replaced.get(tenant) ?? []), value].slice(-KEEP_REPLACED));
    this.#masks.delete(tenant);
  }

  #metaChange(): Change {
    return put(META, CHECK, { check: this.#check, revision: this.#revision });
  }

  #seal(value: string, place: string): string {
    const nonce = randomBytes(NONCE);
    const cipher = createCipheriv("aes-256-gcm", this.#key, nonce, { authTagLength: TAG });
    cipher.setAAD(Buffer.from(place));
    const text = Buffer.concat([cipher.update(value, "utf8"), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), text]).toString("base64");
  }

  /** Undefined: sealed with another key, for another place, or damaged. */
  #unseal(sealed: string, place: string): string | undefined {
    const bytes = Buffer.from(sealed, "base64");
    try {
      const decipher = createDecipheriv("aes-256-gcm", this.#key, bytes.subarray(0, NONCE), { authTagLength: TAG });
      decipher.setAAD(Buffer.from(place));
      decipher.setAuthTag(bytes.subarray(NONCE, NONCE + TAG));
      return Buffer.concat([decipher.update(bytes.subarray(NONCE + TAG)), decipher.final()]).toString("utf8");
    } catch {
      return undefined;
    }
  }
}

function checkName(name: string, faults: Faults): void {
  if (NAME.test(name)) return;
  faults.add(
    "name",
    'expected a name such as "API_TOKEN": letters, digits, "_", "." and "-", not a digit, "." or "-" first, at most 128 long',
  );
}
