/**
 * A problem as an HTTP answer (RFC 9457), the same in every front, and as bytes for a socket that has no
 * request to answer.
 */
import { STATUS_CODES } from "node:http";
import { headerValue, type HeaderList } from "../base/headers.js";
import { newRunId } from "../base/ids.js";
import { problemDocument, PROBLEMS, type Problem } from "../base/problem.js";

export interface ProblemAnswer {
  readonly status: number;
  /** Ours, then `Content-Type`, `Content-Length` and `Cache-Control`. */
  readonly headers: string[];
  readonly body: Buffer;
}

/** Renders `problem`; `headers` are ours (run id, `Retry-After`, …) and go first. Where nothing ran, the answer still gets an id to ask about. */
export function problemAnswer(problem: Problem, ours: HeaderList): ProblemAnswer {
  const known = headerValue(ours, "pilotlight-run");
  const headers = known === undefined ? ["Pilotlight-Run", newRunId(), ...ours] : ours;
  const body = Buffer.from(problemDocument(problem, known ?? headers[1]));
  return {
    status: problem.status ?? PROBLEMS[problem.code].status,
    headers: [
      ...headers,
      "Content-Type",
      "application/problem+json",
      "Content-Length",
      String(body.byteLength),
      "Cache-Control",
      "no-store",
    ],
    body,
  };
}

/** The same as a web response. `bodiless` for HEAD. */
export function problemResponse(problem: Problem, headers: HeaderList, bodiless = false): Response {
  const answer = problemAnswer(problem, headers);
  return new Response(bodiless ? null : new Uint8Array(answer.body), { status: answer.status, headers: pairs(answer.headers) });
}

/** The same as one HTTP/1.1 message that says that the connection closes. */
export function problemBytes(problem: Problem): Buffer {
  const answer = problemAnswer(problem, []);
  const lines = pairs(answer.headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status] ?? "Unknown"}\r\n${lines.join("")}Connection: close\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, "latin1"), answer.body]);
}

/** A flat list as pairs, for APIs that want those. */
export function pairs(headers: HeaderList): [string, string][] {
  const result: [string, string][] = [];
  for (let i = 0; i < headers.length; i += 2) result.push([headers[i] as string, headers[i + 1] as string]);
  return result;
}
