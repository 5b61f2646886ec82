/** What the Node front does on the wire: requests that no well-behaved client sends, and framing that `fetch` hides. */
import { afterEach, describe, expect, it } from "vitest";
import type { NodeFrontOptions } from "../../src/http/node-front.js";
import { startNodeFront, type StartedNodeFront } from "../support/http-subjects.js";
import { closingProblem, Wire } from "../support/http-wire.js";
import type { GuestName } from "../support/http-guests.js";
import type { Script } from "../support/http-fake-invoke.js";

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const thing of open.splice(0)) await thing[Symbol.asyncDispose]();
});

/** A front over a guest and one connection to it. */
async function start(guest: GuestName | Script, options: Partial<NodeFrontOptions> = {}): Promise<{ front: StartedNodeFront; wire: Wire; another(): Promise<Wire> }> {
  const front = await startNodeFront(guest, options);
  open.push({ [Symbol.asyncDispose]: () => front.stop() });
  const another = async (): Promise<Wire> => {
    const wire = await Wire.open(front.at.port);
    open.unshift(wire);
    return wire;
  };
  return { front, wire: await another(), another };
}

const malformed = (detail: string): string => closingProblem("400 Bad Request", "request/malformed", "The request is not valid HTTP", detail);

describe("malformed requests are refused with a problem, and the connection closes", () => {
  it.each([
    ["nonsense", ["nonsense", "", ""], "The request could not be read: Invalid method encountered."],
    ["a method that does not exist", ["FROB / HTTP/1.1", "Host: a", "", ""], "The request could not be read: Invalid method encountered."],
    ["a version that does not exist", ["GET / HTTP/3.7", "Host: a", "", ""], "The request could not be read: Invalid HTTP version."],
    ["a header without a colon", ["GET / HTTP/1.1", "Host a", "", ""], "The request could not be read: Invalid header token."],
    ["a header value with a control character", ["GET / HTTP/1.1", "Host: a", "X: a\u0001b", "", ""], "The request could not be read: Invalid header value char."],
    ["both lengths", ["POST / HTTP/1.1", "Host: a", "Content-Length: 5", "Transfer-Encoding: chunked", "", "0", "", ""], "The request could not be read: Transfer-Encoding can't be present with Content-Length."],
    ["both lengths the other way round", ["POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Content-Length: 5", "", "0", "", ""], "The request could not be read: Content-Length can't be present with Transfer-Encoding."],
    ["two lengths", ["POST / HTTP/1.1", "Host: a", "Content-Length: 5", "Content-Length: 6", "", "hello"], "The request could not be read: Duplicate Content-Length."],
    ["a length that is no number", ["POST / HTTP/1.1", "Host: a", "Content-Length: five", "", "hello"], "The request could not be read: Invalid character in Content-Length."],
    ["a coding that is not supported", ["POST / HTTP/1.1", "Host: a", "Transfer-Encoding: gzip, chunked", "", "0", "", ""], 'Transfer-Encoding "gzip, chunked" is not supported; chunked is.'],
    ["no Host", ["GET / HTTP/1.1", "", ""], "The request has no Host field; HTTP/1.1 needs one."],
    ["two Hosts", ["GET / HTTP/1.1", "Host: a", "host: b", "", ""], "The request has more than one Host field; one is needed."],
    ["an empty Host", ["GET / HTTP/1.1", "Host:", "", ""], 'The Host field "" is not a host name with an optional port.'],
    ["a Host that is none", ["GET / HTTP/1.1", "Host: a/b", "", ""], 'The Host field "a/b" is not a host name with an optional port.'],
    ["a user name in Host", ["GET / HTTP/1.1", "Host: me@a", "", ""], 'The Host field "me@a" is not a host name with an optional port.'],
    ["a fragment", ["GET /a#b HTTP/1.1", "Host: a", "", ""], 'The request target "/a#b" is neither a path nor an absolute http URL.'],
    ["a target of another scheme", ["GET ftp://a/b HTTP/1.1", "Host: a", "", ""], 'The request target "ftp://a/b" is neither a path nor an absolute http URL.'],
    ["a user name in the target", ["GET http://me@a/b HTTP/1.1", "Host: a", "", ""], 'The request target "http://me@a/b" is neither a path nor an absolute http URL.'],
  ])("%s", async (_name, lines, detail) => {
    const { front, wire } = await start("hello");
    wire.send(...lines);
    expect(await wire.all()).toBe(malformed(detail));
    expect(front.runs).toHaveLength(0);
  });

  it("headers that are too large", async () => {
    const { front, wire } = await start("hello", { headerBytes: 1000 });
    wire.send("GET / HTTP/1.1", "Host: a", `X: ${"x".repeat(100_000)}`, "", "");
    expect(await wire.all()).toBe(
      closingProblem("431 Request Header Fields Too Large", "request/headers-too-large", "The request headers are larger than allowed", "Request line and headers together may have 1000 bytes."),
    );
    expect(front.runs).toHaveLength(0);
  });

  it("chunk extensions that are too long", async () => {
    const { wire } = await start("sink");
    wire.send("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "", `5;x=${"x".repeat(20_000)}`, "hello", "0", "", "");
    expect(await wire.all()).toBe(
      closingProblem("413 Payload Too Large", "request/body-too-large", "The request body is larger than allowed", "The chunk extensions of the request body are too long."),
    );
  });

  it("headers that do not come in time", async () => {
    const { wire } = await start("hello", { headersMs: 100 });
    wire.send("GET / HTTP/1.1", "Host: a", "");
    expect(await wire.all()).toBe(
      closingProblem("408 Request Timeout", "request/timeout", "The request did not arrive in time", "The request's headers were not complete in time."),
    );
  });

  it("a small body that does not come in time", async () => {
    const { front, wire } = await start("hello", { bodyMs: 100 });
    wire.send("POST / HTTP/1.1", "Host: a", "Content-Length: 10", "", "1234");
    expect(await wire.all()).toBe(
      closingProblem("408 Request Timeout", "request/timeout", "The request did not arrive in time", "Of 10 bytes of the body, 4 came in 100 ms."),
    );
    expect(front.runs).toHaveLength(0);
  });

  it("more than 2,000 headers are all there", async () => {
    const { front, wire } = await start("hello");
    wire.send("GET / HTTP/1.1", "Host: a", ...Array.from({ length: 2500 }, (_, i) => `X-${i}: 1`), "", "");
    await wire.until(/hello$/);
    expect(front.runs[0]?.incoming.headers).toHaveLength(5002);
  });
});

describe("a body that breaks off in its framing", () => {
  const broken = ["POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "", "5", "hello", "zz", ""];

  it("before the answer: 400, and the run is cancelled", async () => {
    const { front, wire } = await start("sink");
    wire.send(...broken);
    expect(await wire.all()).toBe(malformed("The request could not be read: Invalid character in chunk size."));
    await (await front.run()).cancelled;
  });

  it("after the head: the connection breaks, and the run is cancelled", async () => {
    const { front, wire } = await start("echo");
    wire.send(...broken.slice(0, 6), "");
    await wire.until(/hello\r\n$/);
    wire.send("zz", "");
    expect(await wire.all()).not.toContain("400");
    await (await front.run()).cancelled;
  });
});

describe("pipelined requests", () => {
  it("are answered in order, whoever is ready first", async () => {
    const { front, wire } = await start(async (run) => {
      if (run.incoming.target === "/1") await new Promise((resolve) => setTimeout(resolve, 50));
      run.answer(200, [], run.incoming.target);
    });
    wire.send("GET /1 HTTP/1.1", "Host: a", "", "GET /2 HTTP/1.1", "Host: a", "", "GET /3 HTTP/1.1", "Host: a", "Connection: close", "", "");
    const text = await wire.all();
    expect(text.match(/\/\d$|\/\d(?=HTTP)/g)).toEqual(["/1", "/2", "/3"]);
    expect(front.runs).toHaveLength(3);
  });

  it("followed by a malformed one are answered before it is refused", async () => {
    const { wire } = await start(async (run) => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      run.answer(200, [], "good");
    });
    wire.send("GET /1 HTTP/1.1", "Host: a", "", "FROB / HTTP/1.1", "", "");
    const text = await wire.all();
    expect(text).toMatch(/^HTTP\/1.1 200 OK\r\n[^]*goodHTTP\/1.1 400 Bad Request\r\n/);
  });

  it("that stream wait for each other within their credit", async () => {
    const { front, wire } = await start("endless");
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
    const { wire } = await start("mirror");
    wire.send("POST / HTTP/1.1", "Host: a", "Content-Length: 5", "Expect: 100-continue", "Connection: close", "", "");
    await wire.until(/^HTTP\/1.1 100 Continue\r\n\r\n$/);
    wire.raw("hello");
    expect(await wire.all()).toMatch(/100 Continue\r\n\r\nHTTP\/1.1 200 OK\r\n[^]*"body":"hello"/);
  });

  it("is met for a large body when the guest wants it", async () => {
    const { front, wire } = await start(async (run) => {
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
    const { wire } = await start("ignorer");
    wire.send("POST / HTTP/1.1", "Host: a", "Content-Length: 100000", "Expect: 100-continue", "", "");
    expect(await wire.all()).toBe("HTTP/1.1 200 OK\r\nPilotlight-Run: run-0\r\ncontent-type: text/plain\r\nContent-Length: 7\r\nConnection: close\r\n\r\nignored");
  });

  it("is met on a path of ours", async () => {
    const { wire } = await start("hello");
    wire.send("POST /-/livez HTTP/1.1", "Host: a", "Content-Length: 2", "Expect: 100-continue", "", "");
    await wire.until(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 405 /);
  });

  it("of anything else is refused", async () => {
    const { wire } = await start("hello");
    wire.send("GET / HTTP/1.1", "Host: a", "Expect: a-miracle", "", "");
    expect(await wire.all()).toBe(
      closingProblem("417 Expectation Failed", "request/expectation", "This expectation is not supported", "Expect: a-miracle is not supported; 100-continue is."),
    );
  });
});

describe("Upgrade and CONNECT", () => {
  const unsupported = (detail: string): string => closingProblem("501 Not Implemented", "request/upgrade", "Protocol upgrades are not supported", detail);

  it("to a websocket is refused", async () => {
    const { wire } = await start("hello");
    wire.send("GET / HTTP/1.1", "Host: a", "Connection: keep-alive, Upgrade", "Upgrade: websocket", "", "");
    expect(await wire.all()).toBe(unsupported('An upgrade to "websocket" is not supported.'));
  });

  it("CONNECT is refused", async () => {
    const { wire } = await start("hello");
    wire.send("CONNECT a:443 HTTP/1.1", "Host: a:443", "", "");
    expect(await wire.all()).toBe(unsupported("CONNECT is not supported."));
  });

  it("an offer of h2c is ignored, and the connection goes on", async () => {
    const { wire } = await start("hello");
    wire.send("GET / HTTP/1.1", "Host: a", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAA", "", "");
    await wire.until(/hello$/);
    wire.send("GET / HTTP/1.1", "Host: a", "Connection: close", "", "");
    expect((await wire.all()).match(/hello/g)).toHaveLength(2);
  });

  it("without Connection: upgrade means nothing", async () => {
    const { wire } = await start("hello");
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
    const { front, wire } = await start("hello");
    wire.send(`${line} HTTP/1.1`, "Host: a", "", "");
    await wire.until(/hello$/);
    expect(front.runs[0]?.incoming).toMatchObject({ target, authority, peer: "127.0.0.1", scheme: "http" });
  });

  it("in absolute form lead to paths of ours too", async () => {
    const { wire } = await start("hello");
    wire.send("GET http://other/-/livez HTTP/1.1", "Host: a", "", "");
    await wire.until(/live\n$/);
  });

  it("go with headers in their own case and order", async () => {
    const { front, wire } = await start("hello");
    wire.send("GET / HTTP/1.1", "hOST: a", "X-b: 1", "x-A:  2 ", "X-B: caf\u00e9", "", "");
    await wire.until(/hello$/);
    expect(front.runs[0]?.incoming.headers).toEqual(["hOST", "a", "X-b", "1", "x-A", "2", "X-B", "caf\u00e9"]);
  });
});

describe("HTTP/1.0", () => {
  it("needs no Host, and a whole answer has its length", async () => {
    const { front, wire } = await start("hello");
    wire.send("GET / HTTP/1.0", "", "");
    expect(await wire.all()).toBe("HTTP/1.1 200 OK\r\nPilotlight-Run: run-0\r\ncontent-type: text/plain\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
    expect(front.runs[0]?.incoming.authority).toBe("");
  });

  it("gets a streaming answer that ends with the connection", async () => {
    const { wire } = await start("trailersAtOnce");
    wire.send("GET / HTTP/1.0", "", "");
    expect(await wire.all()).toMatch(/Connection: close\r\n\r\nbody$/);
    const { wire: other } = await start(async (run) => {
      run.begin();
      await run.write(Buffer.from("body"));
      run.reply.end(["X-Sum", "1"]);
    });
    other.send("GET / HTTP/1.0", "", "");
    expect(await other.all()).toBe("HTTP/1.1 200 OK\r\nPilotlight-Run: run-0\r\nConnection: close\r\n\r\nbody");
    expect(await other.closed).toBe("ended");
  });

  it("sees an answer that breaks off as a reset, not as its end", async () => {
    const { front, wire } = await start(async (run) => run.begin(200, [], Buffer.from("half")));
    wire.send("GET / HTTP/1.0", "", "");
    await wire.until(/half$/);
    // libuv, on this client's side, takes a reset that comes with the last bytes for an end.
    await new Promise((resolve) => setTimeout(resolve, 30));
    (await front.run()).reply.reset();
    expect(await wire.closed).toBe("ECONNRESET");
  });

  it("never gets 100 Continue", async () => {
    const { wire } = await start("sink");
    wire.send("POST / HTTP/1.0", "Content-Length: 3", "Expect: 100-continue", "", "abc");
    expect(await wire.all()).not.toContain("100 Continue");
  });
});

describe("trailers", () => {
  const request = ["GET / HTTP/1.1", "Host: a", "Connection: close"];

  it("known with the head follow a chunked body, without fields that frame", async () => {
    const { wire } = await start("trailersAtOnce");
    wire.send(...request, "", "");
    expect(await wire.all()).toMatch(/Trailer: X-Sum, X-Two\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 1\r\nX-Two: 2\r\n\r\n$/);
  });

  it("give way to a declared length", async () => {
    const { wire } = await start("trailersLate");
    wire.send(...request, "", "");
    expect(await wire.all()).toMatch(/\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody$/);
  });

  it("take the place of a declared length for a client that says it wants them", async () => {
    const { wire } = await start("trailersLate");
    wire.send(...request, "TE: deflate, trailers", "", "");
    expect(await wire.all()).toMatch(/Trailer: X-Sum\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n$/);
  });

  it("of a request reach the guest", async () => {
    const { front, wire } = await start("sink");
    wire.send("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Trailer: X-Sum", "", "2", "ab", "0", "X-Sum: 7", "TE: x", "", "");
    await wire.until(/\r\n2$/);
    expect(front.runs[0]?.requestTrailers).toEqual(["X-Sum", "7"]);
  });
});

describe("a connection", () => {
  it("goes on after a body that the guest never read", async () => {
    const { wire } = await start("ignorer");
    for (let i = 1; i <= 2; i += 1) {
      wire.send("POST / HTTP/1.1", "Host: a", "Content-Length: 300000", "", "x".repeat(300_000));
      await wire.until(new RegExp(`(ignored[^]*){${i}}`));
    }
  });

  it("goes on after a body whose rest the guest does not want", async () => {
    const { wire } = await start("sipper");
    for (let i = 1; i <= 2; i += 1) {
      wire.send("POST / HTTP/1.1", "Host: a", "Content-Length: 300000", "", "x".repeat(300_000));
      await wire.until(new RegExp(`(10 15[^]*){${i}}`));
    }
  });

  it("of a client that leaves while it uploads after the answer cancels the run", async () => {
    const { front, wire } = await start(async (run) => {
      run.answer(202, [], "early");
      while ((await run.read()) !== undefined);
    });
    wire.send("POST / HTTP/1.1", "Host: a", "Content-Length: 300000", "", "x".repeat(1000));
    await wire.until(/early$/);
    const run = await front.run();
    await run.until(() => run.received === 1000);
    wire.raw("x".repeat(500));
    await run.until(() => run.received === 1500);
    wire.socket.destroy();
    await run.cancelled;
  });

  it("that breaks during a small body starts no run", async () => {
    const { front, wire } = await start("hello");
    wire.send("POST / HTTP/1.1", "Host: a", "Content-Length: 10", "", "1234");
    await new Promise((resolve) => setTimeout(resolve, 30));
    wire.socket.destroy();
    await expect.poll(() => front.front.connections()).toBe(0);
    expect(front.runs).toHaveLength(0);
  });

  it("holds a slow client's upload back", async () => {
    const { front, wire } = await start("silent");
    wire.send("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "", "");
    const chunk = `10000\r\n${"x".repeat(65536)}\r\n`;
    for (let i = 0; i < 500; i += 1) wire.raw(chunk);
    const run = await front.run();
    run.want(100_000);
    await run.until(() => run.received === 100_000);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(run.received).toBe(100_000);
    expect(wire.socket.bytesWritten - wire.socket.writableLength).toBeLessThan(16 * 1024 * 1024);
  });
});
