import type { Incoming } from "../../src/invoke/invocation.js";

/** A GET from another machine. */
export function incoming(parts: Partial<Incoming> = {}): Incoming {
  return {
    method: "GET",
    scheme: "http",
    authority: "h",
    target: "/",
    headers: [],
    peer: "10.0.0.1",
    body: undefined,
    streaming: false,
    contentLength: undefined,
    ...parts,
  };
}
