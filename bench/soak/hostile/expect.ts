/** What answers must be. Each function throws a `Violation` that says what was wrong. */
import type { Answer, Client } from "../support/client.js";
import { Violation } from "../support/steps.js";

/** Where a case happens. */
export interface Place {
  readonly client: Client;
  readonly port: number;
}

const PROBLEMS = "https://pilotlight.dev/problems/";

/** The whole answer, byte for byte, with a run id. */
export function expectBody(answer: Answer, status: number, body: string | Buffer): void {
  expectWhole(answer, status);
  const wanted = typeof body === "string" ? Buffer.from(body) : body;
  if (answer.body.equals(wanted)) return;
  const at = wanted.findIndex((byte, i) => answer.body[i] !== byte);
  throw new Violation(
    `the body should have ${wanted.length} bytes and has ${answer.body.length}; they differ from ${at < 0 ? wanted.length : at}: ${excerpt(answer.body)}`,
  );
}

export function expectWhole(answer: Answer, status: number): void {
  if (answer.ending !== "whole")
    throw new Violation(`the answer (status ${answer.status}, ${answer.body.length} bytes) broke off: ${answer.ending}`);
  if (answer.status !== status) throw new Violation(`the status should be ${status}, not ${answer.status}: ${excerpt(answer.body)}`);
  runIdOf(answer);
}

/** A problem document with the status and type that say whose fault it was; the run id in head and document agree. */
export function expectProblem(answer: Answer, status: number, code: string): void {
  expectWhole(answer, status);
  const type = answer.headers["content-type"];
  if (type !== "application/problem+json")
    throw new Violation(`a problem is application/problem+json, not ${type}: ${excerpt(answer.body)}`);
  const problem = JSON.parse(answer.body.toString()) as Readonly<Record<string, unknown>>;
  if (problem["type"] !== PROBLEMS + code) throw new Violation(`the problem should be ${code}: ${excerpt(answer.body)}`);
  if (problem["status"] !== status) throw new Violation(`the document says status ${String(problem["status"])}, the head ${status}`);
  if (problem["run"] !== runIdOf(answer))
    throw new Violation(`the document names run ${String(problem["run"])}, the head ${runIdOf(answer)}`);
}

/** An answer that began well and was broken off, after a beginning of the right bytes. */
export function expectBroken(answer: Answer, beginning: Buffer): void {
  if (answer.status !== 200)
    throw new Violation(`the answer should begin with 200, not ${answer.status} (${answer.ending}): ${excerpt(answer.body)}`);
  if (answer.ending === "whole") throw new Violation(`the answer should break off, and ended cleanly after ${answer.body.length} bytes`);
  if (!beginning.subarray(0, answer.body.length).equals(answer.body))
    throw new Violation(`what came before the break is not what was written: ${excerpt(answer.body)}`);
}

export function runIdOf(answer: Answer): string {
  const id = answer.headers["pilotlight-run"];
  if (typeof id === "string" && /^[0-9a-f]{32}$/.test(id)) return id;
  throw new Violation(`the answer (status ${answer.status}) has no run id, but ${JSON.stringify(id)}`);
}

/** The run's record names this outcome, as soon as it has ended. */
export async function expectOutcome({ client, port }: Place, run: string, outcomes: readonly string[]): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const answer = await client.ask(port, { path: `/-/runs/${run}` });
    expectStatusOnly(answer, 200);
    const record = JSON.parse(answer.body.toString()) as { readonly ended: boolean; readonly outcome?: string };
    if (record.ended && outcomes.includes(record.outcome ?? "")) return;
    if (record.ended) throw new Violation(`run ${run} should have ended as ${outcomes.join(" or ")}, not ${record.outcome}`);
    if (Date.now() > deadline) throw new Violation(`run ${run} goes on, 20 s after its client heard the last of it`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function expectStatusOnly(answer: Answer, status: number): void {
  if (answer.ending !== "whole" || answer.status !== status)
    throw new Violation(`status ${answer.status} (${answer.ending}) instead of ${status}: ${excerpt(answer.body)}`);
}

/** The last answer on a connection that was said anything on: a problem of this status and code. */
export function expectRawProblem(text: string, status: number, code: string): void {
  const head = text.indexOf("\r\n\r\n");
  if (head < 0 || !text.startsWith(`HTTP/1.1 ${status} `))
    throw new Violation(`the answer should be a problem of status ${status}: ${JSON.stringify(text.slice(0, 300))}`);
  const { type } = JSON.parse(text.slice(head + 4)) as { readonly type: string };
  if (type !== PROBLEMS + code) throw new Violation(`the problem should be ${code}, not ${type}`);
}

export function excerpt(bytes: Buffer): string {
  return JSON.stringify(bytes.toString("latin1", 0, 300));
}
