/** Requests that deserve an answer, and the answer. */
import type { Random } from "../support/random.js";
import { Violation } from "../support/steps.js";
import { expectBody, expectWhole, type Place } from "./expect.js";
import { LIMITS } from "./tasks.js";

export interface Case {
  readonly name: string;
  run(place: Place, random: Random): Promise<void>;
}

const KIB = 1024;

/** The bytes of `/big`. */
export function letters(length: number): Buffer {
  return Buffer.alloc(length, "abcdefghijklmnopqrstuvwxyz");
}

export const GOOD: readonly Case[] = [
  get("hello", () => ["/hello", "Hello, WASI!\n"]),
  get("ok", () => ["/", "ok\n"]),
  get("cpu", (random) => [`/cpu?ms=${1 + random.below(5)}`, "ok\n"]),
  get("sleep", (random) => [`/sleep?ms=${random.below(50)}`, "ok\n"]),
  get("log", () => ["/log", "ok\n"]),
  get("flood", (random) => [`/flood?bytes=${random.below(512 * KIB)}`, "ok\n"]),
  get("handles", (random) => ((count) => [`/handles?count=${count}`, `${count}\n`])(random.below(500))),
  get("slow", (random) => ((pieces) => [`/slow?pieces=${pieces}&ms=${random.below(10)}`, events(pieces)])(1 + random.below(5))),
  get("big", (random) => ((bytes) => [`/big?bytes=${bytes}`, letters(bytes)])(random.below(LIMITS.responseBody / 4))),
  get("big with a length", (random) => ((bytes) => [`/big?bytes=${bytes}&length=${bytes}`, letters(bytes)])(1 + random.below(256 * KIB))),
  { name: "status", run: status },
  { name: "head", run: head },
  { name: "trailers", run: trailers },
  { name: "grow", run: grow },
  { name: "read", run: read },
  { name: "echo", run: echo },
  { name: "echo in chunks", run: echoChunked },
];

function get(name: string, make: (random: Random) => readonly [path: string, body: string | Buffer]): Case {
  return {
    name,
    async run({ client, port }, random) {
      const [path, body] = make(random);
      expectBody(await client.ask(port, { path }), 200, body);
    },
  };
}

function events(pieces: number): string {
  return Array.from({ length: pieces }, (_, i) => `data: ${i}\n\n`).join("");
}

async function status({ client, port }: Place, random: Random): Promise<void> {
  const code = random.pick([200, 201, 301, 404, 418, 500, 503]);
  expectBody(await client.ask(port, { path: `/status?code=${code}` }), code, String(code));
}

async function head({ client, port }: Place): Promise<void> {
  expectBody(await client.ask(port, { method: "HEAD", path: "/hello" }), 200, "");
}

async function trailers({ client, port }: Place): Promise<void> {
  const answer = await client.ask(port, { path: "/trailers", headers: { TE: "trailers" } });
  expectBody(answer, 200, "body\n");
  if (answer.trailers["x-checksum"] !== "42")
    throw new Violation(`the trailer x-checksum should be 42, not ${answer.trailers["x-checksum"]}`);
}

/** A guest that takes all it may have and no more is a good one; how much it got is no secret, and below the limit. */
async function grow({ client, port }: Place): Promise<void> {
  const answer = await client.ask(port, { path: "/grow-ok" });
  expectWhole(answer, 200);
  const bytes = Number(answer.body.toString());
  if (!(bytes > LIMITS.memory / 2 && bytes <= LIMITS.memory)) throw new Violation(`of ${LIMITS.memory} bytes the guest got ${bytes}`);
}

async function read({ client, port }: Place, random: Random): Promise<void> {
  const body = random.bytes(random.below(LIMITS.requestBody));
  expectBody(await client.ask(port, { method: "POST", path: "/read", body }), 200, `${body.length}\n`);
}

async function echo({ client, port }: Place, random: Random): Promise<void> {
  const body = random.bytes(random.below(random.chance(0.5) ? 2 * KIB : 300 * KIB));
  const answer = await client.ask(port, { method: "POST", path: "/echo/x", body, headers: { "Content-Type": "application/x-soak" } });
  expectBody(answer, 200, body);
  if (answer.headers["content-type"] !== "application/x-soak")
    throw new Violation(`the content type came back as ${answer.headers["content-type"]}`);
}

async function echoChunked({ client, port }: Place, random: Random): Promise<void> {
  const body = random.bytes(random.below(300 * KIB));
  const trailers = { "x-sum": String(body.length) };
  const headers = { "Content-Type": "application/x-soak", TE: "trailers", Trailer: "x-sum" };
  const answer = await client.ask(port, { method: "POST", path: "/echo/x", body, chunk: 1 + random.below(40 * KIB), headers, trailers });
  expectBody(answer, 200, body);
  if (answer.trailers["x-sum"] !== trailers["x-sum"])
    throw new Violation(`the trailer x-sum should be ${trailers["x-sum"]}, not ${answer.trailers["x-sum"]}`);
}
