/** Outbound requests of real components: nothing unless listed, and what is listed only. Addresses and names are `native/core/tests/outbound`'s. */
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTcpServer, type AddressInfo } from "node:net";
import { beforeAll, describe, expect, it } from "vitest";
import { atEnd } from "../support/cleanup.js";
import { guestTask, WASI } from "../support/guests.js";
import { problemOf, runOf, startRuntime, type StartedRuntime } from "../support/runtime.js";
import { until } from "../support/until.js";

interface Upstream {
  readonly origin: string;
  readonly port: number;
  readonly server: Server;
  readonly requests: string[];
}

async function startUpstream(listener: RequestListener): Promise<Upstream> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url} ${request.headers.host}`);
    listener(request, response);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  atEnd(() => (server.closeAllConnections(), server.close()));
  const { port } = server.address() as AddressInfo;
  return { origin: `http://127.0.0.1:${port}`, port, server, requests };
}

describe.each(WASI)("WASI %s: a component", (wasi) => {
  let upstream: Upstream;
  let node: StartedRuntime;
  const task = (name: string, outbound: string[], limits = {}) =>
    guestTask(`outbound-${wasi}`, { name, routes: [`/${name}`], outbound, limits });

  beforeAll(async () => {
    upstream = await startUpstream((request, response) => {
      if (request.url === "/never") return;
      if (request.url === "/half") return void response.writeHead(200, { "content-length": "100" }).write("half", () => response.destroy());
      response
        .writeHead(request.url === "/teapot" ? 418 : 200, { "x-upstream": "1" })
        .end(request.url === "/big" ? "x".repeat(3_000_000) : "from upstream");
    });
    const elsewhere = `http://127.0.0.1:${upstream.port === 1 ? 2 : 1}`;
    node = await startRuntime(
      [
        task("none", []),
        task("named", [upstream.origin], { timeout: "500ms", concurrency: 200 }),
        task("any", ["*"]),
        task("other", [elsewhere]),
      ],
      { instances: 200 },
    );
  });

  const ask = async (name: string, url: string): Promise<[number, string]> => {
    const response = await node.get(`/${name}?url=${url}`);
    return [response.status, await response.text()];
  };

  it("calls nobody unless its manifest says so", async () => {
    expect(await ask("none", `${upstream.origin}/denied`)).toEqual([502, "HTTP-request-denied"]);
    expect(await ask("other", `${upstream.origin}/denied`)).toEqual([502, "HTTP-request-denied"]);
    expect(upstream.requests.filter((line) => line.includes("denied"))).toEqual([]);
  });

  it("calls the origins that its manifest names, by the name they are called there", async () => {
    expect(await ask("named", `${upstream.origin}/hello?x=1`)).toEqual([200, "from upstream"]);
    expect(upstream.requests).toContain(`GET /hello?x=1 127.0.0.1:${upstream.port}`);
    expect(await ask("named", `${upstream.origin}/teapot`)).toEqual([418, "from upstream"]);
    expect(await ask("named", `http://localhost:${upstream.port}/`)).toEqual([502, "HTTP-request-denied"]);
  });

  it("that may call everywhere may still not call this machine, nor by a name that leads to it", async () => {
    expect((await ask("any", `${upstream.origin}/inside`))[0]).toBe(502);
    expect((await ask("any", `http://localhost:${upstream.port}/inside`))[0]).toBe(502);
    // Named by a name, an address of this machine is refused before anything runs.
    await expect(node.runtime.deploy(task("by-name", [`http://localhost:${upstream.port}`]))).rejects.toThrow(
      `outbound origin "http://localhost:${upstream.port}" is a name for loopback, which must be listed by address; add or write "${upstream.origin}"`,
    );
    expect(await ask("any", `http://169.254.169.254/latest`)).toEqual([502, "destination-IP-prohibited"]);
    expect(await ask("any", `http://10.0.0.1/`)).toEqual([502, "destination-IP-prohibited"]);
    expect(upstream.requests.filter((line) => line.includes("inside"))).toEqual([]);
  });

  it("gets a large answer whole, and a broken one as broken", async () => {
    expect((await ask("named", `${upstream.origin}/big`))[1]).toHaveLength(3_000_000);
    const broken = await node.get(`/named?url=${upstream.origin}/half`);
    if (broken.status === 200) await expect(broken.text()).rejects.toThrow();
    else expect(broken.status).toBe(502);
    await node.idle();
  });

  it("that nobody listens to is told so", async () => {
    const closed = createTcpServer().listen(0, "127.0.0.1");
    await once(closed, "listening");
    const { port } = closed.address() as AddressInfo;
    closed.close();
    await once(closed, "close");
    await node.runtime.deploy(task("closed", [`http://127.0.0.1:${port}`]));
    expect(await ask("closed", `http://127.0.0.1:${port}/`)).toEqual([502, "connection-refused"]);
  });

  it("that waits for an answer is ended by its own limit, and its connection with it", async () => {
    const response = await node.get(`/named?url=${upstream.origin}/never`);
    expect(await problemOf(response)).toMatchObject({ status: 504, code: "guest/timeout" });
    expect(await node.log.run(runOf(response))).toMatchObject({ outcome: "limit" });
    await until(
      "the connection is closed",
      () => new Promise<boolean>((resolve) => upstream.server.getConnections((_error, count) => resolve(count === 0))),
    );
    await node.idle();
  });

  it("has a hundred connections at once and no more", async () => {
    const answers = await Promise.all(Array.from({ length: 110 }, () => ask("named", `${upstream.origin}/never`)));
    const refused = answers.filter(([, text]) => text === "connection-limit-reached");
    expect(refused.length).toBe(10);
    expect(answers.filter(([status]) => status === 504)).toHaveLength(100);
    await node.idle();
    expect(await ask("named", `${upstream.origin}/again`)).toEqual([200, "from upstream"]);
  });
});
