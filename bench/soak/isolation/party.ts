/**
 * A tenant under soak: what it has been given so far, and what it asks next.
 *
 * Half of its names are the other tenant's too (both have a task `hello` and a secret `TOKEN`), the others hold its own
 * name, which so is the mark of everything that nobody else may see. A fifth of what it asks is about the other's things.
 *
 * None of its tasks is public, or open to the other: then the other may see it, and learns that it is there.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Scope } from "../../../src/tenants/tenant.js";
import { guestFile } from "../../support/paths.js";
import type { Random } from "../support/random.js";
import type { Asking, Command, HttpRequest } from "./ask.js";

export interface Party {
  readonly name: string;
  /** Whom it must not know. */
  readonly other: string;
  /** A name as long as the other's that nobody has. */
  readonly nobody: string;
  /** Folders with a manifest each, for the command line. */
  readonly folders: readonly string[];
  /** Names of keys that it has or had, and how many of them and of runs there were. */
  keys: string[];
  keyCount: number;
  runCount: number;
  /** How often its operator has made it anew. */
  life: number;
  /** Its operator has drained it. */
  drained: boolean;
  /** Names of the other's that it has used itself: these it may be answered with. Values it never guesses. */
  readonly said: Set<string>;
}

const GUESTS = ["hello-p2", "hello-p3", "echo-p2", "echo-p3", "logger-p2", "logger-p3", "behave-p2", "kv-draft", "kv-draft2"];
const SCOPE_SETS: readonly (readonly Scope[])[] = [
  ["admin"],
  ["deploy"],
  ["deploy", "invoke"],
  ["invoke"],
  ["invoke", "debug"],
  ["read"],
  ["debug"],
];
const COMPONENTS = new Map(GUESTS.map((guest) => [guest, readFileSync(guestFile(guest))]));
/** Between parts of a body that are the same every time, so that both nodes get the same bytes. */
const BOUNDARY = "pilotlight-isolation";

export function hostOf(tenant: string): string {
  return `${tenant}.example`;
}

/** A secret that the tenant has for itself: the other never makes one of its name. */
export function hiddenOf(tenant: string): string {
  return `${tenant}_HIDDEN`;
}

/** `folder` is where its manifests for the command line go. */
export function newParty(name: string, other: string, nobody: string, folder: string): Party {
  const manifests = [
    { name: "hello", component: "a.wasm", access: "key", config: { tag: `${name}-folder-0` } },
    { name: `${name}-task`, component: "a.wasm", access: "key", env: { TAG: `${name}-folder-1` } },
    { name: "log", component: "a.wasm", access: "key", routes: [`${hostOf(other)}/x`] },
  ];
  const guests = ["hello-p2", "echo-p2", "logger-p2"];
  const folders = manifests.map((manifest, i) => {
    const path = join(folder, `${name}-${i}`);
    mkdirSync(path);
    writeFileSync(join(path, "pilotlight.json"), JSON.stringify(manifest));
    writeFileSync(join(path, "a.wasm"), COMPONENTS.get(guests[i] as string) as Buffer);
    return path;
  });
  return {
    name,
    other,
    nobody,
    folders,
    keys: [`${name}:k0`],
    keyCount: 1,
    runCount: 0,
    life: 0,
    drained: false,
    said: new Set([other, hostOf(other)]),
  };
}

/** After its operator has made it anew. */
export function forgetEverything(party: Party): void {
  party.life++;
  party.drained = false;
  party.keys = [`${party.name}:k0`];
}

/** What it begins with: a task of each kind, secrets and an entry. */
export function furniture(party: Party): Asking[] {
  const { name } = party;
  const own = `/v1/tenants/${name}`;
  const tasks = [
    ["hello", "echo-p3", {}],
    ["log", "logger-p2", { routes: ["/log/*", "/shared/*", `${hostOf(name)}/log/*`] }],
    [`${name}-task`, "kv-draft2", { stores: ["default", `${name}-store`], routes: keyValueRoutes(name, `${name}-task`) }],
    [`${name}-other`, "behave-p2", { secrets: ["TOKEN"], routes: ["trap", "error"].map((path) => `${hostOf(name)}/${path}`) }],
  ] as const;
  return [
    ...["TOKEN", hiddenOf(name)].map((secret) =>
      admin(party, "PUT", `${own}/secrets/${secret}`, "setting of a secret", json({ value: `${name}-secret-0` })),
    ),
    admin(party, "PUT", `${own}/stores/default/entries/a`, "setting of an entry", { body: `${name}-value-0` }),
    ...tasks.map(([task, guest, more]) => deployOf(party, { name: task, component: "a.wasm", access: "key", ...more }, guest)),
  ];
}

/** The guests of stores go by the whole path, so they need a host of their own. */
function keyValueRoutes(tenant: string, task: string): string[] {
  return [`${hostOf(tenant)}/*`, `/${task}/*`];
}

interface Manifest {
  readonly name: string;
  readonly component: string;
  readonly access: string | object;
}

function deployOf(party: Party, manifest: Manifest, guest: string, owner = party.name, alias?: string): HttpRequest {
  return admin(party, "POST", `/v1/tenants/${owner}/tasks/${manifest.name}/versions`, "deploy", {
    headers: { "Content-Type": `multipart/form-data; boundary=${BOUNDARY}` },
    body: upload(manifest, COMPONENTS.get(guest) as Buffer, alias),
  });
}

type Maker = (party: Party, random: Random) => Asking;

/** Kinds of requests, each as often as its number says. */
const KINDS: readonly (readonly [number, Maker])[] = [
  [18, invoke],
  [10, invokeOnHost],
  [5, askAboutRun],
  [12, deploy],
  [8, readTask],
  [2, deleteTask],
  [6, moveAlias],
  [5, changeSecret],
  [2, listSecrets],
  [10, store],
  [6, key],
  [4, tenant],
  [3, audit],
  [4, logs],
  [2, odd],
  [0.5, undo],
  [12, command],
  [0.4, operate],
  [6, capacity],
  [4, usage],
  [0.6, drain],
];
const TOTAL = KINDS.reduce((sum, [weight]) => sum + weight, 0);

/** `programs` is the share of command lines that run as the real program. */
export function nextAsking(party: Party, random: Random, programs: number): Asking {
  // While it is drained it is refused all runs.
  if (party.drained && random.chance(0.2)) return drain(party);
  let at = (random.below(1e6) / 1e6) * TOTAL;
  const make = KINDS.find(([weight]) => (at -= weight) < 0)?.[1] ?? invoke;
  const asking = make(party, random);
  return asking.kind === "cli" && random.chance(programs) ? { ...asking, program: true } : asking;
}

/** Everything that the tenant sees of itself. */
export function view(party: Party): HttpRequest[] {
  const own = `/v1/tenants/${party.name}`;
  const tasks = TASKS(party.name).flatMap((task) => [`${own}/tasks/${task}`, `${own}/tasks/${task}/versions`]);
  const stores = STORES(party.name).flatMap((name) => ["", ...KEYS(party.name)].map((entry) => `${own}/stores/${name}/entries/${entry}`));
  const lists = ["", "/keys", "/tasks", "/secrets", "/stores", "/audit?limit=1000"].map((path) => own + path);
  const paths = ["/v1/whoami", "/v1/tenants", ...lists, ...tasks, ...stores.map((path) => path.replace(/\/$/, ""))];
  const late = ["/v1/cells", "/v1/usage?by=tenant", `${own}/usage?by=task`, `${own}/advice`, `${own}/logs?limit=1000`];
  const look = (path: string, isLate = false): HttpRequest =>
    admin(party, "GET", path, `view of ${path.replaceAll(party.name, "own")}`, { late: isLate });
  return [...paths.map((path) => look(path)), ...late.map((path) => look(path, true))];
}

// Names, half of them the same for everyone.

function TASKS(tenant: string): string[] {
  return ["hello", "log", `${tenant}-task`, `${tenant}-other`];
}
function SECRETS(tenant: string): string[] {
  return ["TOKEN", "DB", `${tenant}_SECRET`];
}
function STORES(tenant: string): string[] {
  return ["default", `${tenant}-store`];
}
function KEYS(tenant: string): string[] {
  return ["a", "a%2Fb", `${tenant}-key`];
}

/** Whose things a request is about: mostly its own. */
function whose(party: Party, random: Random): string {
  return random.chance(0.2) ? random.pick([party.other, party.other, party.other, party.nobody, "default"]) : party.name;
}

/** A name out of a pool: of the tenant that the request is about, or now and then of the other. */
function named(pool: (tenant: string) => string[], party: Party, owner: string, random: Random): string {
  return random.pick(pool(random.chance(0.1) ? party.other : owner === "default" ? party.name : owner));
}

/** Mostly the key that may do everything; now and then another that it has or had, none, or one that nobody has. */
function keyFor(party: Party, random: Random): string | undefined {
  if (random.chance(0.7)) return `${party.name}:k0`;
  if (random.chance(0.8)) return random.pick(party.keys);
  return random.chance(0.5) ? undefined : `${party.name}:never`;
}

function admin(party: Party, method: string, path: string, about: string, more: Partial<HttpRequest> = {}): HttpRequest {
  return { kind: "http", plane: "admin", about, key: `${party.name}:k0`, method, path, ...more };
}

function json(value: unknown): Pick<HttpRequest, "headers" | "body"> {
  return { headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) };
}

function invoke(party: Party, random: Random): HttpRequest {
  const owner = random.chance(0.25) ? random.pick([party.other, party.other, party.nobody]) : party.name;
  const task = named(TASKS, party, owner, random);
  const place = random.pick([
    "",
    "/info",
    "/trap",
    "/error",
    "/x/y",
    `/set?store=default&key=a&value=${party.name}-value`,
    "/get?store=default&key=a",
    `/list?store=${owner}-store`,
  ]);
  const paths = [`/~${owner}/${task}${place}`, `/~${owner}/shared${place}`, `/${task}${place}`, `/~${owner}`, `/~${owner}/`];
  const tricks = [
    `/~${party.name}/../~${party.other}/${task}`,
    `/~${party.name}/%2e%2e/~${party.other}/${task}`,
    `//~${party.other}/${task}`,
    `/%7E${party.other}/${task}`,
    `/~${party.other.toUpperCase()}/${task}`,
    `/~${party.other}%2F${task}`,
  ];
  const path = random.chance(0.9) ? (paths[random.below(random.chance(0.8) ? 1 : paths.length)] as string) : random.pick(tricks);
  const run = `${party.name}:run${party.runCount++}`;
  const own = owner === party.name && !tricks.includes(path);
  return {
    kind: "http",
    about: `call of ${own ? "an own" : "another's"} path`,
    plane: "data",
    key: keyFor(party, random),
    method: random.pick(["GET", "GET", "POST"]),
    path,
    headers: {
      // Weights are kept by it: chance would differ from node to node.
      "X-User": `user-${random.below(5)}`,
      ...hostHeader(party, path, random),
      ...(random.chance(0.1) && { "Pilotlight-Explain": "1" }),
      ...(random.chance(0.1) && { "Pilotlight-Debug": "1" }),
      ...(random.chance(0.1) && { Authorization: `Bearer ${party.name}-not-ours` }),
    },
    ...(random.chance(0.2) && { body: `${party.name}-body` }),
    learn: { run },
  };
}

/** Key-value operations and failures, by the paths that guests know; on the own host, or on another's. */
function invokeOnHost(party: Party, random: Random): HttpRequest {
  const host = random.chance(0.8) ? party.name : random.pick([party.other, party.nobody]);
  const place = `store=${named(STORES, party, party.name, random)}&key=${random.pick(["a", "n", `${party.name}-key`])}`;
  const paths = [
    `/set?${place}&value=${party.name}-value-${random.below(100)}`,
    `/get?${place}`,
    `/exists?${place}`,
    `/delete?${place}`,
    `/list?${place}`,
    `/increment?store=default&key=count&delta=1`,
    "/trap",
    "/error",
  ];
  return {
    kind: "http",
    about: `call on ${host === party.name ? "the own" : "another's"} host`,
    plane: "data",
    key: keyFor(party, random),
    method: "GET",
    path: random.pick(paths),
    headers: { Host: hostOf(host), "X-User": `user-${random.below(5)}` },
    learn: { run: `${party.name}:run${party.runCount++}` },
  };
}

/**
 * A host: the own one, or another's. Not another's with an own path of the shared host: every host that nobody was
 * granted is the shared one, so that asking there for one's own tells whether a host is granted on this node.
 */
function hostHeader(party: Party, path: string, random: Random): { Host?: string } {
  if (random.chance(0.7)) return {};
  const foreign = !path.startsWith(`/~${party.name}`) && random.chance(0.6);
  return {
    Host: foreign ? random.pick([hostOf(party.other), hostOf(party.other).toUpperCase(), hostOf(party.nobody)]) : hostOf(party.name),
  };
}

function askAboutRun(party: Party, random: Random): HttpRequest {
  const owner = random.chance(0.4) ? party.other : party.name;
  const run = `«${owner}:run${random.below(Math.max(1, party.runCount))}»`;
  const method = random.chance(0.1) ? "DELETE" : "GET";
  const path = random.pick([`/-/runs/${run}`, `/-/runs/${run}`, `/-/runs/${run}/result`, "/-/readyz", "/-/livez", "/-/nothing"]);
  return {
    kind: "http",
    about: `${method} of ${owner === party.name ? "an own" : "another's"} run`,
    plane: "data",
    key: keyFor(party, random),
    method,
    path,
    late: method === "GET",
  };
}

function deploy(party: Party, random: Random): HttpRequest {
  const owner = whose(party, random);
  const name = named(TASKS, party, owner, random);
  const routes = random.pick([
    ...Array.from({ length: 12 }, () => undefined),
    [`/${name}/*`],
    ["/shared/*"],
    [`${hostOf(party.name)}/${name}/*`],
    [`${hostOf(party.other)}/${name}/*`],
    [`${hostOf(party.nobody)}/${name}/*`],
    [`/~${party.other}/${name}/longer/*`],
    [`/~${party.nobody}/${name}/longer/*`],
  ]);
  const variant = random.below(3);
  const guest = random.pick(GUESTS);
  const onHost = guest.startsWith("kv") && random.chance(0.7) ? keyValueRoutes(party.name, name) : routes;
  const manifest = {
    name,
    component: "a.wasm",
    access: random.chance(0.8) ? "key" : { tenants: [party.nobody] },
    config: { tag: `${party.name}-config-${variant}` },
    env: { TAG: `${party.name}-env-${variant}` },
    ...(guest.startsWith("kv") && { stores: ["default", `${party.name}-store`] }),
    ...(onHost && { routes: onHost }),
    ...(random.chance(0.15) && { secrets: [named(SECRETS, party, owner, random)] }),
    ...(random.chance(0.15) && { capacity: { pool: random.pick(["shared", "dedicated", "variable"]) } }),
    ...(random.chance(0.05) && { files: [{ host: `/srv/${party.other}`, guest: "/data" }] }),
  };
  const alias = random.pick([undefined, undefined, undefined, "", "beta", "live"]);
  return { ...deployOf(party, manifest, guest, owner, alias), key: keyFor(party, random) };
}

export function upload(manifest: object, component: Buffer, alias?: string): Buffer {
  const part = (name: string, body: Buffer | string): Buffer[] => [
    Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n`),
    Buffer.from(body),
    Buffer.from("\r\n"),
  ];
  const parts = [...part("manifest", JSON.stringify(manifest)), ...part("component", component)];
  return Buffer.concat([...parts, ...(alias === undefined ? [] : part("alias", alias)), Buffer.from(`--${BOUNDARY}--\r\n`)]);
}

function readTask(party: Party, random: Random): HttpRequest {
  const owner = whose(party, random);
  const tasks = `/v1/tenants/${owner}/tasks`;
  const task = `${tasks}/${named(TASKS, party, owner, random)}`;
  const path = random.pick([
    `${tasks}?limit=2`,
    `${tasks}?limit=2&cursor=«next ${tasks}»`,
    task,
    `${task}/versions?limit=3`,
    `${task}/versions?cursor=«next ${task}/versions»`,
    `${task}/versions/v${1 + random.below(4)}`,
    `${task}/aliases/${random.pick(["live", "beta", "gone"])}`,
  ]);
  return admin(party, random.chance(0.1) ? "HEAD" : "GET", path, "reading tasks", { key: keyFor(party, random) });
}

function deleteTask(party: Party, random: Random): HttpRequest {
  const owner = whose(party, random);
  const task = `/v1/tenants/${owner}/tasks/${named(TASKS, party, owner, random)}`;
  const path = random.pick([task, `${task}/versions/v${1 + random.below(4)}`, `${task}/aliases/beta`]);
  const headers = path === task && random.chance(0.5) ? { "If-Match": `«etag ${task}»` } : {};
  return admin(party, "DELETE", path, "deleting of tasks", { key: keyFor(party, random), headers });
}

function moveAlias(party: Party, random: Random): HttpRequest {
  const owner = whose(party, random);
  const path = `/v1/tenants/${owner}/tasks/${named(TASKS, party, owner, random)}/aliases/${random.pick(["live", "beta"])}`;
  const key = keyFor(party, random);
  if (random.chance(0.3)) {
    const to = random.chance(0.5) ? {} : { to: `v${1 + random.below(4)}` };
    return admin(party, "POST", `${path}/rollback`, "rollback", { key, ...json(to) });
  }
  const targets = Object.fromEntries(Array.from({ length: 1 + random.below(2) }, () => [`v${1 + random.below(4)}`, 1 + random.below(9)]));
  const { headers, body } = json({ targets, sticky: "x-user" });
  const match = random.chance(0.3) ? { "If-Match": `«etag ${path}»` } : {};
  return admin(party, "PUT", path, "setting of an alias", { key, headers: { ...headers, ...match }, body: body as string });
}

function changeSecret(party: Party, random: Random): HttpRequest {
  const owner = whose(party, random);
  const name = owner === party.name && random.chance(0.2) ? hiddenOf(owner) : named(SECRETS, party, owner, random);
  const path = `/v1/tenants/${owner}/secrets/${name}`;
  const key = keyFor(party, random);
  if (random.chance(0.3)) return admin(party, "DELETE", path, "deleting of a secret", { key });
  return admin(party, "PUT", path, "setting of a secret", { key, ...json({ value: `${party.name}-secret-${random.below(1000)}` }) });
}

function listSecrets(party: Party, random: Random): HttpRequest {
  const path = `/v1/tenants/${whose(party, random)}/secrets`;
  const query = random.pick(["", "?limit=1", `?limit=1&cursor=«next ${path}»`]);
  return admin(party, "GET", path + query, "listing of secrets", { key: keyFor(party, random) });
}

function store(party: Party, random: Random): HttpRequest {
  const owner = whose(party, random);
  const stores = `/v1/tenants/${owner}/stores`;
  const entries = `${stores}/${named(STORES, party, owner, random)}/entries`;
  const entry = `${entries}/${named(KEYS, party, owner, random)}`;
  const key = keyFor(party, random);
  const kind = random.below(10);
  if (kind < 4) {
    const condition = random.pick([{}, {}, { "If-None-Match": "*" }, { "If-Match": `«etag ${entry}»` }]);
    return admin(party, "PUT", entry, "setting of an entry", { key, headers: condition, body: `${party.name}-value-${random.below(100)}` });
  }
  if (kind < 5) {
    const headers = random.chance(0.5) ? { "If-Match": `«etag ${entry}»` } : {};
    return admin(party, "DELETE", entry, "deleting of an entry", { key, headers });
  }
  const path = random.pick([
    entry,
    entry,
    stores,
    `${stores}?limit=1&cursor=default`,
    entries,
    `${entries}?prefix=${party.other}`,
    `${entries}?limit=1&cursor=«next ${entries}»`,
  ]);
  return admin(party, "GET", path, "reading of stores", { key });
}

function key(party: Party, random: Random): HttpRequest {
  const owner = whose(party, random);
  const path = owner === "default" ? "/v1/keys" : `/v1/tenants/${owner}/keys`;
  const shown = keyFor(party, random);
  const kind = random.below(10);
  if (kind < 3) return admin(party, "GET", path + random.pick(["", `?limit=2&cursor=«next ${path}»`]), "listing of keys", { key: shown });
  // Issued keys are known by a name whether they are or not, so that both nodes go on alike.
  const learnt = `${party.name}:k${party.keyCount++}`;
  const learn = owner === party.name ? { key: learnt } : undefined;
  if (kind < 6) {
    if (learn) party.keys = [...party.keys, learnt].slice(-12);
    const input = { scopes: random.pick(SCOPE_SETS), note: `${party.name}-note` };
    return admin(party, "POST", path, "issuing of a key", { key: shown, ...json(input), ...(learn && { learn }) });
  }
  const id = random.chance(0.5) ? `${party.other}:k${random.below(4)}` : random.pick(party.keys);
  if (id === `${party.name}:k0`) return admin(party, "GET", path, "listing of keys", { key: shown });
  if (kind < 8) return admin(party, "DELETE", `${path}/«${id}.id»`, "revoking of a key", { key: shown });
  if (learn) party.keys = [...party.keys, learnt].slice(-12);
  const grace = json({ graceSeconds: random.pick([0, 3600]) });
  return admin(party, "POST", `${path}/«${id}.id»/rotate`, "rotating of a key", { key: shown, ...grace, ...(learn && { learn }) });
}

function tenant(party: Party, random: Random): HttpRequest {
  const path = `/v1/tenants/${whose(party, random)}`;
  const shown = keyFor(party, random);
  switch (random.below(6)) {
    case 0:
      return admin(party, "GET", "/v1/whoami", "whoami", { key: shown });
    case 1:
      return admin(party, "GET", "/v1/tenants", "listing of tenants", { key: shown });
    case 2:
      return admin(party, "POST", "/v1/tenants", "making of a tenant", {
        key: shown,
        ...json({ name: random.pick([party.other, party.nobody]) }),
      });
    case 3: {
      const hosts = [random.pick([hostOf(party.other), hostOf(party.nobody)])];
      return admin(party, "PATCH", path, "changing of a tenant", { key: shown, ...json({ hosts }) });
    }
    case 4:
      return path.endsWith(party.name)
        ? admin(party, "GET", path, "reading of a tenant", { key: shown })
        : admin(party, "DELETE", path, "deleting of a tenant", { key: shown });
    default:
      return admin(party, "GET", path, "reading of a tenant", { key: shown });
  }
}

function audit(party: Party, random: Random): HttpRequest {
  const own = `/v1/tenants/${whose(party, random)}/audit`;
  const path = random.pick([own, `${own}?limit=3`, `${own}?limit=3&cursor=«next ${own}»`, "/v1/audit"]);
  return admin(party, "GET", path, "reading of the audit log", { key: keyFor(party, random) });
}

function logs(party: Party, random: Random): HttpRequest {
  const own = `/v1/tenants/${whose(party, random)}/logs`;
  const run = `«${random.pick([party.name, party.other])}:run${random.below(Math.max(1, party.runCount))}»`;
  const path = random.pick([own, `${own}?task=${random.pick(TASKS(random.pick([party.name, party.other])))}`, `${own}?run=${run}`]);
  return admin(party, "GET", path, "reading of logs", { key: keyFor(party, random), late: true });
}

/** Names with odd characters, unknown paths, other methods. */
function odd(party: Party, random: Random): HttpRequest {
  const own = `/v1/tenants/${party.name}`;
  const path = random.pick([
    `${own}/tasks/..%2F..%2F${party.other}%2Ftasks%2Fhello`,
    `${own}/../${party.other}/tasks`,
    `${own}/%2e%2e/${party.other}/tasks`,
    `${own}%2F..%2F${party.other}/tasks`,
    `/v1/tenants/${party.other.toUpperCase()}`,
    `/v1/tenants/${party.other}%00/tasks`,
    `/v1/tenants/${party.other}%20`,
    `${own}/secrets/..%2F${party.other}%2FTOKEN`,
    `${own}/stores/..%2F${party.other}%2Fdefault/entries`,
    `${own}/stores/default/entries/..%2F..%2F${party.other}%2Fdefault%2Fa`,
    `${own}/audit?cursor=0000000000000001`,
    `${own}/tasks?cursor=${Buffer.from(`${party.other}/a`).toString("base64url")}`,
    `${own}/tasks/hello/versions/0`,
    `${own}/nothing`,
    `/v1/nothing/${party.other}`,
    `/v1/tenants//tasks`,
    "/openapi.json",
    "/livez",
  ]);
  return admin(party, random.pick(["GET", "GET", "PUT", "DELETE", "PATCH"]), path, "an odd path", { key: keyFor(party, random) });
}

/** Makes room again where random deploys have filled everything. */
function undo(party: Party, random: Random): HttpRequest {
  return admin(party, "DELETE", `/v1/tenants/${party.name}/tasks/${random.pick(TASKS(party.name))}`, "deleting of tasks");
}

/** The cells, the node's capacity, and what takes a key of the node: to change it, and to drain. */
function capacity(party: Party, random: Random): HttpRequest {
  const key = keyFor(party, random);
  const owner = `/v1/tenants/${whose(party, random)}`;
  const to = random.pick(["drain", "resume"]);
  return random.pick([
    admin(party, "GET", "/v1/cells", "listing of cells", { key, late: true }),
    admin(party, "GET", random.pick(["/v1/cells?limit=1", "/v1/cells?limit=1&cursor=«next /v1/cells»"]), "listing of cells", {
      key,
      late: true,
    }),
    admin(party, "POST", `/v1/cells/${random.below(5)}/drain`, "draining of a cell", { key }),
    admin(party, "POST", `${owner}/${to}`, "draining of a tenant", { key, ...json({}) }),
    admin(party, "POST", `/v1/${to}`, "draining of the node", { key }),
    admin(party, "GET", "/v1/capacity", "reading of the node's capacity", { key }),
    admin(party, "PATCH", "/v1/capacity", "setting of the node's capacity", { key, ...json({ cellIdle: 90_000 }) }),
    admin(party, "DELETE", "/v1/capacity", "setting of the node's capacity", { key }),
  ]);
}

/** Sums over all of the time: an hour may end between the answers of two nodes. */
function usage(party: Party, random: Random): HttpRequest {
  const owner = `/v1/tenants/${whose(party, random)}`;
  const task = random.pick(TASKS(random.pick([party.name, party.other])));
  const path = random.pick([
    "/v1/usage?by=task",
    `/v1/usage?by=tenant&task=${task}`,
    `${owner}/usage?by=tenant`,
    `${owner}/usage?by=task&limit=1`,
    `${owner}/usage?by=task&task=${task}`,
    `${owner}/advice`,
    `${owner}/advice?task=${task}`,
  ]);
  return admin(party, "GET", path, "reading of usage", { key: keyFor(party, random), late: true });
}

function operation(party: Party, settings: Extract<Asking, { kind: "operator" }>["settings"]): Asking {
  return { kind: "operator", about: "an operator's change", key: undefined, tenant: party.name, settings };
}

function operate(party: Party, random: Random): Asking {
  if (random.chance(0.15)) return operation(party, null);
  const settings = random.pick([
    ...[{ tasks: 2 }, { tasks: null }, { storedBytes: 200_000 }, { storedBytes: null }].map((quotas) => ({ quotas })),
    ...[{ dedicated: 2 }, { dedicated: 0 }, { variableCeiling: 0.1 }, { variableCeiling: 0 }].map((terms) => ({ capacity: terms })),
  ]);
  return operation(party, settings);
}

function drain(party: Party): Asking {
  party.drained = !party.drained;
  return operation(party, party.drained ? "drain" : "resume");
}

function command(party: Party, random: Random): Command {
  const owner = whose(party, random);
  const task = named(TASKS, party, owner, random);
  const name = named(STORES, party, owner, random);
  const entry = decodeURIComponent(named(KEYS, party, owner, random));
  const secret = named(SECRETS, party, owner, random);
  const id = random.chance(0.5) ? `«${party.other}:k${random.below(4)}.id»` : `«${party.name}:never.id»`;
  const learnt = `${party.name}:k${party.keyCount++}`;
  const [args, more] = random.pick<readonly [readonly string[], Partial<Command>?]>([
    [["whoami"]],
    [["tenants", "list"]],
    [["tenants", "show", owner]],
    [["tenants", "create", party.other]],
    [["tenants", "delete", party.other, "--yes"]],
    [["tenants", "set", owner, "--host", hostOf(party.other)]],
    [["keys", "list"]],
    [["keys", "list", "--node"]],
    [["keys", "create", "--scope", "invoke", "--json"], owner === party.name ? { learn: { key: learnt } } : {}],
    [["keys", "rotate", id]],
    [["keys", "revoke", id]],
    [["tasks"]],
    [["tasks", task]],
    [["tasks", "delete", task, "--yes"]],
    [["tasks", "delete", task, "--version", "v1"]],
    [["deploy", random.pick(party.folders)]],
    [["deploy", random.pick(party.folders), "--alias", "beta"]],
    [["alias", task]],
    [["alias", task, "live", "--json"]],
    [["alias", task, "live", "v1=1", "v2=3", "--sticky", "x-user"]],
    [["rollback", task]],
    [["rollback", task, "--to", "v1"]],
    [["secrets", "list"]],
    [["secrets", "set", secret], { input: `${party.name}-secret-${random.below(1000)}\n` }],
    [["secrets", "delete", secret]],
    [["stores", "list"]],
    [["stores", "list", name]],
    [["stores", "get", name, entry]],
    [["stores", "put", name, entry, `${party.name}-value`]],
    [["stores", "delete", name, entry]],
    [["audit", "--json", "--limit", "5"]],
    [["audit"]],
    [["audit", "--node"]],
    [["logs", task], { late: true }],
    [["usage", "--json"], { late: true }],
    [["usage", task, "--advise", "--json"], { late: true }],
    [["cells", "--json"], { late: true }],
    [["cells", random.pick(["pools", "resume"])]],
    [["cells", "set", "--memory", "2GiB"]],
    [["cells", "drain", String(random.below(5))]],
    [["tenants", random.pick(["drain", "resume"]), owner]],
  ]);
  const takesTenant = !["whoami", "tenants", "cells"].includes(args[0] as string) && !args.includes("--node");
  const tenantFlag = takesTenant && owner !== party.name ? ["--tenant", owner] : [];
  const about = `pilotlight ${args[0]}${["tenants", "keys", "secrets", "stores"].includes(args[0] as string) ? ` ${args[1]}` : ""}`;
  return { kind: "cli", about, key: keyFor(party, random), args: [...args, ...tenantFlag], cwd: party.folders[0] as string, ...more };
}
