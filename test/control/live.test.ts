/** Secrets that change while the versions that have them are linked, being linked, or neither. */
import { expect, it } from "vitest";
import { CompiledCache } from "../../src/artefacts/compiled.js";
import { memoryComponents } from "../../src/artefacts/memory.js";
import { Live } from "../../src/control/live.js";
import { Registry } from "../../src/dispatch/registry.js";
import { Programs } from "../../src/control/programs.js";
import type { Ledger } from "../../src/control/ledger.js";
import type { PoolEvent } from "../../src/pool/types.js";
import { memoryState } from "../../src/state/memory.js";
import { Catalog, NEW_VERSION } from "../../src/tasks/catalog.js";
import { Router } from "../../src/tasks/router.js";
import { Secrets } from "../../src/tenants/secrets.js";
import { USUAL_TERMS } from "../../src/tenants/tenant.js";
import { Tenants } from "../../src/tenants/tenants.js";
import { LinkingEngine, NO_SIDECARS } from "./linking-engine.js";

/** The task `a` of the default tenant, as after a start. It names the secret TOKEN, which is `old`. */
async function restarted() {
  const state = memoryState();
  const wall = (): number => 0;
  const [secrets, catalog, tenants] = [Secrets.inMemory(state, wall), new Catalog(state, wall), new Tenants(state, wall)];
  const components = memoryComponents();
  const digest = await components.put(Buffer.from("a component"));
  secrets.put("default", "TOKEN", "old").apply();
  const version = {
    digest,
    componentBytes: 1,
    manifest: { name: "a", component: "a.wasm", secrets: ["TOKEN"] },
    createdAt: "",
    createdBy: "",
  };
  catalog.edit("default", "a", { addVersion: version, setAlias: { name: "live", to: { targets: { [NEW_VERSION]: 1 } } } }).apply();
  const engine = new LinkingEngine(null);
  const told: PoolEvent[] = [];
  const programs = new Programs({
    engine,
    executor: {
      tell: (event) => void told.push(event),
      try: async () => undefined,
      retire: (program) => void told.push({ kind: "remove", program }),
    },
    components,
    forms: new CompiledCache(null),
    terms: () => USUAL_TERMS,
    isProvided: () => false,
    used: () => undefined,
    sidecars: NO_SIDECARS,
    secretsAt: () => "",
  });
  const live = new Live({ ledger: {} as Ledger, tenants, secrets, catalog, programs, router: new Router(), registry: new Registry() });
  live.restore((_task, error) => expect.fail(String(error)));
  /** Sets the secret as its desk does; `meanwhile` happens before it is stored. */
  const put = async (value: string, meanwhile: () => Promise<unknown> = async () => {}): Promise<void> => {
    const plan = secrets.put("default", "TOKEN", value);
    const change = await live.withSecret("default", "TOKEN", value);
    await meanwhile();
    plan.apply();
    change.apply();
  };
  const program = (): number => live.of("default", "a")?.version.program as number;
  const values = (): unknown[] => engine.linked.map(({ config }) => config[0]?.[1]);
  const removed = (): number[] => told.flatMap((event) => (event.kind === "remove" ? [event.program] : []));
  return { engine, live, programs, put, program, values, removed };
}

/** A promise that is kept when `open` is called. */
function gate(): { readonly closed: Promise<void>; readonly open: () => void } {
  let open = (): void => {};
  const closed = new Promise<void>((resolve) => (open = resolve));
  return { closed, open };
}

it("a version that is not linked takes the new value when it is, as the same program", async () => {
  const { programs, put, program, values, removed } = await restarted();
  await put("new");
  expect([program(), removed()]).toEqual([1, []]);
  await programs.raise(1);
  expect(values()).toEqual(["new"]);
});

it("a version that is linked is linked anew before the value is stored, and the old program goes", async () => {
  const { programs, put, program, values, removed } = await restarted();
  await programs.raise(1);
  await put("new");
  expect([values(), program(), removed(), programs.isLinked(2)]).toEqual([["old", "new"], 2, [1], true]);
});

it("a version that is being linked with the old value meanwhile becomes another program, to be linked anew", async () => {
  const { engine, programs, put, program, values, removed } = await restarted();
  const link = gate();
  engine.linking = link.closed;
  const raising = programs.raise(1);
  // Until it has taken the old value.
  await expect.poll(values).toEqual(["old"]);
  await put("new");
  link.open();
  await raising;
  expect([program(), removed(), programs.isRaised(2)]).toEqual([2, [1], false]);
  await programs.raise(2);
  expect(values()).toEqual(["old", "new"]);
});

it("a program that is made for the new value has it even if it is lowered and raised before that is stored", async () => {
  const { programs, put, values } = await restarted();
  await programs.raise(1);
  await put("new", () => {
    programs.lower(2);
    return programs.raise(2);
  });
  expect(values()).toEqual(["old", "new", "new"]);
  await put("newest");
  programs.lower(3);
  await programs.raise(3);
  expect(values().slice(3)).toEqual(["newest", "newest"]);
});

it("a value that could not be stored leaves everything as it was", async () => {
  const { live, programs, program, removed } = await restarted();
  await programs.raise(1);
  const change = await live.withSecret("default", "TOKEN", "new");
  change.discard();
  expect([program(), removed()]).toEqual([1, [2]]);
});

it("a new value that a version cannot be linked with is refused, and what was linked for it goes", async () => {
  const { engine, live, programs, program, removed } = await restarted();
  await programs.raise(1);
  engine.fails = "the disk is full";
  await expect(live.withSecret("default", "TOKEN", "new")).rejects.toThrow("a v1: the disk is full");
  expect([program(), removed()]).toEqual([1, []]);
});
