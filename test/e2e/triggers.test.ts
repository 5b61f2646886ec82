/** What starts by itself, on a real node: times, written keys, messages. */
import { describe, expect, it } from "vitest";
import type { Job } from "../../src/deferral/job.js";
import { guestTask, WASI } from "../support/guests.js";
import { startRuntime, type StartedRuntime } from "../support/runtime.js";
import { tempDir } from "../support/files.js";
import { until } from "../support/until.js";
import type { Fields } from "./records-node.js";

function task(name: string, fields: Fields): ReturnType<typeof guestTask> {
  return guestTask("reader", { name, stores: ["default"], ...fields });
}

function jobs(node: StartedRuntime): readonly Job[] {
  return node.runtime.deferred.jobs.list({ tenant: "default" }, undefined, 1000);
}

async function put(node: StartedRuntime, key: string, value: string, store = "in"): Promise<void> {
  const { control, operator } = node.runtime;
  await control.putEntry(operator, "default", store, key, Buffer.from(value), undefined);
}

function value(node: StartedRuntime, key: string): string {
  const { control, operator } = node.runtime;
  try {
    const found = control.entry(operator, "default", "default", key);
    return Buffer.from(found.value).toString();
  } catch {
    return "";
  }
}

describe("a time", () => {
  it("starts its task once for each tick, at the path that its manifest names", async () => {
    const node = await startRuntime([task("clock", { triggers: [{ cron: "* * * * * *", path: "/clock/increment?key=n" }] })]);
    await until("it has run twice", () => Number(value(node, "n")) >= 2);
    const all = jobs(node);
    expect(all.every(({ origin }) => origin.kind === "cron" && origin.line === "* * * * * *")).toBe(true);
    expect(new Set(all.map(({ origin }) => origin.kind === "cron" && origin.tick)).size).toBe(all.length);
    expect(await node.log.first({ msg: "run", task: "clock" })).toMatchObject({ method: "POST", path: "/clock/increment?key=n" });
  });

  it("may start a function, which is told as much as it takes, and a command", async () => {
    const node = await startRuntime([
      task("calls", { routes: [], triggers: [{ cron: "* * * * * *", function: "demo:memo/lookup@1.0.0#get" }] }),
      guestTask("command-p2", { name: "command", routes: [], triggers: [{ cron: "* * * * * *" }] }),
    ]);
    await node.log.first({ msg: "run", task: "calls", outcome: "ok" });
    await until("it is told the tick", () => node.log.lines.some(({ text }) => /^ran get 20\d\d-.*Z$/.test(String(text))));
    await until("the command has run", () => node.log.all({ msg: "run", task: "command" }).length > 0);
  });
});

describe("a key that is written", () => {
  it.each(WASI)("starts a command (%s), which is told as its arguments", async (wasi) => {
    const node = await startRuntime([guestTask(`command-${wasi}`, { name: "command", routes: [], triggers: [{ store: "in" }] })]);
    await put(node, "args", "12345");
    const told = await until("it says what it was told", () => {
      const lines = node.log.all({ msg: "guest" }).map(({ text }) => String(text));
      return lines.includes("in") && lines.slice(0, 7);
    });
    const digest = "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5";
    expect(told).toEqual(["command", "args", "5", "application/octet-stream", digest, expect.stringMatching(/^\d+$/), "in"]);
  });

  it("starts its task once for each revision, and tells it what was written", async () => {
    const node = await startRuntime([task("writes", { triggers: [{ store: "in", prefix: "a/", path: "/writes/echo" }] })]);
    await put(node, "a/one.png", "12345");
    await put(node, "b/other", "no");
    await until("it has run", () => jobs(node).filter(({ state }) => state === "done").length === 1);
    await put(node, "a/one.png", "123");
    await until("it has run again", () => jobs(node).filter(({ state }) => state === "done").length === 2);
    const [last] = jobs(node);
    expect(last?.origin).toMatchObject({ kind: "store", store: "in", key: "a/one.png" });
    const result = node.runtime.deferred.jobs.result(last?.id as string);
    const text = Buffer.from(result?.body as Uint8Array).toString();
    expect(JSON.parse(text.slice(text.indexOf("{")))).toEqual({
      trigger: "store",
      name: "a/one.png",
      size: 3,
      type: "image/png",
      digest: "a665a45920422f9d417e4867efdc4fb8a04a1f3fff1fa07e998e86f7f7a27ae3",
      revision: expect.any(Number),
      store: "in",
    });
  });

  it("by what it starts is noticed: what goes round is parked, and may be redriven", async () => {
    const node = await startRuntime([
      task("loop", { stores: ["default"], triggers: [{ store: "default", prefix: "n", path: "/loop/increment?key=n" }] }),
    ]);
    await put(node, "n", "1", "default");
    const parked = await until("it is parked", () => jobs(node).find(({ isDead }) => isDead));
    expect(parked.fault).toEqual({
      code: "call/cycle",
      detail:
        "default/n was written more than 60 times within a minute, as a task does that is started by what it writes; redrive it if that is meant.",
    });
    await node.idle();
    const count = jobs(node).length;
    expect(count).toBeLessThan(70);
    await node.runtime.deferred.redrive(parked.id);
    await until("it has run", () => jobs(node).length > count);
  });

  it("is not missed by a node that ends, and has one run", async () => {
    const data = tempDir();
    const writes = task("writes", { triggers: [{ store: "in", path: "/writes/increment?key=n" }] });
    const before = await startRuntime([writes], { data, durable: true });
    await before.runtime.start();
    for (let n = 0; n < 20; n++) await put(before, `k${n}`, "x");
    await before.runtime.close(2000);
    const after = await startRuntime([], { data, durable: true });
    await after.runtime.start();
    await until("all have run", () => value(after, "n") === "20");
    expect(jobs(after).length).toBe(20);
  });
});

describe("a message", () => {
  const send = (node: StartedRuntime, queue: string, text: string, key?: string): Promise<Job> =>
    node.runtime.deferred.send("default", queue, { body: Buffer.from(text), type: "text/plain", key, caller: { kind: "anonymous" } });

  it("is given to the task that takes it, once for each key", async () => {
    const node = await startRuntime([task("mails", { triggers: [{ queue: "mails", path: "/mails/echo" }] })]);
    const [one, again] = [await send(node, "mails", "hello", "k1"), await send(node, "mails", "hello", "k1")];
    expect(again.id).toBe(one.id);
    const done = await node.runtime.deferred.over(one.id, 5000);
    expect(done).toMatchObject({ state: "done", status: 200 });
    const text = Buffer.from(node.runtime.deferred.jobs.result(one.id)?.body as Uint8Array).toString();
    expect(text).toMatch(/content-type: text\/plain\n[^]*hello$/);
  });

  it("for nobody, or that is too large, is refused", async () => {
    const node = await startRuntime([task("mails", { triggers: [{ queue: "mails" }] })]);
    await expect(send(node, "males", "x")).rejects.toThrow('There is no queue "males"; there are mails.');
    await expect(send(node, "mails", "x".repeat(300_000))).rejects.toThrow("A message may come to 262144 bytes; this one has 300000.");
    await expect(send(node, "mails", "x", "k".repeat(200))).rejects.toThrow("A message's key has 1 to 128 characters.");
  });

  it("that poisons its task ends as a dead letter, and others go on", async () => {
    const node = await startRuntime([
      task("mails", { repeat: true, retries: { max: 2, delay: "5ms" }, triggers: [{ queue: "mails", path: "/mails/trap" }] }),
    ]);
    const poison = await send(node, "mails", "x");
    expect(await node.runtime.deferred.over(poison.id, 5000)).toMatchObject({ state: "failed", isDead: true, starts: 3 });
    await node.runtime.deploy(task("mails", { triggers: [{ queue: "mails", path: "/mails/" }] }));
    const other = await send(node, "mails", "y");
    expect(await node.runtime.deferred.over(other.id, 5000)).toMatchObject({ state: "done" });
  });
});
