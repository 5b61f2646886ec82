/** Life of the Node front as a whole: listening, draining, counting, and the admin plane on it. */
import { createServer, type Server } from "node:net";
import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import { nodeFront } from "../../src/http/node-front.js";
import { adminPlane } from "../../src/http/planes.js";
import { startNodeFront } from "../support/http-subjects.js";
import { Wire } from "../support/http-wire.js";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
const later = <T>(thing: T, cleanup: (thing: T) => unknown): T => {
  cleanups.push(() => cleanup(thing));
  return thing;
};
const start = async (...args: Parameters<typeof startNodeFront>): ReturnType<typeof startNodeFront> =>
  later(await startNodeFront(...args), (front) => front.stop());
const get = ["GET / HTTP/1.1", "Host: a", "", ""];

describe("listening", () => {
  it("says where, and gives an IPv6 address its brackets", async () => {
    const front = await start("hello");
    expect(front.at.url).toBe(`http://127.0.0.1:${front.at.port}/`);
    const six = later(nodeFront({ plane: () => adminPlane({ health: { reasons: () => [] }, metrics: async () => "" }) }), (f) =>
      f.close(0),
    );
    const at = await six.listen({ host: "::1", port: 0 }).catch((error: Error) => error.message);
    if (typeof at === "string") expect(at).toBe("cannot listen on [::1]:0: this machine has no such address");
    else expect(at.url).toBe(`http://[::1]:${at.port}/`);
  });

  it("on a taken port says so and what to do", async () => {
    const taken = later(createServer().listen(0, "127.0.0.1"), (server: Server) => server.close());
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    const front = nodeFront({ plane: () => adminPlane({ health: { reasons: () => [] }, metrics: async () => "" }) });
    await expect(front.listen({ host: "127.0.0.1", port })).rejects.toMatchObject({
      name: "ListenError",
      code: "EADDRINUSE",
      message: `cannot listen on 127.0.0.1:${port}: the port is taken; choose another, or 0 for any free one`,
    });
    await front.close(0);
  });

  it("on a host that is not known says so", async () => {
    const front = nodeFront({ plane: () => adminPlane({ health: { reasons: () => [] }, metrics: async () => "" }) });
    await expect(front.listen({ host: "192.0.2.1", port: 0 })).rejects.toThrow(
      "cannot listen on 192.0.2.1:0: this machine has no such address",
    );
  });
});

describe("closing", () => {
  it("lets running requests finish, says that their connections close, and accepts no more", async () => {
    const front = await start("silent");
    const busy = later(await Wire.open(front.at.port), (wire) => wire[Symbol.asyncDispose]());
    const idle = later(await Wire.open(front.at.port), (wire) => wire[Symbol.asyncDispose]());
    busy.send(...get);
    const run = await front.run();
    expect(front.front.connections()).toBe(2);
    const closed = front.front.close(10_000);
    expect(await idle.closed).toBe("ended");
    await expect(Wire.open(front.at.port)).rejects.toThrow("ECONNREFUSED");
    run.answer(200, [], "late");
    expect(await busy.all()).toMatch(/Connection: (close|keep-alive)[^]*late$/);
    await closed;
    expect(front.front.connections()).toBe(0);
    expect(run.isCancelled).toBe(false);
  });

  it("answers a request that comes on an open connection meanwhile, and then closes it", async () => {
    const front = await start(async (run) => {
      if (run.incoming.target === "/slow") await new Promise((resolve) => setTimeout(resolve, 100));
      run.answer(200, [], "done");
    });
    const wire = later(await Wire.open(front.at.port), (w) => w[Symbol.asyncDispose]());
    wire.send("GET /slow HTTP/1.1", "Host: a", "", "");
    await front.run();
    const closed = front.front.close(10_000);
    wire.send(...get);
    expect((await wire.all()).match(/done/g)).toHaveLength(2);
    expect(wire.text).toMatch(/Connection: close\r\n[^]*done$/);
    await closed;
  });

  it("destroys what is left after the limit, which cancels the runs, and is the same for all who ask", async () => {
    const front = await start("endless");
    const response = await front.fetch("/");
    const run = await front.run();
    const begun = Date.now();
    const first = front.front.close(100);
    expect(front.front.close(0)).toBe(first);
    await first;
    expect(Date.now() - begun).toBeLessThan(1000);
    await run.cancelled;
    await expect(response.text()).rejects.toThrow();
    expect(front.front.connections()).toBe(0);
  });

  it("of a front that never listened is nothing", async () => {
    await nodeFront({ plane: () => adminPlane({ health: { reasons: () => [] }, metrics: async () => "" }) }).close(1000);
  });
});

describe("the admin plane", () => {
  it("gives health with its reasons, metrics, and problems", async () => {
    const reasons: string[] = [];
    const reported: unknown[] = [];
    let metrics = async (): Promise<string> => "# TYPE up gauge\nup 1\n";
    const plane = adminPlane({ health: { reasons: () => reasons }, metrics: () => metrics(), report: (error) => reported.push(error) });
    const front = later(nodeFront({ plane: () => plane }), (f) => f.close(0));
    const { url } = await front.listen({ host: "127.0.0.1", port: 0 });
    const ask = async (path: string, init?: RequestInit): Promise<[number, string]> => {
      const response = await fetch(new URL(path, url), init);
      return [response.status, (await response.text()).replace(/"run":"[0-9a-f]{32}"/, '"run":"RUN"')];
    };
    expect(await ask("/livez")).toEqual([200, "live\n"]);
    expect(await ask("/readyz")).toEqual([200, '{"ready":true,"reasons":[]}\n']);
    reasons.push("the node is draining");
    expect(await ask("/readyz")).toEqual([503, '{"ready":false,"reasons":["the node is draining"]}\n']);
    expect(await ask("/readyz", { method: "HEAD" })).toEqual([503, ""]);
    expect(await ask("/metrics")).toEqual([200, "# TYPE up gauge\nup 1\n"]);
    expect((await fetch(new URL("/metrics", url))).headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(await ask("/nope")).toEqual([
      404,
      '{"type":"https://pilotlight.dev/problems/request/not-found","title":"No task answers here","status":404,"detail":"Nothing of Pilotlight answers at /nope.","run":"RUN"}',
    ]);
    expect((await ask("/metrics", { method: "POST" }))[0]).toBe(405);
    metrics = () => Promise.reject(new Error("secret"));
    expect(await ask("/metrics")).toEqual([
      500,
      '{"type":"https://pilotlight.dev/problems/platform/internal","title":"Pilotlight failed","status":500,"run":"RUN"}',
    ]);
    expect(reported).toMatchObject([{ message: "secret" }]);
  });
});
