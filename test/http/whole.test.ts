/** Bodies that are read whole, from a real server's sockets. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import type { Context } from "hono";
import { describe, expect, it, onTestFinished } from "vitest";
import type { PlaneEnv } from "../../src/http/planes.js";
import { bodyOf, headerOf, waiterOf } from "../../src/http/whole.js";

interface Received {
  readonly c: Context<PlaneEnv>;
  readonly body: Promise<Buffer>;
  readonly client: Socket;
}

/** What a server makes of a request of which this much has come. */
async function receive(lines: readonly string[], body: string, { most = 100, limitMs = 1000 } = {}): Promise<Received> {
  const server = createServer();
  const asked = new Promise<[IncomingMessage, ServerResponse]>((resolve) => server.once("request", (...both) => resolve(both)));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  onTestFinished(() => {
    client.destroy();
    server.closeAllConnections();
    server.close();
  });
  client.on("error", () => {});
  client.write(`${["POST / HTTP/1.1", "Host: h", ...lines].join("\r\n")}\r\n\r\n${body}`);
  const [incoming, outgoing] = await asked;
  const c = { env: { incoming, outgoing } } as unknown as Context<PlaneEnv>;
  const read = bodyOf(c, most, limitMs);
  read.catch(() => {});
  return { c, body: read, client };
}

describe("a body", () => {
  it("is all that was sent, in pieces too", async () => {
    const { body, client } = await receive(["Content-Length: 10"], "01234");
    client.write("56789");
    expect((await body).toString()).toBe("0123456789");
  });

  it("that is longer than it may be is refused before it has all come", async () => {
    const { body } = await receive(["Transfer-Encoding: chunked"], `65\r\n${"x".repeat(101)}\r\n`);
    await expect(body).rejects.toMatchObject({
      problem: { code: "request/body-too-large", detail: "The body may come to 100 bytes." },
    });
  });

  it("that does not come in time is refused with what has", async () => {
    const { body } = await receive(["Content-Length: 10"], "01234", { limitMs: 30 });
    await expect(body).rejects.toMatchObject({ problem: { code: "request/timeout", detail: "Of the body, 5 bytes came in 30 ms." } });
  });

  it("whose client leaves has ended early", async () => {
    const { body, client } = await receive(["Content-Length: 10"], "01234");
    client.destroy();
    await expect(body).rejects.toMatchObject({ problem: { code: "request/malformed", detail: "The body ended early." } });
  });
});

describe("whoever waits", () => {
  it("has left when its connection is gone before the answer, which is told once", async () => {
    const { c, client } = await receive(["Content-Length: 0"], "");
    const waiter = waiterOf(c);
    const told: string[] = [];
    waiter.whenLeft(() => told.push("called off"))();
    const left = new Promise<void>((resolve) => waiter.whenLeft(resolve));
    expect(waiter.hasLeft()).toBe(false);
    client.destroy();
    await left;
    expect([waiter.hasLeft(), told]).toEqual([true, []]);
  });

  it("has not left when it has its answer", async () => {
    const { c } = await receive(["Content-Length: 0"], "");
    const { outgoing } = c.env as { readonly outgoing: ServerResponse };
    const waiter = waiterOf(c);
    const told: string[] = [];
    waiter.whenLeft(() => told.push("left"));
    await new Promise<void>((resolve) => outgoing.end("done", resolve));
    outgoing.destroy();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect([waiter.hasLeft(), told]).toEqual([false, []]);
  });
});

it("a field is found by its name, several of it joined", async () => {
  const { c } = await receive(["Content-Length: 0", "X-A: 1", "X-A: 2"], "");
  expect([headerOf(c, "x-a"), headerOf(c, "x-b")]).toEqual(["1, 2", undefined]);
});
