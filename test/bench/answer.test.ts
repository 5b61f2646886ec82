import { expect, it } from "vitest";
import { readAnswer } from "../../bench/support/answer.js";

const read = (text: string): ReturnType<typeof readAnswer> => readAnswer(Buffer.from(text), "right\n");
const problem = (code: string): string => JSON.stringify({ type: `https://pilotlight.dev/problems/${code}`, status: 503 });
const refusal = (body: string, more = "Retry-After: 2\r\n", status = "503 Service Unavailable"): string =>
  `HTTP/1.1 ${status}\r\nContent-Type: application/problem+json\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`;

it("takes 200 with the right text as served, with a length and in a chunk", () => {
  expect(read("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nright\n")).toEqual({ kind: "served", closes: false });
  expect(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n6\r\nright\n\r\n0\r\n\r\n")).toEqual({
    kind: "served",
    closes: true,
  });
});

it("waits for the rest of what is not all there", () => {
  expect(read("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n")).toBeUndefined();
  expect(read("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nrigh")).toBeUndefined();
  expect(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nright\n\r\n")).toBeUndefined();
});

it("takes 429 and 503 with a problem of capacity and a time to come back as refused", () => {
  expect(read(refusal(problem("capacity/overloaded")))).toEqual({ kind: "refused", code: "capacity/overloaded", closes: false });
  expect(read(refusal(problem("capacity/task-full"), "Retry-After: 1\r\n", "429 Too Many Requests"))).toMatchObject({
    kind: "refused",
    code: "capacity/task-full",
  });
});

it.each<[string, string, RegExp]>([
  ["another text", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nwrong\n", /^200 with "wrong\\n" for "right\\n"$/],
  ["an empty one", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", /^200 with "" for/],
  ["another status", "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", /^it was answered "HTTP\/1\.1 500 Oh/],
  ["a refusal without a time", refusal(problem("capacity/overloaded"), ""), /^503 without a Retry-After of a second or more/],
  ["a refusal for now", refusal(problem("capacity/overloaded"), "Retry-After: 0\r\n"), /^503 without a Retry-After/],
  ["a refusal of another kind", refusal(problem("platform/draining")), /^503 without a code of capacity/],
  ["a refusal that says nothing", refusal("busy"), /^503 without a code of capacity/],
  ["a refusal that is no problem", "HTTP/1.1 503 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", /^503 without a problem/],
])("takes %s as wrong and shows it", (_, text, what) => {
  expect(read(text)).toEqual({ kind: "wrong", what: expect.stringMatching(what) });
});
