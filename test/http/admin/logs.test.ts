/** Log lines over HTTP: what was, what comes, and who stops listening when. */
import { describe, expect, it, vi } from "vitest";
import { atEnd } from "../../support/cleanup.js";
import { until } from "../../support/until.js";
import { expectProblem, follow, startAdmin, type Client } from "./client.js";
import { FakeControl } from "./fake-control.js";

const LOGS = "tenants/default/logs";

async function start(): Promise<{ control: FakeControl; admin: Client; key: string }> {
  const control = new FakeControl();
  return { control, admin: await startAdmin(control, {}, control.rootKey), key: control.rootKey };
}

describe("GET logs", () => {
  it("gives the last lines, one document a line, of a task or a run", async () => {
    const { control, admin } = await start();
    for (const [task, text] of [
      ["a", "1"],
      ["b", "2"],
      ["a", "3"],
    ] as const)
      control.log("default", task, text);
    const all = await admin.ask(`GET ${LOGS}`);
    expect(all.headers.get("content-type")).toBe("application/x-ndjson");
    const lines = all.text.split("\n");
    expect(lines.pop()).toBe("");
    const common = { at: expect.any(String), version: "v1", run: "r1", level: "info", origin: "stdout" };
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { ...common, task: "a", text: "1" },
      { ...common, task: "b", text: "2" },
      { ...common, task: "a", text: "3" },
    ]);
    expect((await admin.ask(`GET ${LOGS}?task=a&limit=1`)).text).toBe(`${lines[2]}\n`);
    expect((await admin.ask(`GET ${LOGS}?run=other`)).text).toBe("");
    expect((await admin.ask(`GET ${LOGS}?follow=0`)).text).toBe(all.text);
  });

  it("needs the scope that Control asks for, also to follow", async () => {
    const { control, admin } = await start();
    const { text: key } = (await admin.ask("POST keys", { json: { scopes: ["read"] } })).json as { text: string };
    for (const query of ["", "?follow=1"])
      expectProblem(await admin.ask(`GET ${LOGS}${query}`, { key }), 403, "request/forbidden", "This takes a key with the scope debug.");
    expect(control.followers.size).toBe(0);
  });
});

describe("GET logs with follow=1", () => {
  it("answers at once, without a line", async () => {
    const { control, admin, key } = await start();
    const { message } = await follow(admin, key);
    expect([message.statusCode, message.headers["content-type"]]).toEqual([200, "application/x-ndjson"]);
    expect(control.followers.size).toBe(1);
  });

  it("gives what was and then each line that comes, none twice, until the client goes away", async () => {
    const { control, admin, key } = await start();
    control.log("default", "a", "before");
    const follower = await follow(admin, key, "&task=a");
    for (const [task, text] of [
      ["a", "1"],
      ["b", "2"],
      ["a", "3"],
    ] as const)
      control.log("default", task, text);
    await until("three lines came", () => follower.texts().length === 3);
    expect(follower.texts()).toEqual(["before", "1", "3"]);
    follower.leave();
    await until("nobody follows", () => control.followers.size === 0);
    control.log("default", "a", "nobody listens");
  });

  it("ends when the key holds no longer", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    atEnd(() => vi.useRealTimers());
    const { control, admin } = await start();
    const issued = (await admin.ask("POST keys", { json: { scopes: ["debug"] } })).json as { key: { id: string }; text: string };
    const follower = await follow(admin, issued.text);
    vi.advanceTimersByTime(5000);
    control.log("default", "a", "still there");
    await until("a line came", () => follower.texts().length === 1);
    await admin.ask(`DELETE keys/${issued.key.id}`);
    const ended = new Promise((resolve) => follower.message.on("end", resolve));
    vi.advanceTimersByTime(5000);
    await ended;
    expect(control.followers.size).toBe(0);
  });

  it("ends with HEAD where it begins", async () => {
    const { control, admin } = await start();
    expect((await admin.ask(`HEAD ${LOGS}?follow=1`)).status).toBe(200);
    expect(control.followers.size).toBe(0);
  });

  it("leaves lines out for a client that does not read, says how many, and holds no more than it may", async () => {
    const { control, admin, key } = await start();
    const follower = await follow(admin, key);
    follower.message.pause();
    const text = "x".repeat(64 * 1024);
    // 64 MiB: more than sockets hold.
    for (let i = 0; i < 64; i += 1) {
      for (let j = 0; j < 16; j += 1) control.log("default", "a", text);
      await new Promise((resolve) => setImmediate(resolve));
    }
    follower.message.resume();
    const notice = await until("it is said that lines were left out", () => follower.texts().find((line) => line !== text) ?? false);
    const [, count] = /^(\d+) lines were left out here: they are not read as fast as they come$/.exec(notice) as unknown as [
      string,
      string,
    ];
    await until("the rest came", () => follower.texts().filter((line) => line === text).length + Number(count) === 1024);
    control.log("default", "a", "and on");
    await until("it goes on", () => follower.texts().at(-1) === "and on");
  });
});
