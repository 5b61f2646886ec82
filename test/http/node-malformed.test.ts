/** Requests that are no requests: what the Node front says to them. */
import { describe, expect, it } from "vitest";
import { startWire } from "../support/http-wire-start.js";
import { closingProblem, withoutRunIds } from "../support/http-wire.js";

const malformed = (detail: string): string =>
  closingProblem("400 Bad Request", "request/malformed", "The request is not valid HTTP", detail);

describe("malformed requests are refused with a problem, and the connection closes", () => {
  it.each([
    ["nonsense", ["nonsense", "", ""], "The request could not be read: Invalid method encountered."],
    ["a method that does not exist", ["FROB / HTTP/1.1", "Host: a", "", ""], "The request could not be read: Invalid method encountered."],
    ["a version that does not exist", ["GET / HTTP/3.7", "Host: a", "", ""], "The request could not be read: Invalid HTTP version."],
    ["a header without a colon", ["GET / HTTP/1.1", "Host a", "", ""], "The request could not be read: Invalid header token."],
    [
      "a header value with a control character",
      ["GET / HTTP/1.1", "Host: a", "X: a\u0001b", "", ""],
      "The request could not be read: Invalid header value char.",
    ],
    [
      "both lengths",
      ["POST / HTTP/1.1", "Host: a", "Content-Length: 5", "Transfer-Encoding: chunked", "", "0", "", ""],
      "The request could not be read: Transfer-Encoding can't be present with Content-Length.",
    ],
    [
      "both lengths the other way round",
      ["POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Content-Length: 5", "", "0", "", ""],
      "The request could not be read: Content-Length can't be present with Transfer-Encoding.",
    ],
    [
      "two lengths",
      ["POST / HTTP/1.1", "Host: a", "Content-Length: 5", "Content-Length: 6", "", "hello"],
      "The request could not be read: Duplicate Content-Length.",
    ],
    [
      "a length that is no number",
      ["POST / HTTP/1.1", "Host: a", "Content-Length: five", "", "hello"],
      "The request could not be read: Invalid character in Content-Length.",
    ],
    [
      "a coding that is not supported",
      ["POST / HTTP/1.1", "Host: a", "Transfer-Encoding: gzip, chunked", "", "0", "", ""],
      'Transfer-Encoding "gzip, chunked" is not supported; chunked is.',
    ],
    ["no Host", ["GET / HTTP/1.1", "", ""], "The request has no Host field; HTTP/1.1 needs one."],
    ["two Hosts", ["GET / HTTP/1.1", "Host: a", "host: b", "", ""], "The request has more than one Host field; one is needed."],
    ["an empty Host", ["GET / HTTP/1.1", "Host:", "", ""], 'The Host field "" is not a host name with an optional port.'],
    ["a Host that is none", ["GET / HTTP/1.1", "Host: a/b", "", ""], 'The Host field "a/b" is not a host name with an optional port.'],
    ["a user name in Host", ["GET / HTTP/1.1", "Host: me@a", "", ""], 'The Host field "me@a" is not a host name with an optional port.'],
    ["a fragment", ["GET /a#b HTTP/1.1", "Host: a", "", ""], 'The request target "/a#b" is neither a path nor an absolute http URL.'],
    [
      "a target of another scheme",
      ["GET ftp://a/b HTTP/1.1", "Host: a", "", ""],
      'The request target "ftp://a/b" is neither a path nor an absolute http URL.',
    ],
    [
      "a user name in the target",
      ["GET http://me@a/b HTTP/1.1", "Host: a", "", ""],
      'The request target "http://me@a/b" is neither a path nor an absolute http URL.',
    ],
  ])("%s", async (_name, lines, detail) => {
    const { front, wire } = await startWire("hello");
    wire.send(...lines);
    expect(withoutRunIds(await wire.all())).toBe(malformed(detail));
    expect(front.runs).toHaveLength(0);
  });

  it("a Host that makes no URL, on a path of ours", async () => {
    const { wire } = await startWire("hello");
    wire.send("GET /-/livez HTTP/1.1", "Host: a%zz", "Connection: close", "", "");
    expect(await wire.all()).toContain('"detail":"Invalid URL."');
    expect(wire.text).toMatch(/^HTTP\/1.1 400 Bad Request\r\n/);
  });

  it("headers that are too large", async () => {
    const { front, wire } = await startWire("hello", { headerBytes: 1000 });
    wire.send("GET / HTTP/1.1", "Host: a", `X: ${"x".repeat(100_000)}`, "", "");
    expect(withoutRunIds(await wire.all())).toBe(
      closingProblem(
        "431 Request Header Fields Too Large",
        "request/headers-too-large",
        "The request headers are larger than allowed",
        "Request line and headers together may have 1000 bytes.",
      ),
    );
    expect(front.runs).toHaveLength(0);
  });

  it("chunk extensions that are too long", async () => {
    const { wire } = await startWire("sink");
    wire.send("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "", `5;x=${"x".repeat(20_000)}`, "hello", "0", "", "");
    expect(withoutRunIds(await wire.all())).toBe(
      closingProblem(
        "413 Payload Too Large",
        "request/body-too-large",
        "The request body is larger than allowed",
        "The chunk extensions of the request body are too long.",
      ),
    );
  });

  it("headers that do not come in time", async () => {
    const { wire } = await startWire("hello", { headersMs: 100 });
    wire.send("GET / HTTP/1.1", "Host: a", "");
    expect(withoutRunIds(await wire.all())).toBe(
      closingProblem(
        "408 Request Timeout",
        "request/timeout",
        "The request did not arrive in time",
        "The request's headers were not complete in time.",
      ),
    );
  });

  it("a small body that does not come in time", async () => {
    const { front, wire } = await startWire("hello", { bodyMs: 100 });
    wire.send("POST / HTTP/1.1", "Host: a", "Content-Length: 10", "", "1234");
    expect(withoutRunIds(await wire.all())).toBe(
      closingProblem(
        "408 Request Timeout",
        "request/timeout",
        "The request did not arrive in time",
        "Of 10 bytes of the body, 4 came in 100 ms.",
      ),
    );
    expect(front.runs).toHaveLength(0);
  });

  it("more than 2,000 headers are all there", async () => {
    const { front, wire } = await startWire("hello");
    wire.send("GET / HTTP/1.1", "Host: a", ...Array.from({ length: 2500 }, (_, i) => `X-${i}: 1`), "", "");
    await wire.until(/hello$/);
    expect(front.runs[0]?.incoming.headers).toHaveLength(5002);
  });
});

describe("a body that breaks off in its framing", () => {
  const broken = ["POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "", "5", "hello", "zz", ""];

  it("before the answer: 400, and the run is cancelled", async () => {
    const { front, wire } = await startWire("sink");
    wire.send(...broken);
    expect(withoutRunIds(await wire.all())).toBe(malformed("The request could not be read: Invalid character in chunk size."));
    await (
      await front.run()
    ).cancelled;
  });

  it("after the head: the connection breaks, and the run is cancelled", async () => {
    const { front, wire } = await startWire("echo");
    wire.send(...broken.slice(0, 6), "");
    await wire.until(/hello\r\n$/);
    wire.send("zz", "");
    expect(await wire.all()).not.toContain("400");
    await (
      await front.run()
    ).cancelled;
  });
});
