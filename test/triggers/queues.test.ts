/** Messages: the job of whoever takes them, or a refusal that says what is wrong. */
import { describe, expect, it } from "vitest";
import { ProblemError } from "../../src/base/problem.js";
import type { Job } from "../../src/deferral/job.js";
import { Frail } from "./frail.js";

interface Sent {
  readonly queue?: string;
  readonly tenant?: string;
  readonly body?: string | Uint8Array;
  readonly type?: string;
  readonly key?: string;
}

function send(node: Frail, { queue = "mails", tenant = "acme", body = "x", type, key }: Sent): Promise<Job> {
  return node.triggers.send(tenant, queue, { body: Buffer.from(body), type, key, caller: { kind: "anonymous" } });
}

async function refusal(sent: Promise<unknown>): Promise<readonly [string, string | undefined]> {
  const error: unknown = await sent.catch((caught: unknown) => caught);
  if (!(error instanceof ProblemError)) throw new Error("it was taken");
  return [error.problem.code, error.problem.detail];
}

/** What a function is called with. */
async function argumentsOf(message: Sent): Promise<string | undefined> {
  const node = new Frail();
  await node.deploy("a", [{ queue: "mails", function: "demo:mail/in@1.0.0#take" }]);
  return node.jobs.input((await send(node, message)).id)?.arguments;
}

describe("a message", () => {
  it("goes to a path as it is, with its type", async () => {
    const node = new Frail();
    await node.deploy("a", [{ queue: "mails", path: "/in", defer: "1h" }]);
    const job = await send(node, { body: new Uint8Array([255, 0]), type: "image/png" });
    expect(job).toMatchObject({
      tenant: "acme",
      task: "a",
      origin: { kind: "queue", queue: "mails" },
      work: { kind: "http", method: "POST", target: "/in" },
      state: "waiting",
    });
    expect(node.jobs.input(job.id)).toEqual({ headers: ["Content-Type", "image/png"], body: Buffer.from([255, 0]) });
    expect(node.asked).toEqual([{ task: "a", dueAt: node.now, deferMs: 3_600_000 }]);
  });

  it("that is JSON goes to a function as what it says, to the last digit", async () => {
    const body = '{"id": 12345678901234567890}';
    expect(await argumentsOf({ body, type: "application/json; charset=utf-8" })).toBe(`[${body}]`);
    expect(await argumentsOf({ body, type: "application/cloudevents+json" })).toBe(`[${body}]`);
    expect(await argumentsOf({ body })).toBe(`[${body}]`);
  });

  it("that is not JSON, or says that it is something else, goes to a function as text", async () => {
    expect(await argumentsOf({ body: "123", type: "text/plain" })).toBe('["123"]');
    expect(await argumentsOf({ body: 'say "hi"' })).toBe('["say \\"hi\\""]');
    expect(await argumentsOf({ body: "1,2", type: "application/json" })).toBe('["1,2"]');
  });

  it("of one key is one, by tenant and queue; without a key each is one", async () => {
    const node = new Frail();
    for (const tenant of ["acme", "globex"]) await node.deploy("a", [{ queue: "mails" }, { queue: "others" }], tenant);
    const ids = new Set<string>();
    for (const each of [{}, {}, { key: "k" }, { key: "k" }, { key: "k", queue: "others" }, { key: "k", tenant: "globex" }])
      ids.add((await send(node, each)).id);
    expect(ids.size).toBe(5);
  });

  it("for nobody is refused, with the queues that there are", async () => {
    const node = new Frail();
    expect(await refusal(send(node, {}))).toEqual(["request/no-such-thing", 'There is no queue "mails"; no task takes messages.']);
    await node.deploy("b", [{ queue: "zeta" }]);
    await node.deploy("a", [{ queue: "alpha" }]);
    await node.deploy("a", [{ queue: "mails" }], "globex");
    expect(await refusal(send(node, {}))).toEqual(["request/no-such-thing", 'There is no queue "mails"; there are alpha, zeta.']);
  });

  it("that is too long, or whose key is, or that no function can take, is refused", async () => {
    const node = new Frail();
    await node.deploy("a", [{ queue: "mails", function: "demo:mail/in@1.0.0#take" }]);
    expect(await refusal(send(node, { body: Buffer.alloc(262_145) }))).toEqual([
      "request/body-too-large",
      "A message may come to 262144 bytes; this one has 262145.",
    ]);
    await send(node, { body: Buffer.alloc(262_144) });
    expect(await refusal(send(node, { key: "" }))).toEqual(["request/invalid", "A message's key has 1 to 128 characters."]);
    expect(await refusal(send(node, { body: new Uint8Array([255]) }))).toEqual([
      "request/invalid",
      "The message goes to a function, and is not UTF-8 text; a path takes any bytes.",
    ]);
  });
});
