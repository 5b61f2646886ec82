/**
 * The load client for machines without wrk: `load-client.ts CONNECTIONS SECONDS JSON URL` prints a `Load` as JSON. What is
 * JSON is posted; an empty one is a GET.
 *
 * Raw sockets, one request on its way on each; about a third of wrk's rate, so it says less about fast servers.
 */
import { connect, type Socket } from "node:net";
import { percentile } from "./statistics.js";
import type { Load } from "./wrk.js";

const HEAD_END = Buffer.from("\r\n\r\n");
const LAST_CHUNK = Buffer.from("0\r\n\r\n");

/** Bytes of the first whole answer in `bytes`; undefined when it is not all there. Small answers only: nothing is kept between calls. */
export function answerLength(bytes: Buffer): number | undefined {
  const head = bytes.indexOf(HEAD_END);
  if (head < 0) return undefined;
  const fields = bytes.toString("latin1", 0, head).toLowerCase();
  const length = /\r\ncontent-length: *(\d+)/.exec(fields)?.[1];
  if (length !== undefined) return head + 4 + Number(length) <= bytes.length ? head + 4 + Number(length) : undefined;
  const last = bytes.indexOf(LAST_CHUNK, head + 2);
  return last < 0 ? undefined : last + LAST_CHUNK.length;
}

async function drive(connections: number, seconds: number, json: string, url: URL): Promise<Load> {
  const head = `${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\n`;
  const posted = `POST ${head}Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(json)}\r\n\r\n${json}`;
  const request = Buffer.from(json === "" ? `GET ${head}\r\n` : posted);
  const times: number[] = [];
  let [wrong, broken] = [0, 0];
  const begin = performance.now();
  const end = begin + seconds * 1000;
  const one = (): Promise<void> =>
    new Promise((resolve) => {
      const socket: Socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true });
      let received: Buffer = Buffer.alloc(0);
      let sent = 0;
      const ask = (): void => {
        sent = performance.now();
        socket.write(request);
      };
      socket.on("connect", ask);
      socket.on("data", (piece: Buffer) => {
        received = received.length === 0 ? piece : Buffer.concat([received, piece]);
        const length = answerLength(received);
        if (length === undefined) return;
        const now = performance.now();
        if (received.toString("latin1", 9, 12) !== "200") wrong++;
        times.push(now - sent);
        received = received.subarray(length);
        if (now >= end) socket.destroy();
        else ask();
      });
      socket.on("error", () => broken++);
      socket.on("close", () => {
        if (performance.now() < end) broken++;
        resolve();
      });
    });
  await Promise.all(Array.from({ length: connections }, one));
  const elapsed = (performance.now() - begin) / 1000;
  const errors = [...(broken > 0 ? [`broken connections: ${broken}`] : []), ...(wrong > 0 ? [`answers other than 200: ${wrong}`] : [])];
  const [p50, p99] = times.length === 0 ? [0, 0] : [percentile(times, 50), percentile(times, 99)];
  return { requests: times.length, requestsPerSecond: times.length / elapsed, p50, p99, errors };
}

const [connections, seconds, json, url] = process.argv.slice(2);
if (url !== undefined) process.stdout.write(JSON.stringify(await drive(Number(connections), Number(seconds), json ?? "", new URL(url))));
