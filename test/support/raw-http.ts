/** HTTP/1.1 answers as they stood on the wire, read from the text of a `Wire`. */
import { Wire } from "./http-wire.js";
import { atEnd } from "./cleanup.js";

export interface RawAnswer {
  readonly status: number;
  /** Names in lower case, duplicates and order kept. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
  readonly trailers: readonly (readonly [string, string])[];
  /** How many bytes of the text it took. */
  readonly bytes: number;
}

/** A connection that closes with the test. */
export async function openWire(port: number): Promise<Wire> {
  const wire = await Wire.open(port);
  atEnd(() => wire[Symbol.asyncDispose]());
  return wire;
}

/** Sends one request on a connection of its own and gives the answer, which must be whole. */
export async function rawRequest(port: number, head: readonly string[], body = ""): Promise<RawAnswer> {
  const wire = await openWire(port);
  wire.send(...head, "Connection: close", "", body);
  await wire.closed;
  const answer = parseAnswer(wire.text, { head: head[0]?.startsWith("HEAD ") === true });
  if (answer === undefined) throw new Error(`no whole answer: ${JSON.stringify(wire.text)}`);
  return answer;
}

/** The values of a field of an answer. */
export function fieldsOf(answer: RawAnswer, name: string): string[] {
  return answer.headers.filter(([field]) => field === name).map(([, value]) => value);
}

/** Reads an answer from the beginning of `text`; undefined while it is not whole. `100 Continue` is an answer, too. */
export function parseAnswer(text: string, { head = false } = {}): RawAnswer | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [line, ...fields] = text.slice(0, end).split("\r\n") as [string, ...string[]];
  const status = Number(line.split(" ")[1]);
  const headers = fields.map(readField);
  const value = (name: string): string | undefined => headers.find(([field]) => field === name)?.[1];
  const start = end + 4;
  if (head || status < 200 || status === 204 || status === 304) return { status, headers, body: "", trailers: [], bytes: start };
  if (value("transfer-encoding") === "chunked") {
    const chunked = readChunks(text, start);
    return chunked && { status, headers, ...chunked };
  }
  const length = Number(value("content-length"));
  if (text.length < start + length) return undefined;
  return { status, headers, body: text.slice(start, start + length), trailers: [], bytes: start + length };
}

/** Several answers on one connection, in order. */
export function parseAnswers(text: string): RawAnswer[] {
  const answers: RawAnswer[] = [];
  for (let at = 0; at < text.length;) {
    const answer = parseAnswer(text.slice(at));
    if (answer === undefined) throw new Error(`not whole: ${JSON.stringify(text.slice(at))}`);
    answers.push(answer);
    at += answer.bytes;
  }
  return answers;
}

function readChunks(text: string, start: number): Pick<RawAnswer, "body" | "trailers" | "bytes"> | undefined {
  let body = "";
  for (let at = start; ;) {
    const line = text.indexOf("\r\n", at);
    if (line < 0) return undefined;
    const size = Number.parseInt(text.slice(at, line), 16);
    at = line + 2;
    if (size === 0) {
      const end = text.startsWith("\r\n", at) ? at : text.indexOf("\r\n\r\n", at);
      if (end < 0) return undefined;
      const trailers = text
        .slice(at, end)
        .split("\r\n")
        .filter((field) => field !== "");
      return { body, trailers: trailers.map(readField), bytes: end === at ? at + 2 : end + 4 };
    }
    if (text.length < at + size + 2) return undefined;
    body += text.slice(at, at + size);
    at += size + 2;
  }
}

function readField(line: string): [string, string] {
  const colon = line.indexOf(":");
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
}
