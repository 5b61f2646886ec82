import { describe, expect, it } from "vitest";
import { CREDIT_BYTES, INLINE_BYTES } from "../../src/engine/engine.js";
import { http, useEngine, type TestRun } from "../support/engine.js";

const engine = useEngine();

/** Sends a body in pieces, never more than the guest has asked for. */
async function upload(run: TestRun, body: Uint8Array, piece: number, trailers?: readonly string[]): Promise<void> {
  for (let sent = 0; sent < body.length; sent += piece) {
    const bytes = body.subarray(sent, sent + piece);
    await engine.until(() => run.wanted() >= sent + bytes.length || run.over !== undefined);
    if (run.over !== undefined) return;
    run.chunk(bytes);
  }
  run.end(trailers);
}

function letters(bytes: number): Buffer {
  return Buffer.from("abcdefghijklmnopqrstuvwxyz".repeat(Math.ceil(bytes / 26)).slice(0, bytes));
}

describe.each(["p2", "p3"])("an answer, %s", (version) => {
  const behave = (): Promise<number> => engine.program(`behave-${version}`);

  it("that is written slowly arrives piece by piece", async () => {
    const run = engine.run(await behave(), "/slow?pieces=4&ms=15");
    const { headers, body } = await run.answer();
    expect(headers["content-type"]).toBe("text/event-stream");
    expect(body).toBe("data: 0\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\n");
    expect(run.kinds().slice(-2)).toEqual(["end", "settled"]);
    expect(run.kinds().filter((kind) => kind === "chunk").length).toBeGreaterThanOrEqual(3);
  });

  it.each([0, 1, 60_000])("of %d bytes arrives in one event", async (bytes) => {
    const program = await behave();
    const runs = Array.from({ length: 5 }, () => engine.run(program, `/big?bytes=${bytes}`));
    for (const run of runs) expect((await run.answer()).body).toHaveLength(bytes);
    // The engine's clock beat may fall between a guest's last byte and its end, and what is there goes out.
    expect(runs.map((run) => run.kinds().join())).toContain("head,settled");
  });

  it("that is large arrives whole, in events of at most 64 KiB", async () => {
    const run = engine.run(await behave(), "/big?bytes=3000000");
    const { outcome, usage } = await run.answer();
    expect(outcome).toEqual({ kind: "ok", exit: 0 });
    expect(usage.responseBytes).toBe(3_000_000);
    // The guest writes its alphabet anew in each piece of 26 * 2520 bytes.
    expect(run.bytes().equals(letters(3_000_000))).toBe(true);
    for (const event of run.events) {
      const bytes = event.kind === "head" ? event.body : event.kind === "chunk" ? event.bytes : undefined;
      expect(bytes?.byteLength ?? 0).toBeLessThanOrEqual(INLINE_BYTES);
    }
  });

  it("comes as far as the credit and no further", async () => {
    const run = engine.run(await behave(), "/big?bytes=2000000", { credit: false, deadlines: { idle: 150 } });
    const outcome = await run.outcome();
    expect(outcome).toMatchObject({ kind: "limit", limit: "idle-time", allowed: 150 });
    expect(run.bytes()).toHaveLength(CREDIT_BYTES);
  });

  it("goes on by as much as is credited", async () => {
    const run = engine.run(await behave(), "/big?bytes=600000", { credit: false });
    await engine.until(() => run.bytes().length === CREDIT_BYTES);
    run.credit(600_000);
    expect((await run.answer()).body).toHaveLength(600_000);
  });

  it("has its trailers", async () => {
    const { body, trailers } = await engine.ask(`behave-${version}`, "/trailers");
    expect([body, trailers]).toEqual(["body\n", ["x-checksum", "42"]]);
  });

  it("keeps a declared length, even a wrong one, for the front to judge", async () => {
    const { headers, outcome } = await engine.ask(`behave-${version}`, "/big?bytes=10&length=10");
    expect([headers["content-length"], outcome.kind]).toEqual(["10", "ok"]);
  });
});

describe.each(["p2", "p3"])("a request body, %s", (version) => {
  const echo = (): Promise<number> => engine.program(`echo-${version}`);
  const post = (parts: object): ReturnType<typeof http> =>
    http("/", { method: "POST", headers: ["content-type", "text/x-test"], ...parts });

  it("travels inside the command when it is there already", async () => {
    const run = engine.run(await echo(), post({ body: letters(INLINE_BYTES) }));
    const { headers, body, usage } = await run.answer();
    expect(headers["content-type"]).toBe("text/x-test");
    expect(body).toBe(letters(INLINE_BYTES).toString());
    expect(usage).toMatchObject({ requestBytes: INLINE_BYTES, responseBytes: INLINE_BYTES });
    expect(run.kinds()).not.toContain("need-input");
  });

  it("keeps every byte", async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const run = engine.run(await echo(), post({ body: bytes }));
    await run.ended;
    expect(run.bytes().equals(bytes)).toBe(true);
  });

  it("arrives in chunks as the guest asks for them, and comes back whole", async () => {
    const body = letters(1_500_000);
    const run = engine.run(await echo(), post({ more: true }));
    await upload(run, body, 50_000);
    const { outcome, usage } = await run.answer();
    expect(outcome).toEqual({ kind: "ok", exit: 0 });
    expect(run.bytes().equals(body)).toBe(true);
    expect(usage.requestBytes).toBe(body.length);
    expect((await run.first("need-input")).bytes).toBe(CREDIT_BYTES);
  });

  it("may begin in the command and go on in chunks", async () => {
    const run = engine.run(await echo(), post({ body: Buffer.from("one "), more: true }));
    await run.first("need-input");
    run.chunk("two ");
    run.chunk("three");
    run.end();
    expect((await run.answer()).body).toBe("one two three");
  });

  it("that is empty after all ends like one without a body", async () => {
    const run = engine.run(await echo(), post({ more: true }));
    run.end();
    expect((await run.answer()).body).toBe("");
  });

  it("carries its trailers to the guest, which sends them back", async () => {
    const run = engine.run(await echo(), post({ more: true }));
    await run.first("need-input");
    run.chunk("body");
    run.end(["x-checksum", "7", "x-checksum", "8"]);
    const { body, trailers } = await run.answer();
    expect([body, trailers]).toEqual(["body", ["x-checksum", "7", "x-checksum", "8"]]);
  });

  it("is not asked for by a guest that does not read it, and what still comes is dropped", async () => {
    const run = engine.run(await engine.program(`hello-${version}`), post({ more: true }));
    run.chunk("nobody reads this");
    const { status } = await run.answer();
    expect(status).toBe(200);
    expect(run.kinds()).not.toContain("need-input");
    run.chunk("nor this");
    run.end();
  });

  it("is asked for no faster than a slow guest takes it", async () => {
    const run = engine.run(await engine.program(`behave-${version}`), http("/read?ms=15", { method: "POST", more: true }));
    await run.first("need-input");
    for (let i = 0; i < 16; i++) run.chunk(letters(CREDIT_BYTES / 16));
    // Less than all of it can have been taken when the first word of more comes.
    await engine.until(() => run.wanted() > CREDIT_BYTES);
    expect(run.wanted()).toBeLessThan(2 * CREDIT_BYTES);
    run.end();
    expect((await run.answer()).body).toBe(`${CREDIT_BYTES}\n`);
    expect(run.wanted()).toBeLessThanOrEqual(2 * CREDIT_BYTES);
  });

  it("may be cut off by a guest that has read enough", async () => {
    const run = engine.run(await engine.program(`behave-${version}`), http("/read?bytes=10", { method: "POST", more: true }));
    await run.first("need-input");
    run.chunk(letters(1000));
    expect((await run.answer()).body).toBe("10\n");
  });

  it("flows both ways at once", async () => {
    const run = engine.run(await echo(), post({ more: true }));
    await run.first("need-input");
    run.chunk("first");
    await engine.until(() => run.bytes().toString() === "first");
    run.chunk("second");
    await engine.until(() => run.bytes().toString() === "firstsecond");
    run.end();
    expect((await run.answer()).body).toBe("firstsecond");
  });
});
