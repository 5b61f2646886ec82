/**
 * Requests that make a guest misbehave, and clients that do: what each must lead to, and who is blamed.
 *
 * A failure before the answer has begun is a problem; after it, the connection breaks off. Where both are right because
 * it is a race whether a guest's first words are out when it dies, both are accepted, and nothing in between.
 */
import { leave, sayAnything, type Asked } from "../support/client.js";
import type { Random } from "../support/random.js";
import { Violation } from "../support/steps.js";
import { expectBody, expectBroken, expectOutcome, expectProblem, expectRawProblem, runIdOf, type Place } from "./expect.js";
import { letters, type Case } from "./good.js";
import { untilServed } from "./patient.js";
import { LIMITS } from "./tasks.js";

const HALF = Buffer.from("the first half\n");

export const BAD: readonly Case[] = [
  problem("trap", "/trap", 500, "guest/trap"),
  problem("stack", "/stack", 500, "guest/trap"),
  problem("loop", "/loop", 500, "guest/cpu"),
  problem("memory", "/memory", 500, "guest/memory"),
  problem("hang", "/hang", 504, "guest/timeout"),
  problem("no answer", "/none", 500, "guest/no-answer"),
  problem("dropped answer", "/drop", 500, "guest/no-answer"),
  problem("two answers", "/twice", 500, "guest/trap"),
  problem("error", "/error", 500, "guest/error"),
  problem("exit", "/exit?code=1", 500, "guest/no-answer"),
  problem("handles", "/handles", 500, "guest/handles"),
  problem("status 101", "/status?code=101", 500, "guest/error"),
  problem("too much for its length", "/big?bytes=100&length=50", 500, "guest/error"),
  problem("too little for its length", "/big?bytes=50&length=100", 500, "guest/error"),
  broken("trap after the head", "/after-head-trap?ms=100", HALF, "trap"),
  broken("hang after the head", "/after-head-hang", HALF, "limit"),
  broken("output", `/big?bytes=${2 * LIMITS.responseBody}`, letters(2 * LIMITS.responseBody), "limit"),
  { name: "error after the head", run: errorAfterHead },
  { name: "trap after the end", run: trapAfterEnd },
  { name: "flood", run: flood },
  { name: "body too large", run: bodyTooLarge },
  { name: "body too large, in chunks", run: chunksTooLarge },
  { name: "malformed", run: malformed },
  { name: "headers too large", run: headersTooLarge },
  { name: "client leaves before the answer", run: leaveBeforeAnswer },
  { name: "client leaves amid events", run: leaveAmidEvents },
  { name: "client leaves amid a large answer", run: leaveAmidAnswer },
  { name: "client leaves amid its upload", run: leaveAmidUpload },
  { name: "client leaves amid an echo", run: leaveAmidEcho },
];

function problem(name: string, path: string, status: number, code: string): Case {
  return { name, run: async ({ client, port }) => expectProblem(await client.ask(port, { path }), status, code) };
}

function broken(name: string, path: string, beginning: Buffer, outcome: string): Case {
  return {
    name,
    async run(place) {
      const answer = await place.client.ask(place.port, { path });
      expectBroken(answer, beginning);
      await expectOutcome(place, runIdOf(answer), [outcome]);
    },
  };
}

async function errorAfterHead(place: Place): Promise<void> {
  const answer = await place.client.ask(place.port, { path: "/after-head-error" });
  if (answer.status === 200) expectBroken(answer, HALF);
  else expectProblem(answer, 500, "guest/error");
  await expectOutcome(place, runIdOf(answer), ["guest-error"]);
}

async function trapAfterEnd(place: Place): Promise<void> {
  const answer = await place.client.ask(place.port, { path: "/after-end-trap" });
  if (answer.status === 200) expectBody(answer, 200, "ok\n");
  else expectProblem(answer, 500, "guest/trap");
  await expectOutcome(place, runIdOf(answer), ["trap"]);
}

/** More log lines than anybody may write: the rest is dropped, and the answer is none the worse. */
async function flood({ client, port }: Place): Promise<void> {
  expectBody(await client.ask(port, { path: "/flood" }), 200, "ok\n");
}

async function bodyTooLarge(place: Place, random: Random): Promise<void> {
  const body = Buffer.alloc(LIMITS.requestBody + 1 + random.below(1000));
  await refusedBody(place, { method: "POST", path: "/read", body });
}

async function chunksTooLarge(place: Place): Promise<void> {
  await refusedBody(place, { method: "POST", path: "/read", body: Buffer.alloc(2 * LIMITS.requestBody), chunk: 64 * 1024 });
}

/** The connection may close while the client still sends, which can lose the answer to a reset; a wrong one it cannot excuse. */
async function refusedBody({ client, port }: Place, asked: Asked): Promise<void> {
  const answer = await client.ask(port, asked);
  if (answer.status === 0 && /ECONNRESET|EPIPE/.test(answer.ending)) return;
  expectProblem(answer, 413, "request/body-too-large");
}

const MALFORMED = [
  "nonsense\r\n\r\n",
  "GET / HTTP/1.1\r\n\r\n",
  "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
  "GET / HTTP/1.1\r\nHost a\r\n\r\n",
  "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
  "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: five\r\n\r\nhello",
  "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
];

async function malformed({ port }: Place, random: Random): Promise<void> {
  expectRawProblem(await sayAnything(port, random.pick(MALFORMED)), 400, "request/malformed");
}

/** Larger than the task allows, or than the node does. */
async function headersTooLarge({ port }: Place, random: Random): Promise<void> {
  const value = "x".repeat(random.pick([2 * LIMITS.headers, 2 ** 20]));
  const text = await sayAnything(port, `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Large: ${value}\r\n\r\n`);
  expectRawProblem(text, 431, "request/headers-too-large");
}

async function leaveBeforeAnswer({ port }: Place, random: Random): Promise<void> {
  const path = random.pick(["/sleep?ms=5000", "/cpu?ms=500", "/memory", "/hang", "/loop"]);
  const text = await leave(port, `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`, 0, random.below(100));
  if (text !== "" && !text.startsWith("HTTP/1.1 5"))
    throw new Violation(`nobody waited for it, and yet ${path} was answered: ${JSON.stringify(text.slice(0, 100))}`);
}

async function leaveAmidEvents(place: Place, random: Random): Promise<void> {
  const text = await leaveAmid(place, "GET /slow?pieces=2000&ms=20 HTTP/1.1\r\nHost: a\r\n\r\n", 200 + random.below(300), random.below(20));
  await expectOutcome(place, runIn(text), ["cancelled"]);
}

/** The whole answer may be in the sockets' buffers already, or the guest's: then the run ended well. */
async function leaveAmidAnswer(place: Place, random: Random): Promise<void> {
  const text = await leaveAmid(
    place,
    `GET /big?bytes=${LIMITS.responseBody} HTTP/1.1\r\nHost: a\r\n\r\n`,
    1000 + random.below(100_000),
    random.below(20),
  );
  await expectOutcome(place, runIn(text), ["cancelled", "ok"]);
}

async function leaveAmidUpload({ port }: Place, random: Random): Promise<void> {
  const length = random.chance(0.5) ? 600_000 : 20_000;
  const head = `POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`;
  const text = await leave(port, Buffer.concat([Buffer.from(head), Buffer.alloc(random.below(length - 1))]), 0, random.below(30));
  if (text !== "") throw new Violation(`a request that was never whole was answered: ${JSON.stringify(text.slice(0, 100))}`);
}

async function leaveAmidEcho(place: Place, random: Random): Promise<void> {
  const piece = random.bytes(1 + random.below(200_000));
  const head = `POST /echo/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${piece.length.toString(16)}\r\n`;
  const text = await leaveAmid(place, Buffer.concat([Buffer.from(head), piece, Buffer.from("\r\n")]), 100, random.below(20));
  await expectOutcome(place, runIn(text), ["cancelled"]);
}

/** Leaves amid an answer of the guest's: as patient as the other client where the node says that it has too much to do. */
async function leaveAmid({ port }: Place, bytes: string | Buffer, enough: number, ms: number): Promise<string> {
  return untilServed(
    () => leave(port, bytes, enough, ms),
    (text) => text.startsWith("HTTP/1.1 503 "),
  );
}

function runIn(text: string): string {
  const id = /^Pilotlight-Run: ([0-9a-f]{32})\r$/im.exec(text)?.[1];
  if (id === undefined) throw new Violation(`the answer has no run id: ${JSON.stringify(text.slice(0, 300))}`);
  return id;
}
