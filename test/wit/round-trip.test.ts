/** Values of every WIT type, in both encodings and both directions, through a real component that gives back what it takes. */
import fc from "fast-check";
import { Packr, Unpackr } from "msgpackr";
import { describe, expect, it } from "vitest";
import { parseType, type WitType } from "../../src/wit/wit-type.js";
import { startRuntime, type StartedRuntime } from "../support/runtime.js";
import { identityComponent, PAD } from "./identity.js";
import { typeText, valueOf, type Both } from "./values.js";

const JSON_TYPE = "application/json";
const MSGPACK = "application/msgpack";
const packer = new Packr({ useRecords: false });
const unpacker = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: "bigint" });

async function identities(types: readonly string[]): Promise<StartedRuntime> {
  const component = await identityComponent(types);
  return startRuntime([{ manifest: { name: "same", limits: { values: "64MiB" } }, component }]);
}

interface Answer {
  readonly status: number;
  readonly value: unknown;
}

async function send(
  node: StartedRuntime,
  index: number,
  body: string | Uint8Array<ArrayBuffer>,
  type: string,
  accept: string,
): Promise<Answer> {
  const response = await node.get(`/-/tasks/same/same-${index}`, { method: "POST", headers: { "content-type": type, accept }, body });
  const bytes = Buffer.from(await response.arrayBuffer());
  const isPacked = response.headers.get("content-type") === MSGPACK;
  return { status: response.status, value: isPacked ? unpacker.unpack(bytes) : JSON.parse(bytes.toString()) };
}

const packed = (value: unknown): Uint8Array<ArrayBuffer> => new Uint8Array(packer.pack([value]));

/** What is answered of a top-level result: its ok value, or a problem with its error value, which is JSON always. */
function answerOf(type: WitType, both: Both, of: keyof Both): Answer {
  if (type.kind !== "result") return { status: 200, value: both[of] };
  const isOk = (both.json as { tag: string }).tag === "ok";
  return { status: isOk ? 200 : 422, value: (both[isOk ? of : "json"] as { val?: unknown }).val ?? null };
}

function told({ status, value }: Answer): Answer {
  return { status, value: status === 422 ? (value as { error: unknown }).error : value };
}

/** JSON to MessagePack and back, so that each encoding goes in and comes out. */
async function expectRoundTrip(node: StartedRuntime, index: number, type: WitType, both: Both): Promise<void> {
  const there = await send(node, index, JSON.stringify([both.json]), JSON_TYPE, MSGPACK);
  expect(told(there)).toEqual(answerOf(type, both, "packed"));
  const back = await send(node, index, packed(both.packed), MSGPACK, JSON_TYPE);
  expect(told(back)).toEqual(answerOf(type, both, "json"));
}

const bytes = (...of: number[]): Both => ({ json: Buffer.from(of).toString("base64"), packed: Buffer.from(of) });
const plain = (value: unknown): Both => ({ json: value, packed: value });
const POINT = "record { x: s32, max-size: option<u64>, a-2nd: string }";
const SHAPE = "variant { circle(f64), named(string), raw(list<u8>), nothing }";
const MANY = Array.from({ length: 32 }, (_, i) => `f${i}`);

const TABLE: readonly (readonly [type: string, Both])[] = [
  ["bool", plain(true)],
  ["u8", plain(255)],
  ["s8", plain(-128)],
  ["u16", plain(65_535)],
  ["s16", plain(-32_768)],
  ["u32", plain(4_294_967_295)],
  ["s32", plain(-2_147_483_648)],
  ["u64", { json: "18446744073709551615", packed: 18_446_744_073_709_551_615n }],
  ["u64", { json: Number.MAX_SAFE_INTEGER, packed: BigInt(Number.MAX_SAFE_INTEGER) }],
  ["u64", { json: "9007199254740992", packed: 9_007_199_254_740_992n }],
  ["u64", plain(0)],
  ["s64", { json: "-9223372036854775808", packed: -9_223_372_036_854_775_808n }],
  ["s64", { json: "9223372036854775807", packed: 9_223_372_036_854_775_807n }],
  ["s64", { json: 4_294_967_296, packed: 4_294_967_296n }],
  ["f32", plain(0.5)],
  ["f32", { json: "NaN", packed: Number.NaN }],
  ["f64", { json: "Infinity", packed: Number.POSITIVE_INFINITY }],
  ["f64", { json: "-Infinity", packed: Number.NEGATIVE_INFINITY }],
  ["f64", plain(5e-324)],
  ["f64", plain(1.7976931348623157e308)],
  ["char", plain("é")],
  ["char", plain("😀")],
  ["string", plain("")],
  ["string", plain('a "quoted" \\ line\n\u0000\u2028 😀 \u{10ffff}')],
  ["string", plain("x".repeat(200_000))],
  ["list<u8>", bytes()],
  ["list<u8>", bytes(0, 127, 128, 255)],
  ["list<u8>", bytes(...Array.from({ length: 100_000 }, (_, i) => i & 255))],
  ["list<string>", plain([])],
  ["list<u32>", plain(Array.from({ length: 100_000 }, (_, i) => i))],
  ["list<list<u8>>", { json: ["AQ==", ""], packed: [Buffer.from([1]), Buffer.from([])] }],
  ["option<string>", plain(null)],
  ["option<string>", plain("x")],
  ["option<list<u8>>", bytes(1)],
  ["option<option<u8>>", plain(null)],
  ["option<option<u8>>", plain({ tag: "some", val: null })],
  ["option<option<u8>>", plain({ tag: "some", val: 7 })],
  ["option<option<option<bool>>>", plain({ tag: "some", val: { tag: "some", val: null } })],
  ["tuple<u8>", plain([1])],
  ["tuple<u64, string, list<u8>>", { json: ["9007199254740993", "a", "/w=="], packed: [9_007_199_254_740_993n, "a", Buffer.from([255])] }],
  [POINT, { json: { a_2nd: "z", maxSize: 4_294_967_296, x: -1 }, packed: { x: -1, maxSize: 4_294_967_296n, a_2nd: "z" } }],
  [POINT, plain({ x: 1, maxSize: null, a_2nd: "" })],
  [SHAPE, plain({ tag: "circle", val: 1.5 })],
  [SHAPE, { json: { tag: "circle", val: "NaN" }, packed: { tag: "circle", val: Number.NaN } }],
  [SHAPE, { json: { tag: "raw", val: "AP8=" }, packed: { tag: "raw", val: Buffer.from([0, 255]) } }],
  [SHAPE, plain({ tag: "nothing" })],
  ["enum { metre, light-year }", plain("light-year")],
  ["flags { bold, under-line }", plain([])],
  ["flags { bold, under-line }", plain(["bold", "under-line"])],
  [`flags { ${MANY.join(", ")} }`, plain(MANY)],
  ["result", plain({ tag: "ok" })],
  ["result", plain({ tag: "err" })],
  ["result<u64>", { json: { tag: "ok", val: "18446744073709551615" }, packed: { tag: "ok", val: 18_446_744_073_709_551_615n } }],
  ["result<list<u8>, string>", plain({ tag: "err", val: "no" })],
  ["result<list<u8>, string>", { json: { tag: "ok", val: "AQ==" }, packed: { tag: "ok", val: Buffer.from([1]) } }],
  [
    `result<_, ${SHAPE}>`,
    { json: { tag: "err", val: { tag: "raw", val: "AQ==" } }, packed: { tag: "err", val: { tag: "raw", val: Buffer.from([1]) } } },
  ],
  ["list<result<_, u8>>", plain([{ tag: "ok" }, { tag: "err", val: 3 }])],
  ["tuple<result<list<u8>>>", { json: [{ tag: "ok", val: "AQ==" }], packed: [{ tag: "ok", val: Buffer.from([1]) }] }],
];

const TYPES = [...new Set(TABLE.map(([type]) => type))];

describe("a value comes back as it was, in JSON and in MessagePack,", () => {
  it("of each type in the table, at its limits, empty and large", async () => {
    const started = await identities(TYPES);
    for (const [text, both] of TABLE) {
      const [index, type] = [TYPES.indexOf(text), parseType(text)];
      await expectRoundTrip(started, index, type, both);
      // The same encoding on both sides.
      expect(told(await send(started, index, JSON.stringify([both.json]), JSON_TYPE, JSON_TYPE))).toEqual(answerOf(type, both, "json"));
      expect(told(await send(started, index, packed(both.packed), MSGPACK, MSGPACK))).toEqual(answerOf(type, both, "packed"));
      expect(await started.runtime.call("same", `same-${index}`, [both.json])).toEqual(both.json);
    }
  });

  it("of types and values by chance", async () => {
    const texts = fc.sample(typeText, 60);
    const started = await identities(texts);
    const sample = fc.nat(texts.length - 1).chain((index) => fc.tuple(fc.constant(index), valueOf(parseType(texts[index] as string))));
    await fc.assert(
      fc.asyncProperty(sample, ([index, both]) => expectRoundTrip(started, index, parseType(texts[index] as string), both)),
      { numRuns: 500 },
    );
  }, 60_000);
});

it("the engine writes types as they are read here", async () => {
  const node = await identities(TYPES);
  for (const [index, type] of TYPES.entries()) {
    const { wit } = (await (await node.get(`/-/tasks/same/same-${index}`, { method: "OPTIONS" })).json()) as { wit: string };
    expect(wit).toBe(`func(x: ${type}, pad: ${PAD}) -> ${type}`);
  }
});

describe("a value is refused, with its place, when it", () => {
  const json = (text: string): readonly [string, string] => [JSON_TYPE, text];
  const pack = (value: unknown): readonly [string, Uint8Array<ArrayBuffer>] => [MSGPACK, packed(value)];
  it.each<[string, string, readonly [string, string | Uint8Array<ArrayBuffer>], string]>([
    [
      "is one past 64 bits",
      "u64",
      json('["18446744073709551616"]'),
      '$[0]: "18446744073709551616" is out of range for u64, which goes from 0 to 18446744073709551615.',
    ],
    ["is one past 32 bits", "u32", pack(4_294_967_296), "$[0]: 4294967296 is out of range for u32, which goes from 0 to 4294967295."],
    ["is negative", "u64", pack(-1n), "$[0]: -1 is out of range for u64, which goes from 0 to 18446744073709551615."],
    ["is half a surrogate pair", "string", json('["\\ud800"]'), "Not JSON: unexpected end of hex escape at line 1, column 9."],
    ["is NaN for an integer", "u32", pack(Number.NaN), "$[0]: expected u32, found NaN."],
    ["is NaN for a text", "string", pack(Number.NaN), "$[0]: expected string, found NaN."],
    ["is a large number for a text", "string", pack(2n ** 60n), "$[0]: expected string, found 1152921504606846976."],
    ["is bytes for a text", POINT, pack({ x: 1, a_2nd: Buffer.from([1]) }), "$[0].a_2nd: expected string, found 1 bytes."],
    ["is a text for bytes", SHAPE, pack({ tag: "raw", val: "AQ==" }), "$[0].val: expected bytes, found a string."],
    ["is no base64", SHAPE, json('[{ "tag": "raw", "val": "?" }]'), '$[0].val: expected bytes in base64, found "?": '],
    [
      "is a wrong case deep inside",
      "list<result<_, u8>>",
      pack([{ tag: "ok" }, { tag: "no" }]),
      '$[0][1].tag: unknown case "no"; there are ok, err.',
    ],
    ["lacks a field", POINT, pack({ x: 1 }), "$[0]: missing a_2nd; the fields are x, maxSize, a_2nd."],
  ])("%s", async (_, type, [encoding, body], detail) => {
    const node = await identities([type]);
    const { status, value } = await send(node, 0, body, encoding, MSGPACK);
    expect(value).toMatchObject({ type: "https://pilotlight.dev/problems/request/invalid-argument" });
    expect([status, (value as { detail: string }).detail]).toEqual([400, expect.stringContaining(detail)]);
  });
});
