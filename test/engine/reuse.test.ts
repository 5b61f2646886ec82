/** Instances that serve several runs: one after the other, and at once. */
import { describe, expect, it } from "vitest";
import { useEngine } from "../support/engine.js";

const engine = useEngine();

describe.each(["p2", "p3"])("a %s instance", (version) => {
  it("remembers what earlier runs did when it is used again, and a new one does not", async () => {
    const program = await engine.program(`counter-${version}`);
    const on = await engine.prepare(program);
    const bodies = [];
    for (const last of [false, false, true]) bodies.push((await engine.run(program, "/", { on, last }).answer()).body);
    expect(bodies).toEqual(["1\n", "2\n", "3\n"]);
    expect((await engine.run(program, "/").answer()).body).toBe("1\n");
  });

  it("takes no run after its last, and is gone", async () => {
    const program = await engine.program(`counter-${version}`);
    const on = await engine.prepare(program);
    await engine.run(program, "/", { on, last: true }).ended;
    await engine.gone(on);
    await expect(engine.run(program, "/", { on }).ended).rejects.toThrow("was refused");
  });

  it("keeps no secret for the next run when each run has its own", async () => {
    const program = await engine.program(`behave-${version}`);
    const secret = "0123456789abcdef".repeat(8);
    const { body } = await engine.run(program, `/secret?write=${secret}`).answer();
    expect(body).toMatch(/^wrote /);
    for (let i = 0; i < 20; i++) expect((await engine.run(program, `/scan?for=${secret}`).answer()).body).toBe("not found\n");
  });

  it("shows the secret to the next run where reuse is asked for: that is what a clean instance is for", async () => {
    const program = await engine.program(`behave-${version}`);
    const secret = "fedcba9876543210".repeat(8);
    const on = engine.slot();
    await engine.run(program, `/secret?write=${secret}`, { on, last: false }).ended;
    expect((await engine.run(program, `/scan?for=${secret}`, { on }).answer()).body).toMatch(/^found /);
  });
});

describe("an instance that several runs share", () => {
  const counter = (): Promise<number> => engine.program("counter-p3", { maxConcurrent: 3 });
  const behave = (): Promise<number> => engine.program("behave-p3", { maxConcurrent: 4 });

  it("has them in the guest at once, up to as many as it may", async () => {
    const program = await counter();
    const on = await engine.prepare(program);
    const runs = Array.from({ length: 6 }, () => engine.run(program, "/?ms=40", { on, last: false }));
    const answers = await Promise.all(runs.map((run) => run.answer()));
    engine.retire(on);
    expect(answers.map(({ body }) => body)).toEqual(["1\n", "2\n", "3\n", "4\n", "5\n", "6\n"]);
    const atOnce = answers.map(({ headers }) => Number(headers["x-at-once"]));
    expect(Math.max(...atOnce)).toBe(3);
  });

  it("lets a run in that comes together with one that hangs", async () => {
    const program = await behave();
    const on = engine.slot();
    const hanging = engine.run(program, "/hang", { on, last: false });
    const quick = engine.run(program, "/", { on, last: false, deadlines: { head: 3000 } });
    expect((await quick.answer()).status).toBe(200);
    expect(hanging.over).toBeUndefined();
    hanging.cancel();
    await engine.gone(on);
  });

  it("answers each run for itself", async () => {
    const program = await behave();
    const on = await engine.prepare(program);
    const slow = engine.run(program, "/slow?pieces=10&ms=10", { on, last: false });
    await slow.first("head");
    const quick = engine.run(program, "/status?code=201", { on, last: false });
    const failing = engine.run(program, "/error", { on, last: false });
    expect((await quick.answer()).status).toBe(201);
    expect(slow.over).toBeUndefined();
    expect(await failing.outcome()).toMatchObject({ kind: "guest-error", code: "error-code" });
    expect((await slow.answer()).body).toMatch(/data: 9\n\n$/);
    engine.retire(on);
  });

  it.each(["/trap", "/memory"])("is lost to the others when one spoils it (%s), and only that one is blamed", async (target) => {
    const program = await engine.program("behave-p3", { maxConcurrent: 4, limits: { memoryBytes: 4 * 2 ** 20 } });
    const on = await engine.prepare(program);
    const victim = engine.run(program, "/slow?pieces=1000&ms=5", { on, last: false });
    await victim.first("head");
    const culprit = engine.run(program, target, { on, last: false });
    expect((await culprit.outcome()).kind).toBe(target === "/trap" ? "trap" : "limit");
    expect(await victim.outcome()).toEqual({ kind: "platform", code: "instance-lost", message: "another run on the instance ended it" });
    await engine.gone(on);
  });

  it.each([
    ["is cancelled", {}, { kind: "cancelled" }],
    ["is out of time", { head: 60 }, { kind: "limit", limit: "head-time", allowed: 60 }],
  ])("goes on for the others when one %s, takes no more, and ends with the last", async (_how, deadlines, outcome) => {
    const program = await behave();
    const on = await engine.prepare(program);
    const other = engine.run(program, "/slow?pieces=30&ms=10", { on, last: false });
    await other.first("head");
    const given = engine.run(program, "/sleep?ms=100000", { on, last: false, deadlines });
    if (outcome.kind === "cancelled") given.cancel();
    expect(await given.outcome()).toMatchObject(outcome);
    expect(other.over).toBeUndefined();
    const late = engine.run(program, "/", { on, last: false });
    expect((await other.answer()).body).toMatch(/data: 29\n\n$/);
    await engine.gone(on);
    await expect(late.ended).rejects.toThrow("was refused");
  });

  it("ends after the last run that it was promised, when the earlier ones are done", async () => {
    const program = await behave();
    const on = await engine.prepare(program);
    const first = engine.run(program, "/slow?pieces=10&ms=10", { on, last: false });
    await first.first("head");
    const last = engine.run(program, "/", { on, last: true });
    expect((await last.answer()).status).toBe(200);
    expect((await first.answer()).body).toMatch(/data: 9\n\n$/);
    await engine.gone(on);
  });
});
