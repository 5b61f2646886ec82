import { describe, expect, it } from "vitest";
import { hasToken, stripHopByHop, stripTrailers } from "../../src/base/hop-by-hop.js";

describe("stripHopByHop", () => {
  it("gives a list without such fields back as it is", () => {
    const headers = ["Host", "a", "User-Agent", "x", "X-Trace12", "y"];
    expect(stripHopByHop(headers)).toBe(headers);
  });

  it("takes every field of the connection out, whatever its case, and keeps order and duplicates", () => {
    const fields = [
      "TE",
      "Trailer",
      "UPGRADE",
      "connection",
      "Keep-Alive",
      "HTTP2-Settings",
      "Proxy-Connection",
      "Transfer-Encoding",
      "Proxy-Authenticate",
      "Proxy-Authorization",
      "Proxy-Authentication-Info",
    ];
    const headers = ["X-A", "1", ...fields.flatMap((name) => [name, "v"]), "x-a", "2", "X-B", "3"];
    expect(stripHopByHop(headers)).toEqual(["X-A", "1", "x-a", "2", "X-B", "3"]);
  });

  it("takes out what Connection names, in any of its fields", () => {
    expect(
      stripHopByHop(["X-A", "1", "Connection", "keep-alive, x-a", "X-B", "2", "connection", "X-C ,close", "x-c", "3", "X-D", "4"]),
    ).toEqual(["X-B", "2", "X-D", "4"]);
  });

  it("does not let Connection name away what the message was framed and routed by", () => {
    expect(stripHopByHop(["Host", "a", "Content-Length", "3", "Connection", "host, content-length"])).toEqual([
      "Host",
      "a",
      "Content-Length",
      "3",
    ]);
  });

  it("keeps Proxy-Status, which is for the client", () => {
    expect(stripHopByHop(["Proxy-Status", "x", "Connection", "close"])).toEqual(["Proxy-Status", "x"]);
  });
});

describe("stripTrailers", () => {
  it("takes out what frames or routes, and says when nothing is left", () => {
    expect(stripTrailers(["X-Sum", "1", "Content-Length", "2", "Host", "b", "Trailer", "x"])).toEqual(["X-Sum", "1"]);
    expect(stripTrailers(["Content-Length", "2"])).toBeUndefined();
    expect(stripTrailers([])).toBeUndefined();
    expect(stripTrailers(undefined)).toBeUndefined();
  });
});

it("hasToken finds whole tokens only", () => {
  expect(hasToken("keep-alive, Upgrade", "upgrade")).toBe(true);
  expect(hasToken("upgrades", "upgrade")).toBe(false);
});
