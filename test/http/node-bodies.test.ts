/** Trailers, and what becomes of a connection when bodies are not read, on the wire. */
import { describe, expect, it } from "vitest";
import { startWire } from "../support/http-wire-start.js";

describe("trailers", () => {
  const request = ["GET / HTTP/1.1", "Host: a", "Connection: close"];

  it("known with the head follow a chunked body, without fields that frame", async () => {
    const { wire } = await startWire("trailersAtOnce");
    wire.send(...request, "", "");
    expect(await wire.all()).toMatch(
      /Trailer: X-Sum, X-Two\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 1\r\nX-Two: 2\r\n\r\n$/,
    );
  });

  it("give way to a declared length", async () => {
    const { wire } = await startWire("trailersLate");
    wire.send(...request, "", "");
    expect(await wire.all()).toMatch(/\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody$/);
  });

  it("take the place of a declared length for a client that says it wants them", async () => {
    const { wire } = await startWire("trailersLate");
    wire.send(...request, "TE: deflate, trailers", "", "");
    expect(await wire.all()).toMatch(
      /Trailer: X-Sum\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n$/,
    );
  });

  it("of a request reach the guest", async () => {
    const { front, wire } = await startWire("sink");
    wire.send(
      "POST / HTTP/1.1",
      "Host: a",
      "Transfer-Encoding: chunked",
      "Trailer: X-Sum",
      "",
      "2",
      "ab",
      "0",
      "X-Sum: 7",
      "TE: x",
      "",
      "",
    );
    await wire.until(/\r\n2$/);
    expect(front.runs[0]?.requestTrailers).toEqual(["X-Sum", "7"]);
  });
});

describe("a connection", () => {
  it("goes on after a body that the guest never read", async () => {
    const { wire } = await startWire("ignorer");
    for (let i = 1; i <= 2; i += 1) {
      wire.send("POST / HTTP/1.1", "Host: a", "Content-Length: 300000", "", "x".repeat(300_000));
      await wire.until(new RegExp(`(ignored[^]*){${i}}`));
    }
  });

  it("goes on after a body whose rest the guest does not want", async () => {
    const { wire } = await startWire("sipper");
    for (let i = 1; i <= 2; i += 1) {
      wire.send("POST / HTTP/1.1", "Host: a", "Content-Length: 300000", "", "x".repeat(300_000));
      await wire.until(new RegExp(`(10 15[^]*){${i}}`));
    }
  });

  it("of a client that leaves while it uploads after the answer cancels the run", async () => {
    const { front, wire } = await startWire(async (run) => {
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
    const { front, wire } = await startWire("hello");
    wire.send("POST / HTTP/1.1", "Host: a", "Content-Length: 10", "", "1234");
    await new Promise((resolve) => setTimeout(resolve, 30));
    wire.socket.destroy();
    await expect.poll(() => front.front.connections()).toBe(0);
    expect(front.runs).toHaveLength(0);
  });

  it("holds a slow client's upload back", async () => {
    const { front, wire } = await startWire("silent");
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
