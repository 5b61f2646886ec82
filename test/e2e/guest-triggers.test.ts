/** A task in TypeScript that says what comes, and leaves things to be done later: `pilotlight:triggers`. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { buildGuest } from "../../src/guests/build.js";
import { guestTask } from "../support/guests.js";
import { tempDir } from "../support/files.js";
import { startRuntime, type StartedRuntime } from "../support/runtime.js";
import { usualCapacity } from "../../src/config/capacity.js";
import { until } from "../support/until.js";

const SOURCE = `
import { announce, send, serve, signal, TriggerError } from "pilotlight/guest";

export const handler = serve(async (request) => {
  const at = request.path.slice(1);
  try {
    if (at === "announce") return announce(await request.json());
    if (at === "signal") {
      signal("opened", request.query || undefined);
      return "signalled";
    }
    const { queue, message, ...more } = await request.json();
    // Each message that it gets has it send another, for ever.
    if (at === "round") return send("round", { queue: "round", message: {} });
    return send(queue, message, more);
  } catch (error) {
    if (error instanceof TriggerError || error instanceof TypeError) return { status: 400, body: \`\${error.code}: \${error.message}\` };
    throw error;
  }
});
`;
const LAST = "It is the last of 256 runs of which each was started by a message of the one before; redrive it if it does not go round.";

let component: Buffer;
/** Compiled forms, so that each runtime after the first finds them. */
let data: string;

beforeAll(async () => {
  data = tempDir();
  const folder = tempDir();
  writeFileSync(join(folder, "index.ts"), SOURCE);
  const build = { source: "index.ts", world: "http", engine: "quickjs" };
  writeFileSync(join(folder, "pilotlight.json"), JSON.stringify({ name: "teller", component: "teller.wasm", build }));
  component = readFileSync((await buildGuest(folder)).component);
}, 60_000);

interface Told {
  readonly status: number;
  readonly text: string;
}

async function bench(): Promise<{ readonly node: StartedRuntime; readonly ask: (path: string, body?: unknown) => Promise<Told> }> {
  const teller = {
    // Each byte of a message counts as forty on its way.
    manifest: { name: "teller", routes: ["/*"], triggers: [{ queue: "round", path: "/round" }], limits: { values: "16MiB" } },
    component,
    source: "teller.wasm",
  };
  const taker = guestTask("reader", { name: "taker", routes: ["/taker/*"], triggers: [{ queue: "mails", path: "/echo" }] });
  const node = await startRuntime([teller, taker], { data, capacity: usualCapacity(64) });
  const ask = async (path: string, body: unknown = {}): Promise<Told> => {
    const response = await node.get(path, { method: "POST", body: JSON.stringify(body) });
    return { status: response.status, text: await response.text() };
  };
  return { node, ask };
}

it("announces runs, which are expected then, and takes that back", async () => {
  const { node, ask } = await bench();
  expect(await ask("/announce", { task: "taker", count: 3, key: "k" })).toEqual({ status: 200, text: "k" });
  const { announcements, expected } = node.runtime.ahead.view("default");
  expect(announcements).toMatchObject([{ key: "k", sender: "task:teller", task: "taker", count: 3, window: 10_000 }]);
  expect(expected).toMatchObject([{ task: "taker", count: 3 }]);
  expect(await ask("/announce", { task: "taker", count: 0, key: "k" })).toEqual({ status: 200, text: "k" });
  expect(node.runtime.ahead.view("default").expected).toEqual([]);
  expect(await ask("/signal?1")).toEqual({ status: 200, text: "signalled" });
});

it("is told in words what cannot be", async () => {
  const { ask } = await bench();
  expect(await ask("/announce", { task: "nobody" })).toEqual({ status: 400, text: "not-found: There is no such task." });
  expect(await ask("/announce", { task: "taker", count: 65 })).toEqual({
    status: 400,
    text: "invalid: 65 runs are announced; 64 may be prepared for at once.",
  });
  expect(await ask("/announce", { task: "taker", count: 1.5 })).toEqual({
    status: 400,
    text: "undefined: announce: count has to be a whole number from 0 to 2147483647",
  });
  expect(await ask("/send", { queue: "nowhere", message: 1 })).toEqual({
    status: 400,
    text: 'not-found: There is no queue "nowhere"; there are mails, round.',
  });
  expect((await ask("/send", { queue: "mails", message: "x".repeat(300_000) })).text).toMatch(
    /^invalid: A message may come to 262144 bytes/,
  );
});

it("sends messages, once for each key, and each becomes a run", async () => {
  const { node, ask } = await bench();
  const first = await ask("/send", { queue: "mails", message: { to: "a" }, key: "1" });
  expect(first.text).toMatch(/^[0-9a-f]{32}$/);
  expect(await ask("/send", { queue: "mails", message: { to: "b" }, key: "1" })).toEqual(first);
  const job = await node.runtime.deferred.over(first.text, 5000);
  expect(job).toMatchObject({ state: "done", ranBy: "taker", origin: { kind: "queue", queue: "mails" }, hops: 1 });
  const { text } = { text: Buffer.from(node.runtime.deferred.jobs.result(first.text)?.body ?? "").toString() };
  expect(text).toContain('{"to":"a"}');
  expect(text).toMatch(/content-type: application\/json/);
});

it("that starts itself again and again comes to an end, which is kept as a dead letter", { timeout: 60_000 }, async () => {
  const { node, ask } = await bench();
  await ask("/round");
  const dead = await until(
    "it is parked",
    () => node.runtime.deferred.jobs.list({ tenant: "default", dead: true }, undefined, 10)[0],
    50_000,
  );
  expect(dead).toMatchObject({ state: "failed", isDead: true, starts: 0, hops: 257, fault: { code: "quota/deferred", detail: LAST } });
});
