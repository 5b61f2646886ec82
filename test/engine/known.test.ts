/**
 * What the engine does not do as its contract says, yet. Each of these tests fails, as it is told to; when one does
 * not any more it belongs among the others.
 */
import { describe, expect, it } from "vitest";
import { CREDIT_BYTES, INLINE_BYTES } from "../../src/engine/engine.js";
import { call, http, useEngine } from "../support/engine.js";

const engine = useEngine();

describe.each(["p2", "p3"])("a %s instance", (version) => {
  // `src/invoke/executor.ts` counts on it; the engine ends the instance, and the next lease on it is refused.
  it("goes on after the guest's own error", async () => {
    const program = await engine.program(`behave-${version}`);
    const on = engine.slot();
    await engine.run(program, "/error", { on, last: false }).ended;
    expect((await engine.run(program, "/", { on }).answer()).status).toBe(200);
  });

  it("sends no more of an answer than there is credit for", async () => {
    const run = engine.run(await engine.program(`behave-${version}`), "/big?bytes=2000000", { credit: false, deadlines: { idle: 100 } });
    await run.ended;
    expect(run.bytes().length).toBeLessThanOrEqual(CREDIT_BYTES);
  });

  it("sends an answer of exactly 64 KiB in one event", async () => {
    const program = await engine.program(`behave-${version}`);
    const runs = Array.from({ length: 5 }, () => engine.run(program, `/big?bytes=${INLINE_BYTES}`));
    await Promise.all(runs.map((run) => run.ended));
    expect(runs.map((run) => run.kinds().join())).toContain("head,settled");
  });
});

describe("a program that was unlinked", () => {
  it("leaves its instances alone: none is said to be retired that lives", async () => {
    const program = await engine.link("hello-p3");
    const on = await engine.prepare(program);
    engine.port.unlink(program);
    await engine.run(program, "/", { on }).ended;
    const lives = engine.port.stats().instances > 0;
    engine.retire(on);
    await engine.gone(on);
    await engine.idle();
    expect(lives).toBe(false);
  });
});

describe("a frame that does not fit", () => {
  it("because of its authority is refused by that name", async () => {
    const outcome = await engine.run(await engine.program("hello-p3"), http("/", { authority: "a b" })).outcome();
    expect(outcome).toMatchObject({ message: 'the authority "a b" is not a host with an optional port' });
  });
});

describe("values that a guest returns", () => {
  it("are blamed on the limit that they exceed", async () => {
    const program = await engine.program("calc", { limits: { valueBytes: 1000 } });
    const outcome = await engine.run(program, call("demo:math/calc", "parse", [`a=1;${"t,".repeat(60)}`])).outcome();
    expect(outcome).toMatchObject({ kind: "limit", limit: "values", allowed: 1000 });
  });
});
