/** A clean instance for each request unless the manifest says otherwise, and what "otherwise" means. */
import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import { describe, expect, it } from "vitest";
import { wholeProcess } from "../../src/config/capacity.js";
import { guestTask, WASI } from "../support/guests.js";
import { runOf, startRuntime, type StartedRuntime } from "../support/runtime.js";
import { until } from "../support/until.js";

/** Asks, and waits until the instance is free again. */
async function ask(node: StartedRuntime, path: string): Promise<string> {
  const response = await node.get(path);
  const text = await response.text();
  await node.log.run(runOf(response));
  return text;
}

const instances = (node: StartedRuntime): number => node.runtime.stats().engine.instances;

/** A secret as guests are told it: hex of its bytes XOR 0x5a, so that the bytes themselves come in with no request. */
const secretOf = (bytes: Buffer): string => Buffer.from(bytes.map((byte) => byte ^ 0x5a)).toString("hex");

describe.each(WASI)("WASI %s", (wasi) => {
  describe("by default", () => {
    it("every request has an instance that no other has had", async () => {
      const node = await startRuntime([guestTask(`counter-${wasi}`)]);
      for (let i = 0; i < 5; i++) expect(await ask(node, "/")).toBe("1\n");
      const many = await Promise.all(Array.from({ length: 50 }, () => node.get("/").then((response) => response.text())));
      expect(new Set(many)).toEqual(new Set(["1\n"]));
      await node.idle();
    });

    it("a secret that one request leaves in memory is found by none after it", async () => {
      const node = await startRuntime([guestTask(`behave-${wasi}`)], { instances: 4 });
      for (let i = 0; i < 50; i++) {
        const hex = secretOf(randomBytes(32));
        expect(await ask(node, `/secret?write=${hex}`)).toMatch(/^wrote \d{6,}\n$/);
        expect(await ask(node, `/scan?for=${hex}`)).toBe("not found\n");
      }
    });

    it("so it is with instances that are ready ahead of requests", async () => {
      const node = await startRuntime([guestTask(`counter-${wasi}`, { capacity: { ready: 3 } })]);
      await until("three are ready", () => instances(node) === 3);
      const response = await node.get("/", { headers: { "Pilotlight-Explain": "1" } });
      expect([await response.text(), response.headers.get("server-timing")]).toEqual([
        "1\n",
        expect.stringContaining('capacity;desc="own/ready"'),
      ]);
      await until("the one that was used is made up for", () => instances(node) === 3);
      for (let i = 0; i < 5; i++) expect(await ask(node, "/")).toBe("1\n");
    });
  });

  describe("with reuse", () => {
    it("an instance serves as many requests as the manifest says, one at a time", async () => {
      const node = await startRuntime([guestTask(`counter-${wasi}`, { reuse: { maxRequests: 3 } })]);
      const counts: string[] = [];
      for (let i = 0; i < 7; i++) counts.push(await ask(node, "/"));
      expect(counts).toEqual(["1\n", "2\n", "3\n", "1\n", "2\n", "3\n", "1\n"]);
    });

    it("what one request leaves in memory, the next may find: that is the price", async () => {
      const node = await startRuntime([guestTask(`behave-${wasi}`, { reuse: { maxRequests: 100 } })]);
      const hex = secretOf(randomBytes(32));
      await ask(node, `/secret?write=${hex}`);
      expect(await ask(node, `/scan?for=${hex}`)).toMatch(/^found \d+\n$/);
    });

    it.each(["/trap", "/none", "/memory"])("an instance that ended badly is not used again (%s)", async (path) => {
      const node = await startRuntime([
        guestTask(`behave-${wasi}`, { reuse: { maxRequests: 100, maxMemory: "64MiB" }, limits: { memory: "16MiB" } }),
      ]);
      const hex = secretOf(randomBytes(32));
      await ask(node, `/secret?write=${hex}`);
      await ask(node, path);
      await until("it is gone", () => instances(node) === 0);
      expect(await ask(node, `/scan?for=${hex}`)).toBe("not found\n");
    });

    it("an error that the component answers with itself is no bad end", async () => {
      const node = await startRuntime([guestTask(`behave-${wasi}`, { reuse: { maxRequests: 100 } })]);
      const hex = secretOf(randomBytes(32));
      await ask(node, `/secret?write=${hex}`);
      await ask(node, "/error");
      expect(await ask(node, `/scan?for=${hex}`)).toMatch(/^found/);
    });

    it("a client that leaves costs the instance", async () => {
      const node = await startRuntime([guestTask(`behave-${wasi}`, { reuse: { maxRequests: 100 } })]);
      const leave = new AbortController();
      const response = await node.get("/slow?pieces=100&ms=20", { signal: leave.signal });
      leave.abort();
      expect(await node.log.run(runOf(response))).toMatchObject({ outcome: "cancelled" });
      await until("it is gone", () => instances(node) === 0);
    });

    it("an instance ends when it has been idle or lived for too long, or has grown too large", async () => {
      const reuse = { maxRequests: 1000 };
      const node = await startRuntime([
        guestTask(`counter-${wasi}`, { name: "idle", routes: ["/idle"], reuse: { ...reuse, maxIdle: "100ms" } }),
        guestTask(`behave-${wasi}`, { name: "grown", routes: ["/grow-ok"], reuse: { ...reuse, maxMemory: "1MiB" } }),
        guestTask(`counter-${wasi}`, { name: "old", routes: ["/old"], reuse: { ...reuse, maxAge: "100ms" } }),
      ]);
      await ask(node, "/grow-ok");
      await until("it is gone", () => instances(node) === 0);
      expect(await ask(node, "/idle")).toBe("1\n");
      expect(instances(node)).toBe(1);
      await until("it is gone", () => instances(node) === 0);
      expect(await ask(node, "/old")).toBe("1\n");
      await until("it is gone", () => instances(node) === 0);
      expect(await ask(node, "/old")).toBe("1\n");
    });
  });
});

describe("WASI p3 with maxConcurrent", () => {
  it("an instance has as many requests at once as the manifest says, and no more", async () => {
    const node = await startRuntime([
      guestTask("counter-p3", { reuse: { maxRequests: 1000, maxConcurrent: 4 }, limits: { concurrency: 200 } }),
    ]);
    const responses = await Promise.all(Array.from({ length: 40 }, () => node.get("/?ms=100")));
    const atOnce = responses.map((response) => Number(response.headers.get("x-at-once")));
    await Promise.all(responses.map((response) => response.text()));
    expect(Math.max(...atOnce)).toBe(4);
    expect(Math.min(...atOnce)).toBe(1);
  });

  it("a trap takes the others of its instance along, and they are told that it was not they", async () => {
    // Instances are shared once there is one for each core; a cell with room for so many holds them all.
    const capacity = { ...wholeProcess(64, 64 * 2 ** 20), forecast: false };
    const node = await startRuntime([guestTask("behave-p3", { reuse: { maxRequests: 1000, maxConcurrent: 8 } })], { capacity });
    const count = availableParallelism() * 4;
    const sleeping = Array.from({ length: count }, () => node.get("/sleep?ms=1000"));
    await until("all are running", () => node.runtime.stats().engine.runs === count);
    const trapped = await node.get("/trap");
    expect(trapped.status).toBe(500);
    const answers = await Promise.all(sleeping);
    const statuses = answers.map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([200, 503]));
    for (const lost of answers.filter(({ status }) => status === 503)) {
      expect(lost.headers.get("retry-after")).toBe("1");
      expect(((await lost.json()) as { type: string }).type).toBe("https://pilotlight.dev/problems/platform/instance-lost");
    }
  });
});

describe("limits on how much runs at once", () => {
  it("a task beyond its concurrency waits, or is refused with 429 where the manifest says so", async () => {
    const node = await startRuntime([
      guestTask("behave-p2", { name: "waits", routes: ["/sleep"], limits: { concurrency: 2 } }),
      guestTask("behave-p3", { name: "rejects", routes: ["/*"], limits: { concurrency: 2 }, capacity: { whenFull: "reject" } }),
    ]);
    const waited = await Promise.all(Array.from({ length: 6 }, () => node.get("/sleep?ms=50")));
    expect(waited.map(({ status }) => status)).toEqual(Array(6).fill(200));
    const held = await Promise.all([node.get("/after-head-hang"), node.get("/after-head-hang")]);
    const refused = await node.get("/");
    expect([refused.status, refused.headers.get("retry-after"), ((await refused.json()) as { type: string }).type]).toEqual([
      429,
      "1",
      "https://pilotlight.dev/problems/capacity/task-full",
    ]);
    for (const response of held) await node.get(`/-/runs/${runOf(response)}`, { method: "DELETE" });
    for (const response of held) await response.text().catch(() => {});
  });

  it("a node without room refuses with 503 when nobody may wait", async () => {
    const node = await startRuntime([guestTask("behave-p3", { capacity: { whenFull: "reject" } })], { instances: 2 });
    const held = await Promise.all([node.get("/after-head-hang"), node.get("/after-head-hang")]);
    const refused = await node.get("/");
    expect([refused.status, refused.headers.get("retry-after"), ((await refused.json()) as { type: string }).type]).toEqual([
      503,
      "1",
      "https://pilotlight.dev/problems/capacity/node-full",
    ]);
    for (const response of held) await node.get(`/-/runs/${runOf(response)}`, { method: "DELETE" });
    for (const response of held) await response.text().catch(() => {});
    await node.idle();
    expect((await node.get("/")).status).toBe(200);
  });
});
