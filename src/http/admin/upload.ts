/**
 * An upload: `multipart/form-data` (RFC 7578) with the parts `manifest`, `component` and perhaps `alias`.
 *
 * The body is held in memory once, up to its limit, and the component is a view of it: nothing is on disk before all of
 * it has come. Form-data parsers of the platform copy the parts twice, and those of the registry stream into files that
 * somebody would have to collect again.
 */
import { ProblemError } from "../../base/problem.js";
import { invalid } from "./answers.js";
import { expectType, JSON_BYTES, parse, readBody, type Body } from "./bodies.js";
import { upload } from "./schemas.js";

export interface Upload {
  readonly manifest: unknown;
  readonly component: Uint8Array;
  /** Null: none is to move; undefined: as the default is. */
  readonly alias: string | null | undefined;
}

/** For boundaries, part heads and the alias. */
const FRAMING_BYTES = 16 * 1024;

/** The body of a deploy, with a component of at most `limit` bytes. */
export function uploadBody(limit: number): Body<Upload> {
  return {
    content: { "multipart/form-data": { schema: upload } },
    required: true,
    async read(c) {
      const boundary = boundaryOf(expectType(c, "multipart/form-data"));
      const whole = await readBody(c, limit + JSON_BYTES + FRAMING_BYTES, `With a component of at most ${limit} bytes, an upload`);
      return readUpload(partsOf(whole, boundary), limit);
    },
  };
}

function readUpload(parts: ReadonlyMap<string, Uint8Array>, limit: number): Upload {
  const known = ["manifest", "component", "alias"];
  const errors = [...parts.keys()]
    .filter((name) => !known.includes(name))
    .map((name) => ({ field: name.slice(0, 100), message: `unknown part; there are ${known.join(", ")}` }));
  const manifest = parts.get("manifest");
  const component = parts.get("component");
  if (manifest === undefined) errors.push({ field: "manifest", message: "expected a part of this name with the manifest as JSON" });
  if (component === undefined) errors.push({ field: "component", message: "expected a part of this name with the component's bytes" });
  if (errors.length > 0 || manifest === undefined || component === undefined) throw invalid(errors);
  if (component.byteLength > limit) throw partTooLarge("component", limit, component.byteLength);
  if (manifest.byteLength > JSON_BYTES) throw partTooLarge("manifest", JSON_BYTES, manifest.byteLength);
  const alias = parts.get("alias");
  const text = alias === undefined ? undefined : Buffer.from(alias).toString();
  return { manifest: parse(manifest, "manifest"), component, alias: text === "" ? null : text };
}

function partTooLarge(part: string, limit: number, bytes: number): ProblemError {
  return new ProblemError("request/body-too-large", `The part ${part} may have ${limit} bytes here; this one has ${bytes}.`);
}

function boundaryOf(type: string): string {
  const match = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))\s*(?:;|$)/i.exec(type);
  const boundary = match?.[1] ?? match?.[2];
  if (boundary === undefined) throw invalid([{ field: "Content-Type", message: "expected multipart/form-data with its boundary" }]);
  return boundary;
}

/** The parts by their names; views of `body`. Throws `request/invalid` where it is not multipart, and says where it broke off. */
function partsOf(body: Uint8Array, boundary: string): Map<string, Uint8Array> {
  // A delimiter begins a line; one in front of the body lets the first be found like the others.
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const delimiter = Buffer.from(`\r\n--${boundary}`, "latin1");
  const first = delimiter.subarray(2);
  let at = bytes.subarray(0, first.length).equals(first) ? first.length : after(bytes.indexOf(delimiter), delimiter);
  if (at < 0) throw broken(`it holds no line with the boundary ${boundary}`);
  const parts = new Map<string, Uint8Array>();
  while (bytes.toString("latin1", at, at + 2) !== "--") {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0 || bytes.toString("latin1", at, lineEnd).trim() !== "") throw cutShort(bytes);
    const headEnd = bytes.indexOf("\r\n\r\n", lineEnd);
    if (headEnd < 0) throw cutShort(bytes);
    const end = bytes.indexOf(delimiter, headEnd + 2);
    if (end < 0) throw cutShort(bytes);
    const name = nameOf(bytes.toString("utf8", lineEnd, headEnd));
    if (parts.has(name)) throw broken(`the part ${name.slice(0, 100)} is there twice`);
    if (parts.size === 16) throw broken("it has more than 16 parts");
    parts.set(name, bytes.subarray(Math.min(headEnd + 4, end), end));
    at = end + delimiter.length;
  }
  return parts;
}

function after(index: number, what: Buffer): number {
  return index < 0 ? -1 : index + what.length;
}

function nameOf(head: string): string {
  const disposition = /^content-disposition:\s*form-data\s*;(.*)$/im.exec(head)?.[1];
  const name = disposition === undefined ? undefined : /(?:^|;)\s*name="([^"]*)"/i.exec(disposition)?.[1];
  if (name === undefined) throw broken('a part does not say Content-Disposition: form-data; name="…"');
  return name;
}

function cutShort(bytes: Buffer): ProblemError {
  return broken(`it is cut short: ${bytes.byteLength} bytes came and the closing boundary is not among them; nothing of it was kept`);
}

function broken(message: string): ProblemError {
  return invalid([{ field: "body", message }]);
}
