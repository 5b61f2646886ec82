/** Real components on the wire: what only bytes on a socket can show. */
import { beforeAll, describe, expect, it } from "vitest";
import { guestTask, WASI } from "../support/guests.js";
import { fieldsOf, openWire, parseAnswer, parseAnswers, rawRequest } from "../support/raw-http.js";
import { startRuntime, type StartedRuntime } from "../support/runtime.js";

const CHUNKED_WITH_TRAILER = "5\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 42\r\nHost: evil\r\nKeep-Alive: x\r\n\r\n";

describe.each(WASI)("WASI %s", (wasi) => {
  let node: StartedRuntime;
  beforeAll(async () => {
    node = await startRuntime([
      guestTask(`behave-${wasi}`, { limits: { headers: "16KiB" } }),
      guestTask(`echo-${wasi}`, { routes: ["/echo", "/info"] }),
      guestTask(`hello-${wasi}`, { routes: ["/hello"] }),
    ]);
  });

  describe("trailers", () => {
    it("of a request reach the component, and its own come back, without what frames or routes a message", async () => {
      const answer = await rawRequest(
        node.port,
        ["POST /echo HTTP/1.1", "Host: a", "TE: trailers", "Transfer-Encoding: chunked", "Trailer: X-Sum"],
        CHUNKED_WITH_TRAILER,
      );
      expect(answer).toMatchObject({ status: 200, body: "hello!", trailers: [["x-sum", "42"]] });
    });

    it("that a component announces are announced and sent", async () => {
      const answer = await rawRequest(node.port, ["GET /trailers HTTP/1.1", "Host: a", "TE: trailers"]);
      expect(answer).toMatchObject({ status: 200, body: "body\n", trailers: [["x-checksum", "42"]] });
      expect(fieldsOf(answer, "trailer")).toEqual(["x-checksum"]);
    });

    it("are left out for HTTP/1.0, whose answers have none", async () => {
      const wire = await openWire(node.port);
      wire.send("GET /trailers HTTP/1.0", "", "");
      expect(await wire.all()).toMatch(/\r\n\r\nbody\n$/);
      expect(wire.text).not.toMatch(/chunked|trailer/i);
    });
  });

  describe("hop-by-hop fields", () => {
    it("of a client never reach the component", async () => {
      const answer = await rawRequest(node.port, [
        "GET /info HTTP/1.1",
        "Host: a",
        "Connection: keep-alive, X-Named, Host",
        "X-Named: hop",
        "Keep-Alive: timeout=9",
        "TE: trailers",
        "Trailer: X",
        "Proxy-Authorization: Basic hop",
        "Proxy-Connection: keep-alive",
        "Upgrade: h2c",
        "HTTP2-Settings: hop",
        "X-Kept: end-to-end",
      ]);
      const seen = JSON.parse(answer.body) as { headers: [string, string][]; authority: string };
      expect(seen.authority).toBe("a");
      expect(seen.headers.filter(([name]) => name.toLowerCase() !== "host")).toEqual([[expect.stringMatching(/^x-kept$/i), "end-to-end"]]);
    });

    it("of a component never reach a client", async () => {
      const answer = await rawRequest(node.port, ["GET /hop HTTP/1.1", "Host: a"]);
      expect(answer.headers.filter(([name, value]) => value === "x-hop" && name !== "trailer")).toEqual([]);
      expect(fieldsOf(answer, "connection")).toEqual(["close"]);
    });
  });

  describe("Expect: 100-continue", () => {
    it("is answered when the component reads, and not before", async () => {
      const wire = await openWire(node.port);
      wire.send("POST /read HTTP/1.1", "Host: a", "Expect: 100-continue", "Content-Length: 70000", "", "");
      await wire.until(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
      wire.raw("x".repeat(70_000));
      await wire.until(/70000\n/);
      expect(parseAnswers(wire.text).map(({ status }) => status)).toEqual([100, 200]);
    });

    it("is not answered for a component that does not read, and its answer is there", async () => {
      const wire = await openWire(node.port);
      wire.send("POST /hello HTTP/1.1", "Host: a", "Expect: 100-continue", "Content-Length: 70000", "", "");
      await wire.until(/Hello, WASI!/);
      expect(wire.text).toMatch(/^HTTP\/1\.1 200 /);
    });

    it("of something else is refused with 417", async () => {
      expect((await rawRequest(node.port, ["GET /hello HTTP/1.1", "Host: a", "Expect: miracles"])).status).toBe(417);
    });
  });

  it("pipelined requests are answered in their order, whichever run is done first", async () => {
    const wire = await openWire(node.port);
    const ask = (path: string, body = ""): string => `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    wire.raw(
      ask("/sleep?ms=150") +
        ask("/echo", "second") +
        ask("/trap") +
        ask("/hello") +
        "GET /status?code=404 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    await wire.closed;
    const answers = parseAnswers(wire.text);
    expect(answers.map(({ status, body }) => [status, body.slice(0, 6)])).toEqual([
      [200, "ok\n"],
      [200, "second"],
      [500, '{"type'],
      [200, "Hello,"],
      [404, "404"],
    ]);
    const runs = answers.map((answer) => fieldsOf(answer, "pilotlight-run"));
    expect(runs.flat()).toHaveLength(5);
    expect(new Set(runs.flat()).size).toBe(5);
  });

  it("server-sent events leave one by one", async () => {
    const wire = await openWire(node.port);
    wire.send("GET /slow?pieces=3&ms=100 HTTP/1.1", "Host: a", "Connection: close", "", "");
    const seen: number[] = [];
    for (const event of [0, 1, 2]) {
      await wire.until(new RegExp(`data: ${event}\\n\\n`));
      seen.push(wire.text.match(/data: /g)?.length ?? 0);
    }
    expect(seen).toEqual([1, 2, 3]);
    await wire.closed;
    expect(parseAnswer(wire.text)?.body).toBe("data: 0\n\ndata: 1\n\ndata: 2\n\n");
  });

  it("HEAD has the length of the answer that GET would have, and nothing after the head", async () => {
    const head = await rawRequest(node.port, ["HEAD /hello HTTP/1.1", "Host: a"]);
    const get = await rawRequest(node.port, ["GET /hello HTTP/1.1", "Host: a"]);
    expect([head.status, fieldsOf(head, "content-length")]).toEqual([200, fieldsOf(get, "content-length")]);
    const wire = await openWire(node.port);
    wire.send("HEAD /big?bytes=100000 HTTP/1.1", "Host: a", "", "GET /hello HTTP/1.1", "Host: a", "Connection: close", "", "");
    await wire.closed;
    const first = parseAnswer(wire.text, { head: true });
    expect(parseAnswer(wire.text.slice(first?.bytes))?.body).toBe("Hello, WASI!\n");
  });

  describe("an answer that breaks off", () => {
    it("in chunks has no last chunk", async () => {
      const wire = await openWire(node.port);
      wire.send("GET /after-head-trap?ms=50 HTTP/1.1", "Host: a", "", "");
      await wire.closed;
      expect(wire.text).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\r\nf\r\nthe first half\n\r\n$/);
      expect(parseAnswer(wire.text)).toBeUndefined();
    });

    it("of a declared length is shorter than that", async () => {
      const wire = await openWire(node.port);
      wire.send("GET /big?bytes=100000&length=200000 HTTP/1.1", "Host: a", "", "");
      await wire.closed;
      const head = wire.text.slice(0, wire.text.indexOf("\r\n\r\n"));
      if (head.startsWith("HTTP/1.1 200")) expect(wire.text.length - head.length - 4).toBeLessThan(200_000);
      else expect(wire.text).toContain("problems/guest/error");
    });

    it("for HTTP/1.0, where the end of the connection is the end of the body, ends by a reset", async () => {
      const wire = await openWire(node.port);
      wire.send("GET /after-head-trap?ms=50 HTTP/1.0", "", "");
      expect(await wire.closed).toBe("ECONNRESET");
    });
  });

  describe("what a component may not say", () => {
    it("a length that its body does not have is never sent as if it were right", async () => {
      const wire = await openWire(node.port);
      wire.send("GET /big?bytes=200000&length=1000 HTTP/1.1", "Host: a", "Connection: close", "", "");
      await wire.closed;
      const answer = parseAnswer(wire.text);
      // Either a problem, or a body cut off before more than declared was written.
      if (answer?.status === 200) throw new Error(`taken for whole: ${answer.bytes} bytes`);
    });

    it("an id of a run is ours alone to give", async () => {
      const answer = await rawRequest(node.port, ["GET /hello HTTP/1.1", "Host: a", "Pilotlight-Run: mine"]);
      expect(fieldsOf(answer, "pilotlight-run")).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/)]);
    });
  });

  describe("every answer names a run, refusals too", () => {
    it.each([
      ["a request that is not HTTP", ["GET / HTTP/1.1", "no colon"], 400],
      ["a request without Host", ["GET /hello HTTP/1.1"], 400],
      ["a body too large", ["POST /hello HTTP/1.1", "Host: a", "Content-Length: 99999999"], 413],
      [
        "headers beyond the task's limit",
        ["GET / HTTP/1.1", "Host: a", `X-Big: ${"v".repeat(200)}`, ...Array.from({ length: 200 }, (_, i) => `X-${i}: ${"v".repeat(200)}`)],
        431,
      ],
      ["headers beyond the server's limit", ["GET /hello HTTP/1.1", "Host: a", `X-Big: ${"v".repeat(1_000_000)}`], 431],
      ["an upgrade", ["GET /hello HTTP/1.1", "Host: a", "Connection: upgrade", "Upgrade: websocket"], 501],
      ["CONNECT", ["CONNECT a:1 HTTP/1.1", "Host: a"], 501],
    ] as const)("%s", async (_title, head, status) => {
      const wire = await openWire(node.port);
      wire.send(...head, "", "");
      await wire.until(/\r\n\r\n[^]*}/);
      const answer = parseAnswer(wire.text);
      expect(answer?.status).toBe(status);
      expect(fieldsOf(answer!, "content-type")).toEqual(["application/problem+json"]);
      expect(fieldsOf(answer!, "pilotlight-run")).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/)]);
    });
  });
});
