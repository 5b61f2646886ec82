/** The isolation soak in short, and that it would find a node that tells or mixes up what belongs to two tenants. */
import { createServer, request, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import type { Between } from "../../bench/soak/isolation/place.js";
import { runIsolation } from "../../bench/soak/isolation/soak.js";

it("tells each of two tenants what a node of its own would", { timeout: 90_000 }, async () => {
  const { found, accepted, pairs, unasked } = await runIsolation({ steps: 320, seed: 20261126 });
  expect(found).toEqual([]);
  expect(unasked).toEqual([]);
  expect(pairs).toBeGreaterThan(100);
  // A soak of refusals would prove little.
  expect(accepted["data"]).toBeGreaterThan(10);
  expect(accepted["cli"]).toBeGreaterThan(5);
  expect(accepted["admin"]).toBeGreaterThan(200);
});

it.each<[string, RegExp, () => Leak, number?]>([
  [
    "tells which tenants there are",
    /403 instead of 404/,
    () => (asked, answer) => (answer.status === 404 && /tenants\/(acme|globex)\//.test(asked.path) ? { ...answer, status: 403 } : answer),
  ],
  [
    "counts everybody's requests",
    /x-count/,
    () => {
      let count = 0;
      return (_, answer) => ({ ...answer, headers: { ...answer.headers, "x-count": String(++count) } });
    },
  ],
  [
    "adds what another used",
    /GET \/v1\/.*usage[^]*the answer is another than alone/,
    () => {
      const used: Record<string, number> = {};
      return ({ path }, answer) => {
        const [, tenant] = /^\/v1\/tenants\/(acme|globex)\/usage/.exec(path) ?? [];
        if (tenant === undefined || answer.status !== 200) return answer;
        const others = used[tenant === "acme" ? "globex" : "acme"] ?? 0;
        used[tenant] = Number(/"runs":(\d+)/.exec(answer.body)?.[1] ?? 0);
        return { ...answer, body: answer.body.replace(/"runs":(\d+)/, (_, runs: string) => `"runs":${Number(runs) + others}`) };
      };
    },
    240,
  ],
  [
    "answers with what another was told",
    /the answer holds .*, which (acme|globex) alone has/,
    () => {
      let before = "";
      return ({ path }, answer) => {
        if (!path.endsWith("/secrets")) return answer;
        const mine = answer.body;
        const mixed = { ...answer, body: mine + before };
        before = mine;
        return mixed;
      };
    },
  ],
  [
    "writes what one writes to both",
    /which (acme|globex) alone has|the answer is another than alone/,
    () => {
      const keys: Record<string, IncomingHttpHeaders[string]> = {};
      return async (asked, answer, send) => {
        const [, tenant, rest] = /^\/v1\/tenants\/(acme|globex)\/(stores\/.*)$/.exec(asked.path) ?? [];
        if (tenant === undefined || answer.status >= 300) return answer;
        keys[tenant] = asked.headers["pilotlight-key"];
        const other = tenant === "acme" ? "globex" : "acme";
        if (asked.method === "PUT" && keys[other] !== undefined)
          await send({ ...asked, path: `/v1/tenants/${other}/${rest}`, headers: { "pilotlight-key": keys[other] } });
        return answer;
      };
    },
  ],
])("would find a node that %s", { timeout: 60_000 }, async (_, reason, leak, steps = 80) => {
  const { found } = await runIsolation({ steps, seed: 20261126, patience: 50, between: leaky(leak()) });
  expect(found.filter(({ message }) => reason.test(message))).not.toEqual([]);
});

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

type Send = (asked: Asked) => Promise<Answer>;
/** What becomes of an answer; `send` asks the node something more. */
type Leak = (asked: Asked, answer: Answer, send: Send) => Answer | Promise<Answer>;

/** A proxy in front of the admin plane. */
function leaky(leak: Leak): Between {
  return async (port) => {
    const send = (asked: Asked): Promise<Answer> =>
      new Promise((resolve, reject) => {
        const { method, path, headers, body } = asked;
        const { "transfer-encoding": _, ...rest } = headers;
        const length = body.length > 0 ? { "content-length": body.length } : {};
        const forward = request({ host: "127.0.0.1", port, method, path, headers: { ...rest, ...length } }, (response) => {
          const pieces: Buffer[] = [];
          response.on("data", (piece: Buffer) => pieces.push(piece));
          response.on("end", () =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(pieces).toString("latin1") }),
          );
        });
        forward.on("error", reject).end(body);
      });
    const server = createServer((incoming, outgoing) => {
      if (incoming.url?.includes("follow=1") === true) {
        const { url: path, headers } = incoming;
        const following = request({ host: "127.0.0.1", port, path, headers }, (answer) => {
          outgoing.writeHead(answer.statusCode as number, answer.headers);
          outgoing.flushHeaders();
          answer.on("error", () => outgoing.destroy()).pipe(outgoing);
        });
        outgoing.on("close", () => following.destroy());
        following.on("error", () => outgoing.destroy()).end();
        return;
      }
      const pieces: Buffer[] = [];
      incoming.on("data", (piece: Buffer) => pieces.push(piece));
      incoming.on("end", () => {
        const asked = {
          method: incoming.method as string,
          path: incoming.url as string,
          headers: incoming.headers,
          body: Buffer.concat(pieces),
        };
        void send(asked)
          .then((answer) => leak(asked, answer, send))
          .then(({ status, headers, body }) => {
            const { "content-length": _, "transfer-encoding": __, ...rest } = headers;
            return outgoing.writeHead(status, rest).end(Buffer.from(body, "latin1"));
          });
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return { port: (server.address() as AddressInfo).port, close: () => void server.close() };
  };
}
