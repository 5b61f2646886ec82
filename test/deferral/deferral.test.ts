/** Jobs over random histories with crashes: each is there once, begins as often as was promised, and comes to an end. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Deferral, type Ending } from "../../src/deferral/deferral.js";
import { isOver, type Job, type NewJob } from "../../src/deferral/job.js";
import { Jobs } from "../../src/deferral/jobs.js";
import { memoryState } from "../../src/state/memory.js";
import { remove, table, type StateStore } from "../../src/state/store.js";
import { idOf } from "../../src/base/ids.js";

const LIMITS = { most: 4, perTenant: 2 };
const ONCE = { repeat: false, retries: { max: 0, delay: 100, longest: 1000 }, keepResults: 1e9 };
/** By the name of their task. */
const MANIFESTS: Readonly<Record<string, typeof ONCE>> = {
  once: ONCE,
  again: { ...ONCE, repeat: true },
  twice: { ...ONCE, repeat: true, retries: { max: 2, delay: 100, longest: 1000 } },
};
const TENANTS = ["a", "b", "c"];

interface Going {
  readonly job: Job;
  readonly end: (ending: Ending) => void;
}

/** A node that can end at any moment and start again over what it wrote down. */
class Node {
  readonly #state = this.#disk();
  /** Nothing can be written. */
  failing = false;
  jobs = new Jobs(this.#state);
  now = 1000;
  readonly going = new Map<string, Going>();
  /** How often a run of each began, where the platform has no say in it. */
  readonly began = new Map<string, number>();
  readonly accepted: string[] = [];
  readonly errors: unknown[] = [];
  #life = 0;
  deferral = this.#begin();

  #disk(): StateStore {
    const disk = memoryState();
    return {
      ...disk,
      get: (from, key) => disk.get(from, key),
      list: (from, range) => disk.list(from, range),
      close: () => disk.close(),
      commit: (changes) => (this.failing ? Promise.reject(new Error("the disk is full")) : disk.commit(changes)),
    };
  }

  #begin(): Deferral {
    const life = ++this.#life;
    return new Deferral(
      {
        jobs: this.jobs,
        wall: () => this.now,
        random: () => 0.5,
        run: (job) =>
          new Promise((resolve) => {
            if (this.going.has(job.id)) this.errors.push(new Error(`${job.id} runs twice at once`));
            this.began.set(job.id, (this.began.get(job.id) ?? 0) + 1);
            // What ends after its node did is nobody's.
            this.going.set(job.id, { job, end: (ending) => (this.going.delete(job.id), this.#life === life && resolve(ending)) });
          }),
        cancel: (id) => this.going.get(id)?.end({ kind: "cancelled", began: true }),
        manifestOf: ({ task }) => MANIFESTS[task ?? ""],
        isQuiet: () => false,
        wakeAt: () => {},
        told: () => {},
        report: (error) => void this.errors.push(error),
      },
      LIMITS,
    );
  }

  async accept(said: Partial<NewJob>): Promise<void> {
    const id = idOf("history", this.accepted.length);
    this.accepted.push(id);
    const work = { kind: "http", method: "GET", scheme: "http", authority: "h", target: "/" } as const;
    const job = { id, tenant: "a", task: "once", origin: { kind: "request" }, work, caller: { kind: "anonymous" }, input: {} } as const;
    await this.deferral.accept([{ ...job, ...said }]);
  }

  /** The process ends; another one begins. */
  async crash(): Promise<void> {
    this.going.clear();
    this.jobs = new Jobs(this.#state);
    this.deferral = this.#begin();
    await this.deferral.start();
  }

  async pass(ms: number): Promise<void> {
    this.now += ms;
    this.deferral.pump();
    await settle();
  }

  async loseInput(id: string): Promise<void> {
    await this.#state.commit([remove(table("job-inputs"), id)]);
  }

  check(): void {
    expect(this.errors).toEqual([]);
    expect(this.going.size).toBeLessThanOrEqual(LIMITS.most);
    for (const tenant of TENANTS)
      expect([...this.going.values()].filter(({ job }) => job.tenant === tenant).length).toBeLessThanOrEqual(LIMITS.perTenant);
    expect([...this.jobs.all()].length).toBe(this.accepted.length);
    for (const id of this.accepted) {
      const job = this.jobs.get(id) as Job;
      const manifest = MANIFESTS[job.task ?? ""] ?? ONCE;
      if (!manifest.repeat) expect(this.began.get(id) ?? 0).toBeLessThanOrEqual(1);
      if (job.state === "done") expect(this.began.get(id)).toBeGreaterThan(0);
    }
  }
}

/** What is on its way to the store is there. */
async function settle(): Promise<void> {
  for (let i = 0; i < 30; i++) await Promise.resolve();
}

type Operation = (node: Node) => Promise<void>;

function pick(node: Node, n: number): Going | undefined {
  const all = [...node.going.values()];
  return all[n % Math.max(1, all.length)];
}

const ending =
  (kind: Ending["kind"], began: boolean) =>
  (task: string): Ending => {
    const manifest = MANIFESTS[task];
    return { kind, began, manifest, ...(kind === "failed" && { fault: { code: "guest/trap", detail: undefined } }) };
  };

const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(fc.constantFrom(...TENANTS), fc.constantFrom("once", "again", "twice"), fc.integer({ min: 0, max: 3000 })).map(
      ([tenant, task, wait]): Operation =>
        (node) =>
          node.accept({ tenant, task, dueAt: node.now + wait }),
    ),
  },
  {
    weight: 4,
    arbitrary: fc.integer({ min: 1, max: 2000 }).map(
      (ms): Operation =>
        (node) =>
          node.pass(ms),
    ),
  },
  {
    weight: 5,
    arbitrary: fc.tuple(fc.nat(20), fc.constantFrom(ending("done", true), ending("failed", true))).map(
      ([n, how]): Operation =>
        async (node) =>
          pick(node, n)?.end(how(pick(node, n)?.job.task ?? "")),
    ),
  },
  { weight: 1, arbitrary: fc.constant<Operation>((node) => node.crash()) },
  {
    weight: 1,
    arbitrary: fc.nat(50).map((n): Operation => async (node) => {
      const id = node.accepted[n % Math.max(1, node.accepted.length)];
      if (id !== undefined) await node.deferral.cancel(id);
    }),
  },
);

describe("jobs", () => {
  it("begin as often as was promised, never twice at once, and all come to an end, in any history with crashes", async () => {
    let begun = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 5, maxLength: 60, size: "max" }), async (history) => {
        const node = new Node();
        for (const operate of history) {
          await operate(node);
          await settle();
          node.check();
        }
        for (let round = 0; round < 500 && [...node.jobs.all()].some(({ state }) => !isOver(state)); round++) {
          await node.pass(5000);
          for (const { job, end } of Array.from(node.going.values())) end(ending("done", true)(job.task ?? ""));
          await settle();
          node.check();
        }
        for (const id of node.accepted) {
          const job = node.jobs.get(id) as Job;
          expect(isOver(job.state), `${job.task} is ${job.state}`).toBe(true);
          // What may be repeated is done in the end, unless it was called off or has failed too often.
          if (job.task === "again") expect(["done", "cancelled", "failed"]).toContain(job.state);
          begun += node.began.get(id) ?? 0;
        }
      }),
      { numRuns: 150 },
    );
    expect(begun).toBeGreaterThan(500);
  });

  it("that find no room wait longer each time, which is no start, and then begin", async () => {
    const node = new Node();
    await node.accept({});
    await settle();
    const [id = ""] = node.accepted;
    const waits: number[] = [];
    for (let i = 0; i < 5; i++) {
      node.going.get(id)?.end({ kind: "refused", began: false, fault: { code: "capacity/node-full", detail: "full" }, manifest: ONCE });
      await settle();
      const { state, starts, dueAt } = node.jobs.get(id) as Job;
      expect([state, starts]).toEqual(["waiting", 0]);
      waits.push(dueAt - node.now);
      await node.pass(dueAt - node.now);
    }
    expect(waits).toEqual([...waits].sort((a, b) => a - b));
    expect(new Set(waits).size).toBeGreaterThan(2);
    expect(node.jobs.get(id)?.state).toBe("running");
  });

  it("that found no room until their latest start fail then, say why, and can be redriven; what triggers start runs all the same", async () => {
    const node = new Node();
    await node.accept({ notAfter: node.now + 1000 });
    await node.accept({ notAfter: node.now + 1000, origin: { kind: "queue", queue: "q" } });
    await settle();
    const [id = "", message = ""] = node.accepted;
    const full: Ending = { kind: "refused", began: false, fault: { code: "capacity/tenant-full", detail: "no room" }, manifest: ONCE };
    for (const each of node.accepted) node.going.get(each)?.end(full);
    await settle();
    await node.pass(2000);
    expect(node.jobs.get(id)).toMatchObject({
      state: "failed",
      isDead: true,
      starts: 0,
      fault: { code: "capacity/tenant-full", detail: "It was to start by 1970-01-01T00:00:02.000Z; until then: no room." },
    });
    expect(node.jobs.get(message)?.state).toBe("running");
    await node.deferral.redrive(id);
    await settle();
    expect(node.jobs.get(id)?.state).toBe("running");
  });

  it("whose request is gone fail, and do not wait for ever", async () => {
    const node = new Node();
    await node.accept({ dueAt: node.now + 1000 });
    const [id = ""] = node.accepted;
    await node.loseInput(id);
    await node.pass(2000);
    expect(node.jobs.get(id)).toMatchObject({ state: "failed", starts: 0, fault: { code: "platform/internal" } });
  });

  it("that are called off while they are about to begin are called off as runs, and come back by no ending", async () => {
    const node = new Node();
    await node.accept({ task: "twice" });
    const [id = ""] = node.accepted;
    // Its step to running is on its way.
    await node.deferral.cancel(id);
    await settle();
    expect(node.jobs.get(id)?.state).toBe("cancelled");
    expect([node.going.size, node.began.get(id) ?? 0]).toEqual([0, 0]);
    await node.pass(10_000);
    expect([node.jobs.get(id)?.state, node.began.get(id) ?? 0]).toEqual(["cancelled", 0]);
    // An ending of a run that was called off says nothing any more.
    expect(await node.jobs.step(id, "waiting", {}, undefined, "running")).toBeUndefined();
  });

  it("whose beginning cannot be written down begin a second later; an ending is written until it is", async () => {
    const node = new Node();
    node.failing = true;
    await node.accept({}).catch(() => {});
    node.failing = false;
    await node.accept({ dueAt: node.now + 10 });
    const id = node.accepted[1] as string;
    node.failing = true;
    await node.pass(20);
    await settle();
    const tries = node.errors.splice(0).length;
    expect([tries, node.jobs.get(id)?.state]).toEqual([1, "waiting"]);
    await node.pass(500);
    expect(node.errors.length).toBe(0);
    node.failing = false;
    await node.pass(600);
    expect(node.jobs.get(id)?.state).toBe("running");
    node.failing = true;
    node.going.get(id)?.end(ending("done", true)("once"));
    await settle();
    expect([node.errors.splice(0).length, node.jobs.get(id)?.state]).toEqual([1, "running"]);
    node.failing = false;
    await new Promise((resolve) => setTimeout(resolve, 1200));
    expect(node.jobs.get(id)?.state).toBe("done");
  });

  it("of a tenant that goes go with it, also those that are being accepted", async () => {
    const node = new Node();
    await node.accept({ tenant: "a" });
    const coming = node.accept({ tenant: "a" });
    await node.deferral.forget("a");
    await coming;
    await settle();
    expect(node.jobs.of("a")).toEqual([]);
  });
});
