/** What tenants used, as people and scripts see it; and what their settings look like beside it. */
import { advise, adviseCells } from "../observe/advice.js";
import { Tally } from "../observe/tally.js";
import type { UsageBook, UsageRow } from "../observe/usage.js";
import { require as requireScope } from "../tenants/access.js";
import { Faults } from "../tenants/refusals.js";
import type { Caller } from "../tenants/tenant.js";
import type { Tenants } from "../tenants/tenants.js";
import type { AdviceView, Page, Paged, UsageBy, UsageQuery, UsageView } from "./control.js";
import type { Live } from "./live.js";
import type { NodeCapacity } from "./node-capacity.js";
import { paged, readPage } from "./paging.js";

export interface UsagePorts {
  readonly tenants: Tenants;
  readonly live: Pick<Live, "all">;
  readonly settings: Pick<NodeCapacity, "current">;
  readonly usage: Pick<UsageBook, "read" | "now">;
}

/** Milliseconds since 1970, from the beginning of an hour to the end of one. */
interface Span {
  readonly from: number;
  readonly to: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const INSTANT = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d))?$/;

export class UsageDesk {
  readonly #ports: UsagePorts;

  constructor(ports: UsagePorts) {
    this.#ports = ports;
  }

  async list(caller: Caller, tenant: string | undefined, query: UsageQuery, page: Page): Promise<Paged<UsageView>> {
    const owner = tenant ?? (caller.kind === "key" ? caller.key.tenant : undefined);
    requireScope(caller, owner, "read");
    const { tenants, usage } = this.#ports;
    const names = owner === undefined ? tenants.list().map(({ name }) => name) : [tenants.need(owner).name];
    const by = query.by ?? "hour";
    const span = spanOf(query, usage.now());
    // What earlier pages had is not read again: where time comes first, a cursor begins with it.
    const { after } = readPage(page);
    const rest = after === undefined || by === "task" || by === "tenant" ? span : { ...span, from: Math.max(span.from, timeOf(after)) };
    const sums = new Map<string, { readonly view: Group; readonly tally: Tally }>();
    for (const name of names)
      await this.#read(name, rest, (row) => {
        if (query.task !== undefined && row.task !== query.task) return;
        const view = groupOf(row, by, span);
        const key = keyOf(view, by);
        let sum = sums.get(key);
        if (sum === undefined) sums.set(key, (sum = { view, tally: new Tally() }));
        sum.tally.merge(row.tally);
      });
    const sorted = [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, { view, tally }]) => viewOf(view, tally));
    return paged(sorted, (view) => keyOf(view, by), page);
  }

  async advice(caller: Caller, tenant: string, query: Omit<UsageQuery, "by">): Promise<readonly AdviceView[]> {
    requireScope(caller, tenant, "read");
    const { tenants, live, settings, usage } = this.#ports;
    const { capacity: terms } = tenants.need(tenant);
    const rows = new Map<string, UsageRow[]>();
    await this.#read(tenant, spanOf(query, usage.now()), (row) => {
      const of = rows.get(row.task) ?? [];
      rows.set(row.task, of);
      of.push(frozen(row));
    });
    const tasks = live.all(tenant).map(({ name, version }) => ({ manifest: version.manifest, rows: rows.get(name) ?? [] }));
    const asked = tasks.filter(({ manifest }) => query.task === undefined || manifest.name === query.task);
    const cells = adviseCells(terms, settings.current.pools.dedicated, tasks);
    return [...asked.flatMap(({ manifest, rows: of }) => advise(manifest, terms, of)), ...(cells === undefined ? [] : [cells])];
  }

  /** Without the hours before there was this tenant; nothing when it has gone meanwhile. */
  async #read(name: string, { from, to }: Span, take: (row: UsageRow) => void): Promise<void> {
    const tenant = this.#ports.tenants.get(name);
    if (tenant === undefined) return;
    await this.#ports.usage.read(name, Math.max(from, Date.parse(tenant.createdAt)), to, take);
  }
}

/** What rows have in common that become one. */
type Group = Pick<UsageView, "from" | "to" | "tenant" | "task" | "pool" | "term" | "price">;

function groupOf({ hour, tenant, task, pool, term, price }: UsageRow, by: UsageBy, span: Span): Group {
  const { from, to } = periodOf(hour, by, span);
  return { from: iso(from), to: iso(to), tenant, task: by === "tenant" ? undefined : task, pool, term, price };
}

function periodOf(hour: string, by: UsageBy, span: Span): Span {
  if (by === "task" || by === "tenant") return span;
  const at = Date.parse(by === "hour" ? `${hour}:00:00Z` : `${hour.slice(0, 10)}T00:00:00Z`);
  return { from: Math.max(at, span.from), to: Math.min(at + (by === "hour" ? HOUR_MS : DAY_MS), span.to) };
}

/** Names may hold no space, so that the order is by time, tenant and task. Over the whole time, which may go on, it is left out. */
function keyOf({ from, tenant, task, pool, term, price }: Group, by: UsageBy): string {
  const time = by === "task" || by === "tenant" ? "" : `${from} `;
  return `${time}${tenant} ${task ?? ""} ${pool} ${term} ${price}`;
}

/** The time that a key begins with; long ago when it is none. */
function timeOf(key: string): number {
  const time = Date.parse(key.split(" ")[0] as string);
  return Number.isNaN(time) ? 0 : time;
}

/** Throws `request/invalid` for what is no time, and for an end before its beginning. */
function spanOf({ from, to }: UsageQuery, now: number): Span {
  const faults = new Faults();
  const read = (field: string, text: string): number => {
    const time = INSTANT.test(text) ? Date.parse(text) : Number.NaN;
    if (Number.isNaN(time)) faults.add(field, "expected a time such as 2026-11-25T12:00:00Z, or a day such as 2026-11-25");
    return time;
  };
  // What ends now counts.
  const end = to === undefined ? now + 1 : read("to", to);
  const begin = from === undefined ? end - DAY_MS : read("from", from);
  if (begin > end) faults.add("from", `is after to, which is ${iso(end)}`);
  faults.check();
  return { from: Math.floor(begin / HOUR_MS) * HOUR_MS, to: Math.max(Math.ceil(end / HOUR_MS), Math.floor(begin / HOUR_MS) + 1) * HOUR_MS };
}

/** A copy that stays as it is while runs go on. */
function frozen(row: UsageRow): UsageRow {
  const tally = new Tally();
  tally.merge(row.tally);
  return { ...row, tally };
}

function viewOf(group: Group, tally: Tally): UsageView {
  const { runs, refused, abandoned, recalled, gibSeconds, ready, linked, compiled, stored } = tally;
  return {
    ...group,
    runs,
    refused,
    abandoned,
    recalled,
    refusals: refusalsOf(tally),
    runSeconds: tally.runMs / 1e3,
    cpuSeconds: tally.cpuMs / 1e3,
    gibSeconds,
    cost: gibSeconds * group.price,
    waitSeconds: tally.waitMs / 1e3,
    maxWaitSeconds: tally.maxWaitMs / 1e3,
    maxRunSeconds: tally.maxRunMs / 1e3,
    maxHeadSeconds: tally.maxHeadMs / 1e3,
    rungs: { ready, linked, compiled, stored },
    memory: { p95Bytes: tally.memoryP95, maxBytes: tally.maxMemory },
    peakConcurrency: tally.peak,
    requestBytes: tally.requestBytes,
    responseBytes: tally.responseBytes,
  };
}

function refusalsOf({ taskFull, tenantFull, nodeFull, overloaded, draining, otherwise }: Tally): Record<string, number> {
  const all = { "task-full": taskFull, "tenant-full": tenantFull, "node-full": nodeFull, overloaded, draining, other: otherwise };
  return Object.fromEntries(Object.entries(all).filter(([, count]) => count > 0));
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
