/**
 * One request and its answer, as they are on the wire. Over `node:http`, because `fetch` tidies paths, adds fields and unpacks
 * bodies.
 */
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { buffer } from "node:stream/consumers";

export interface Outgoing {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body?: Uint8Array | undefined;
}

/** An answer as it came, whatever its status. */
export interface Incoming {
  readonly status: number;
  /** Names in lower case, each with its values in their order. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  readonly body: Buffer;
}

/** To the origin of `base`, whatever host the request names. Rejects where no whole answer comes. */
export async function exchange(base: URL, outgoing: Outgoing, signal: AbortSignal | undefined): Promise<Incoming> {
  const { method, path, headers, body } = outgoing;
  const request = base.protocol === "https:" ? httpsRequest : httpRequest;
  const options = { method, path, headers: fieldsOf(headers), ...(signal === undefined ? {} : { signal }) };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(base, options, resolve).on("error", reject).end(body);
  });
  return { status: response.statusCode ?? 0, headers: headersOf(response.rawHeaders), body: await buffer(response) };
}

/** Node takes no list for `host`, and none is usual for the others. */
function fieldsOf(headers: Outgoing["headers"]): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = {};
  for (const [name, value] of headers) {
    const before = fields[name.toLowerCase()];
    fields[name.toLowerCase()] = before === undefined ? value : [before, value].flat();
  }
  return fields;
}

function headersOf(raw: readonly string[]): Map<string, string[]> {
  const headers = new Map<string, string[]>();
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    headers.set(name, [...(headers.get(name) ?? []), raw[i + 1] as string]);
  }
  return headers;
}
