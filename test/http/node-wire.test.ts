/** What the Node front does on the wire and `fetch` hides: order, expectations, upgrades, targets, HTTP/1.0. */
import { describe, expect, it } from "vitest";
import { startWire } from "../support/http-wire-start.js";
import { closingProblem, withoutRunIds } from "../support/http-wire.js";

describe("pipelined requests", () => {
  it("are answered in order, whoever is ready first", async () => {
    const { front, wire } = await startWire(async (run) => {
      if (run.incoming.target === "/1") await new Promise((resolve) => setTimeout(resolve, 50));
      run.answer(200, [], run.incoming.target);
    });
    wire.send(
      "GET /1 HTTP/1.1",
      "Host: a",
      "",
      "GET /2 HTTP/1.1",
      "Host: a",
      "",
      "GET /3 HTTP/1.1",
      "Host: a",
      "Connection: close",
      "",
      "",
    );
    const text = await wire.all();
    expect(text.match(/\/\d$|\/\d(?=HTTP)/g)).toEqual(["/1", "/2", "/3"]);
    expect(front.runs).toHaveLength(3);
  });

  it("followed by a malformed one are answered before it is refused", async () => {
    const { wire } = await startWire(async (run) => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      run.answer(200, [], "good");
    });
    wire.send("GET /1 HTTP/1.1", "Host: a", "", "FROB / HTTP/1.1", "", "");
    const text = await wire.all();
    expect(text).toMatch(/^HTTP\/1.1 200 OK\r\n[^]*goodHTTP\/1.1 400 Bad Request\r\n/);
  });

  it("that stream wait for each other within their credit", async () => {
    const { front, wire } = await startWire("endless");
    wire.socket.pause();
    wire.send("GET /1 HTTP/1.1", "Host: a", "", "GET /2 HTTP/1.1", "Host: a", "", "");
    const second = await front.run(1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(second.taken_).toBe(0);
    expect(second.written).toBeLessThanOrEqual(256 * 1024);
  });
});

describe("Expect", () => {
  it("is met at once for a small body, which is collected", async () => {
    const { wire } = await startWire("mirror");
    wire.send("POST / HTTP/1.1", "Host: a", "Content-Length: 5", "Expect: 100-continue", "Connection: close", "", "");
    await wire.until(/^HTTP\/1.1 100 Continue\r\n\r\n$/);
    wire.raw("hello");
    expect(await wire.all()).toMatch(/100 Continue\r\n\r\nHTTP\/1.1 200 OK\r\n[^]*"body":"hello"/);
  });

  it("is met for a large body when the guest wants it", async () => {
    const { front, wire } = await startWire(async (run) => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      while ((await run.read()) !== undefined);
      run.answer(200, [], String(run.received));
    });
    wire.send("POST / HTTP/1.1", "Host: a", "Content-Length: 100000", "Expect: 100-continue", "", "");
    await front.run();
    expect(wire.text).toBe("");
    await wire.until(/^HTTP\/1.1 100 Continue\r\n\r\n$/);
    wire.raw("x".repeat(100_000));
    await wire.until(/\r\n100000$/);
  });

  it("is not met when the guest does not want the body: the answer comes and the connection closes", async () => {
    const { wire } = await startWire("ignorer");
    wire.send("POST / HTTP/1.1", "Host: a", "Content-Length: 100000", "Expect: 100-continue", "", "");
    expect(await wire.all()).toBe(
      "HTTP/1.1 200 OK\r\nPilotlight-Run: run-0\r\ncontent-type: text/plain\r\nContent-Length: 7\r\nConnection: close\r\n\r\nignored",
    );
  });

  it("is met on a path of ours", async () => {
    const { wire } = await startWire("hello");
    wire.send("POST /-/livez HTTP/1.1", "Host: a", "Content-Length: 2", "Expect: 100-continue", "", "");
    await wire.until(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 405 /);
  });

  it("of anything else is refused", async () => {
    const { wire } = await startWire("hello");
    wire.send("GET / HTTP/1.1", "Host: a", "Expect: a-miracle", "", "");
    expect(withoutRunIds(await wire.all())).toBe(
      closingProblem(
        "417 Expectation Failed",
        "request/expectation",
        "This expectation is not supported",
        "Expect: a-miracle is not supported; 100-continue is.",
      ),
    );
  });
});

describe("Upgrade and CONNECT", () => {
  const unsupported = (detail: string): string =>
    closingProblem("501 Not Implemented", "request/upgrade", "Protocol upgrades are not supported", detail);

  it("to a websocket is refused", async () => {
    const { wire } = await startWire("hello");
    wire.send("GET / HTTP/1.1", "Host: a", "Connection: keep-alive, Upgrade", "Upgrade: websocket", "", "");
    expect(withoutRunIds(await wire.all())).toBe(unsupported('An upgrade to "websocket" is not supported.'));
  });

  it("CONNECT is refused", async () => {
    const { wire } = await startWire("hello");
    wire.send("CONNECT a:443 HTTP/1.1", "Host: a:443", "", "");
    expect(withoutRunIds(await wire.all())).toBe(unsupported("CONNECT is not supported."));
  });

  it("an offer of h2c is ignored, and the connection goes on", async () => {
    const { wire } = await startWire("hello");
    wire.send("GET / HTTP/1.1", "Host: a", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAA", "", "");
    await wire.until(/hello$/);
    wire.send("GET / HTTP/1.1", "Host: a", "Connection: close", "", "");
    expect((await wire.all()).match(/hello/g)).toHaveLength(2);
  });

  it("without Connection: upgrade means nothing", async () => {
    const { wire } = await startWire("hello");
    wire.send("GET / HTTP/1.1", "Host: a", "Upgrade: websocket", "Connection: close", "", "");
    expect(await wire.all()).toMatch(/^HTTP\/1.1 200 OK/);
  });
});

describe("request targets", () => {
  it.each([
    ["GET /a/../b/%2e/{x}?[q]", "/a/../b/%2e/{x}?[q]", "a"],
    ["GET //-/livez", "//-/livez", "a"],
    ["GET /a/../-/livez", "/a/../-/livez", "a"],
    ["GET http://other:81/a?b", "/a?b", "other:81"],
    ["GET http://other", "/", "other"],
    ["GET http://other?q", "/?q", "other"],
    ["OPTIONS *", "/", "a"],
  ])("%s reaches the guest as %s at %s", async (line, target, authority) => {
    const { front, wire } = await startWire("hello");
    wire.send(`${line} HTTP/1.1`, "Host: a", "", "");
    await wire.until(/hello$/);
    expect(front.runs[0]?.incoming).toMatchObject({ target, authority, peer: "127.0.0.1", scheme: "http" });
  });

  it("in absolute form lead to paths of ours too", async () => {
    const { wire } = await startWire("hello");
    wire.send("GET http://other/-/livez HTTP/1.1", "Host: a", "", "");
    await wire.until(/live\n$/);
  });

  it("go with headers in their own case and order", async () => {
    const { front, wire } = await startWire("hello");
    wire.send("GET / HTTP/1.1", "hOST: a", "X-b: 1", "x-A:  2 ", "X-B: caf\u00e9", "", "");
    await wire.until(/hello$/);
    expect(front.runs[0]?.incoming.headers).toEqual(["hOST", "a", "X-b", "1", "x-A", "2", "X-B", "caf\u00e9"]);
  });
});

describe("HTTP/1.0", () => {
  it("needs no Host, and a whole answer has its length", async () => {
    const { front, wire } = await startWire("hello");
    wire.send("GET / HTTP/1.0", "", "");
    expect(await wire.all()).toBe(
      "HTTP/1.1 200 OK\r\nPilotlight-Run: run-0\r\ncontent-type: text/plain\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
    );
    expect(front.runs[0]?.incoming.authority).toBe("");
  });

  it("gets a streaming answer that ends with the connection", async () => {
    const { wire } = await startWire("trailersAtOnce");
    wire.send("GET / HTTP/1.0", "", "");
    expect(await wire.all()).toMatch(/Connection: close\r\n\r\nbody$/);
    const { wire: other } = await startWire(async (run) => {
      run.begin();
      await run.write(Buffer.from("body"));
      run.reply.end(["X-Sum", "1"]);
    });
    other.send("GET / HTTP/1.0", "", "");
    expect(await other.all()).toBe("HTTP/1.1 200 OK\r\nPilotlight-Run: run-0\r\nConnection: close\r\n\r\nbody");
    expect(await other.closed).toBe("ended");
  });

  it("sees an answer that breaks off as a reset, not as its end", async () => {
    const { front, wire } = await startWire(async (run) => run.begin(200, [], Buffer.from("half")));
    wire.send("GET / HTTP/1.0", "", "");
    await wire.until(/half$/);
    // libuv, on this client's side, takes a reset that comes with the last bytes for an end.
    await new Promise((resolve) => setTimeout(resolve, 30));
    (await front.run()).reply.reset();
    expect(await wire.closed).toBe("ECONNRESET");
  });

  it("never gets 100 Continue", async () => {
    const { wire } = await startWire("sink");
    wire.send("POST / HTTP/1.0", "Content-Length: 3", "Expect: 100-continue", "", "abc");
    expect(await wire.all()).not.toContain("100 Continue");
  });
});
