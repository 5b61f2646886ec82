/** The memory in which events and frames cross. The writer here is written after the table in `native/src/drain.rs`. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { EngineEvent, GuestLine } from "../../src/engine/engine.js";
import { EventReader, FrameWriter, joinHeaders, splitHeaders, type Replies } from "../../src/engine/frames.js";
import { NO_USAGE, type Outcome } from "../../src/engine/outcome.js";

/** Larger bodies travel as Buffers of their own. */
const SMALL = 16 * 1024;

const NO_REPLIES: Replies = { loaded() {}, linked() {}, closed() {}, written() {}, measured() {}, probed() {} };

/** What `drain` does. */
class Wire {
  readonly numbers = new Float64Array(4096);
  readonly bytes = Buffer.alloc(256 * 1024);
  readonly large: Buffer[] = [];
  #n = 0;
  #b = 0;

  put(...numbers: number[]): this {
    for (const number of numbers) this.numbers[this.#n++] = number;
    return this;
  }

  body(bytes: Buffer | undefined): this {
    if (bytes === undefined) return this.put(-1);
    if (bytes.length > SMALL) {
      this.large.push(bytes);
      return this.put(-2);
    }
    bytes.copy(this.bytes, this.#b);
    this.#b += bytes.length;
    return this.put(bytes.length);
  }

  text(text: string | undefined): this {
    return this.body(text === undefined ? undefined : Buffer.from(text));
  }

  headers(headers: readonly string[] | undefined): this {
    return this.body(headers === undefined ? undefined : Buffer.from(joinHeaders(headers), "latin1"));
  }

  outcome(outcome: Outcome): this {
    if (outcome.kind === "ok" && outcome.exit === 0) return this.put(0);
    const { kind } = outcome;
    const code = "code" in outcome ? outcome.code : kind === "limit" ? outcome.limit : "";
    const message =
      kind === "ok"
        ? String(outcome.exit)
        : kind === "limit"
          ? `${outcome.used}/${outcome.allowed}`
          : "message" in outcome
            ? outcome.message
            : "";
    return this.put(1).text(kind).text(code).text(message);
  }

  event(event: EngineEvent): this {
    switch (event.kind) {
      case "ready":
        return this.put(0, event.slot, event.generation, event.nanoseconds);
      case "failed":
        return this.put(1, event.slot, event.generation).outcome(event.outcome);
      case "lease-refused":
        return this.put(2, event.slot, event.generation, event.run);
      case "head":
        return this.put(3, event.run, event.status)
          .headers(event.headers)
          .body(event.body as Buffer | undefined)
          .put(Number(event.ended))
          .headers(event.trailers)
          .put(event.startNanoseconds, event.notes ?? 0);
      case "chunk":
        return this.put(4, event.run).body(event.bytes as Buffer);
      case "end":
        return this.put(5, event.run).headers(event.trailers);
      case "need-input":
        return this.put(6, event.run, event.bytes);
      case "result":
        return this.put(7, event.run).text(event.json);
      case "ask":
        return this.put(8, event.run, event.ask).text(event.interface).text(event.function).text(event.arguments);
      case "call":
        return this.put(17, event.run, event.call, event.bytes).text(event.target).text(event.function);
      case "log-batch":
        for (const line of event.lines) this.#line(line);
        return this;
      case "settled":
        return this.put(10, event.run, Number(event.began))
          .outcome(event.outcome)
          .put(...Object.values(event.usage))
          .text(undefined);
      case "consulted":
        return this.put(18, event.request, event.run).text(JSON.stringify(event.answer));
      case "retired":
        return this.put(11, event.slot, event.generation);
    }
  }

  #line({ slot, run, on, origin, level, context, text }: GuestLine): void {
    this.put(9, slot, run ?? -1, on ?? -1, ["stdout", "stderr", "wasi:logging"].indexOf(origin))
      .text(level)
      .text(context)
      .text(text);
  }

  read(replies: Replies = NO_REPLIES): { events: EngineEvent[]; more: boolean } {
    const events: EngineEvent[] = [];
    const more = new EventReader(this.numbers, this.bytes).read(this.large.length === 0 ? undefined : this.large, events, replies);
    return { events, more };
  }
}

const id = fc.nat(2 ** 31);
const token = fc.stringMatching(/^[a-z][a-z-]{0,12}$/);
// Any bytes but CR and LF, which no header can hold.
const value = fc.string({
  unit: fc
    .integer({ min: 0, max: 255 })
    .filter((c) => c !== 10 && c !== 13)
    .map((c) => String.fromCharCode(c)),
  maxLength: 20,
});
const headers = fc.array(fc.tuple(token, value), { maxLength: 5 }).map((pairs) => pairs.flat());
const text = fc.oneof(fc.string({ unit: "grapheme", maxLength: 30 }), fc.constant("long ".repeat(5000)));
const body = fc.oneof(
  { weight: 20, arbitrary: fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)) },
  { weight: 1, arbitrary: fc.constantFrom(Buffer.alloc(SMALL, 1), Buffer.alloc(SMALL + 1, 2)) },
);
const usage = fc
  .tuple(id, id, id, id, id, id, id, id, id, id)
  .map((numbers) => Object.fromEntries(Object.keys(NO_USAGE).map((key, i) => [key, numbers[i]])) as unknown as typeof NO_USAGE);
const outcome: fc.Arbitrary<Outcome> = fc.oneof(
  fc.nat(255).map((exit) => ({ kind: "ok", exit }) as const),
  fc.record({
    kind: fc.constant("guest-error" as const),
    code: fc.constantFrom("error-code" as const, "no-answer" as const, "bad-answer" as const),
    message: text,
  }),
  fc.record({ kind: fc.constant("trap" as const), message: text }),
  fc.record({
    kind: fc.constant("limit" as const),
    limit: fc.constantFrom("memory" as const, "idle-time" as const),
    used: fc.maxSafeNat(),
    allowed: fc.maxSafeNat(),
  }),
  fc.constant({ kind: "cancelled" } as const),
  fc.record({ kind: fc.constant("refused" as const), code: fc.constantFrom("node-full" as const, "no-function" as const), message: text }),
  fc.record({ kind: fc.constant("platform" as const), code: fc.constantFrom("internal" as const, "closing" as const), message: text }),
);
const absent = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined });
const line: fc.Arbitrary<GuestLine> = fc.record({
  slot: id,
  run: absent(id),
  on: absent(id),
  origin: fc.constantFrom("stdout" as const, "stderr" as const, "wasi:logging" as const),
  level: absent(fc.constantFrom("info" as const, "critical" as const)),
  context: absent(text),
  text,
});
const event: fc.Arbitrary<EngineEvent> = fc.oneof(
  fc.record({ kind: fc.constant("consulted" as const), request: id, run: id, answer: fc.record({ times: fc.array(id), stopped: id }) }),
  fc.record({ kind: fc.constant("call" as const), run: id, call: id, bytes: id, target: text, function: text }),
  fc.record({ kind: fc.constant("ready" as const), slot: id, generation: id, nanoseconds: id }),
  fc.record({ kind: fc.constant("failed" as const), slot: id, generation: id, outcome }),
  fc.record({ kind: fc.constant("lease-refused" as const), slot: id, generation: id, run: id }),
  fc.record({
    kind: fc.constant("head" as const),
    run: id,
    status: fc.integer({ min: 100, max: 999 }),
    headers,
    body: absent(body),
    ended: fc.boolean(),
    trailers: absent(headers),
    startNanoseconds: id,
    notes: id,
  }),
  fc.record({ kind: fc.constant("chunk" as const), run: id, bytes: body }),
  fc.record({ kind: fc.constant("end" as const), run: id, trailers: absent(headers) }),
  fc.record({ kind: fc.constant("need-input" as const), run: id, bytes: id }),
  fc.record({ kind: fc.constant("result" as const), run: id, json: text }),
  fc.record({ kind: fc.constant("ask" as const), run: id, ask: id, interface: text, function: text, arguments: text }),
  fc.record({ kind: fc.constant("log-batch" as const), lines: fc.array(line, { minLength: 1, maxLength: 3 }) }),
  fc.record({ kind: fc.constant("settled" as const), run: id, began: fc.boolean(), outcome, usage }),
  fc.record({ kind: fc.constant("retired" as const), slot: id, generation: id }),
);

/** Lines that follow each other are one batch. */
function joined(events: readonly EngineEvent[]): EngineEvent[] {
  const out: EngineEvent[] = [];
  for (const each of events) {
    const last = out.at(-1);
    if (each.kind === "log-batch" && last?.kind === "log-batch")
      out[out.length - 1] = { kind: "log-batch", lines: [...last.lines, ...each.lines] };
    else out.push(each);
  }
  return out;
}

describe("events", () => {
  it("come out as they went in, whatever they are", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 8 }), (events) => {
        const wire = new Wire();
        for (const each of events) wire.event(each);
        expect(wire.put(-1).read()).toEqual({ events: joined(events), more: false });
      }),
      { numRuns: 150 },
    );
  });

  it("go on in another drain when the memory was full", () => {
    expect(new Wire().put(11, 1, 2, -2).read()).toEqual({ events: [{ kind: "retired", slot: 1, generation: 2 }], more: true });
  });

  it("own their bytes: the next drain may fill the memory anew", () => {
    const wire = new Wire().event({ kind: "chunk", run: 1, bytes: Buffer.from("mine") }).put(-1);
    const { events } = wire.read();
    wire.bytes.fill(0);
    expect(Buffer.from((events[0] as { bytes: Uint8Array }).bytes).toString()).toBe("mine");
  });

  it("tell what the results of an ended run depend on", () => {
    const settled = (trace: Buffer): unknown =>
      new Wire()
        .put(10, 1, 1, 0, ...Object.values(NO_USAGE))
        .body(trace)
        .put(-1)
        .read().events[0];
    const trace = (notes: number, reads: string, rest: string): Buffer => {
      const head = Buffer.alloc(8);
      head.writeUInt32LE(notes, 0);
      head.writeUInt32LE(reads.length, 4);
      return Buffer.concat([head, Buffer.from(reads + rest)]);
    };
    expect(settled(trace(5, "what was read", ""))).toEqual({
      kind: "settled",
      run: 1,
      began: true,
      outcome: { kind: "ok", exit: 0 },
      usage: NO_USAGE,
      trace: { notes: 5, reads: Buffer.from("what was read"), depends: {}, fetched: [] },
    });
    expect(settled(trace(0, "", '{"depends":{"r":"1"},"fetched":[]}'))).toMatchObject({ trace: { notes: 0, depends: { r: "1" } } });
  });

  it("of an unknown kind are refused: the two halves are not of one build", () => {
    expect(() => new Wire().put(11, 1, 2, 99, -1).read()).toThrow(
      "unknown event 99 at 3: the addon and this build of Pilotlight do not belong together",
    );
  });

  it("leave answers to load, link, close, writes and footprint to those who asked", () => {
    const seen: unknown[] = [];
    const replies: Replies = {
      loaded: (...args) => void seen.push(["loaded", ...args]),
      linked: (...args) => void seen.push(["linked", ...args]),
      closed: () => void seen.push(["closed"]),
      written: (...args) => void seen.push(["written", ...args]),
      measured: (...args) => void seen.push(["measured", ...args]),
      probed: (...args) => void seen.push(["probed", ...args]),
    };
    const wire = new Wire().put(12, 1).text("{}").text(undefined).put(12, 2).text(undefined).text("no component");
    wire.put(13, 3, 7).text(undefined).put(13, 4, -1).text("unmet").put(14);
    wire.put(15, 5, 9).text(undefined).put(15, 6, -1).text("quota\ntoo much");
    wire.put(16, 7, 65536).text(undefined).put(16, 8, -1).text("no room").put(-1);
    expect(wire.read(replies)).toEqual({ events: [], more: false });
    expect(seen).toEqual([
      ["loaded", 1, "{}", undefined],
      ["loaded", 2, undefined, "no component"],
      ["linked", 3, 7, undefined],
      ["linked", 4, undefined, "unmet"],
      ["closed"],
      ["written", 5, 9, undefined],
      ["written", 6, undefined, "quota\ntoo much"],
      ["measured", 7, 65536, undefined],
      ["measured", 8, undefined, "no room"],
    ]);
  });
});

describe("header blocks", () => {
  it("keep order, duplicates, empty values and any bytes", () => {
    fc.assert(
      fc.property(headers, (list) => {
        expect(splitHeaders(joinHeaders(list))).toEqual(list);
      }),
    );
    expect(splitHeaders(joinHeaders(["a", "", "a", "\u00e9\u00ff"]))).toEqual(["a", "", "a", "\u00e9\u00ff"]);
  });
});

describe("a frame", () => {
  const written = (parts: [string, string, string, string, string], bytes: Uint8Array | undefined, room = 64 * 1024) => {
    const numbers = new Float64Array(16).fill(-9);
    const memory = Buffer.alloc(room);
    const result = new FrameWriter(numbers, memory).write(2, parts, bytes);
    return { result, numbers: [...numbers.subarray(2, 8)], memory };
  };

  it("is its parts one after the other, and their lengths", () => {
    const { result, numbers, memory } = written(["GET", "http", "h", "/\u00e9", "a\nb"], Buffer.from("body"));
    expect(result).toEqual({ large: undefined });
    expect(numbers).toEqual([3, 4, 1, 2, 3, 4]);
    expect(memory.toString("latin1", 0, 17)).toBe("GEThttph/\u00e9a\nbbody");
  });

  it("says that there is no body, and that it comes beside", () => {
    expect(written(["GET", "http", "h", "/", ""], undefined).numbers.at(-1)).toBe(-1);
    const large = new Uint8Array(SMALL + 1);
    const { result, numbers } = written(["GET", "http", "h", "/", ""], large);
    expect([result?.large, numbers.at(-1)]).toEqual([large, -2]);
    expect(written(["GET", "http", "h", "/", ""], new Uint8Array(SMALL)).numbers.at(-1)).toBe(SMALL);
  });

  it("that does not fit is not written", () => {
    expect(written(["GET", "http", "h", "/", "x".repeat(50_000)], undefined).result).toBeUndefined();
    expect(written(["GET", "http", "h", "/", "x".repeat(40_000)], new Uint8Array(SMALL)).result).toEqual({ large: undefined });
  });
});
