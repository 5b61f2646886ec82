/** Gets a small document over HTTP for somebody who is not trusted with more: by GET, without redirects, at public addresses. */
import { lookup } from "node:dns";
import { request as plain } from "node:http";
import { request as secure } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import type { Fetched } from "./documents.js";

const MOST_BYTES = 256 * 1024;
const LIMIT_MS = 4000;

/** Rejects with why it cannot be had. `isPublic`: whether whoever names a host may be led to the address. */
export function fetchDocument(text: string, isPublic: (address: string) => boolean): Promise<Fetched> {
  if (!URL.canParse(text)) return Promise.reject(new Error(`${text} is no URL`));
  const url = new URL(text);
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isIP(hostOf(url)) !== 0))
    return Promise.reject(new Error(`${text} is neither https, nor http at an address that is written as one`));
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(LIMIT_MS);
    const send = url.protocol === "https:" ? secure : plain;
    const options = { headers: { accept: "application/json" }, signal, lookup: publicOnly(isPublic) };
    const request = send(url, options, (response) => {
      const { statusCode = 0, headers } = response;
      if (statusCode !== 200) {
        response.resume();
        return reject(new Error(`${text} answers with the status ${statusCode}`));
      }
      const pieces: Buffer[] = [];
      let bytes = 0;
      response.on("data", (piece: Buffer) => {
        bytes += piece.byteLength;
        if (bytes > MOST_BYTES) request.destroy(new Error(`${text} is longer than ${MOST_BYTES} bytes`));
        else pieces.push(piece);
      });
      response.on("end", () => resolve({ text: Buffer.concat(pieces).toString("utf8"), holdsMs: maxAgeOf(headers["cache-control"]) }));
      response.on("error", reject);
    });
    request.on("error", (error) => reject(signal.aborted ? new Error(`${text} did not answer in ${LIMIT_MS} ms`) : error));
    request.end();
  });
}

/** Looks a name up; whatever of it is not public is left out: who means such an address writes the address itself. */
function publicOnly(isPublic: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, "", 0);
      const open = addresses.filter(({ address }) => isPublic(address));
      const [first] = open;
      if (first === undefined) return callback(new Error(`${hostname} leads to no public address`), "", 0);
      if (options.all === true) callback(null, open);
      else callback(null, first.address, first.family);
    });
  };
}

function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, "");
}

function maxAgeOf(field: string | undefined): number | undefined {
  const seconds = /(?:^|,)\s*max-age=(\d+)/i.exec(field ?? "")?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}
