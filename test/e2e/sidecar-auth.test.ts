/** Who may pass by a token or a key: the two sidecars that ask for one, through a whole node, over published and hostile credentials. */
import { readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { createServer, request, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { buildGuest } from "../../src/guests/build.js";
import type { ManifestInput } from "../../src/tasks/manifest.js";
import { allowed, hostile, published, refused, rfc8037, signsAsRfc8037, vectors, type Case } from "../sidecars/jwt-cases.js";
import * as keys from "../sidecars/key-cases.js";
import { tempDir } from "../support/files.js";
import { guestPath } from "../support/guests.js";
import { startRuntime, type StartedRuntime } from "../support/runtime.js";

const ORIGINS = ["shipped", "added by hand"] as const;
const HELLO = readFileSync(guestPath("hello-p3"));
let who: Buffer;

/** Says whom its guards have found, with all that they say of it. */
beforeAll(async () => {
  const folder = tempDir();
  const manifest = { name: "who", component: "who.wasm", build: { source: "index.js", wit: "world.wit", world: "told" } };
  await writeFile(join(folder, "pilotlight.json"), JSON.stringify(manifest));
  await writeFile(
    join(folder, "world.wit"),
    "package test:told@1.0.0; interface who { who: func() -> string; } world told { import pilotlight:task/identity@0.1.0; export who; }",
  );
  await writeFile(
    join(folder, "index.js"),
    `import { caller } from "pilotlight:task/identity@0.1.0"; export const who = { who: () => JSON.stringify(caller() ?? null) };`,
  );
  await buildGuest(folder);
  who = await readFile(join(folder, "who.wasm"));
}, 60_000);

/** A node on which the sidecar has the name `use`. */
async function started(
  origin: (typeof ORIGINS)[number],
  name: string,
  more: Partial<ManifestInput> = {},
): Promise<{ node: StartedRuntime; use: string }> {
  if (origin === "shipped") return { node: await startRuntime([]), use: name };
  const use = `my-${name}`;
  const manifest = { name: use, routes: [], access: "key" as const, sidecar: { scope: "task" as const, idle: "1s" }, ...more };
  return { node: await startRuntime([{ manifest, component: readFileSync(guestPath(name)) }]), use };
}

interface Answer {
  readonly status: number;
  readonly challenge: string | undefined;
  readonly retryAfter: string | undefined;
  readonly run: string;
  readonly body: string;
}

/** As it is said, header for header and path for path: `fetch` would put both in order. */
async function ask(
  node: StartedRuntime,
  { headers, method = "GET", path = "/" }: Pick<Case, "headers" | "method" | "path">,
  body?: string,
): Promise<Answer> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const fields = [
      ["host", "localhost"],
      ...headers,
      ...(body === undefined
        ? []
        : [
            ["content-type", "application/json"],
            ["content-length", String(body.length)],
          ]),
    ];
    const asked = request({ port: node.port, path, method, headers: fields.flat() as unknown as Record<string, string> }, resolve);
    asked.on("error", reject);
    asked.end(body);
  });
  return {
    status: response.statusCode ?? 0,
    challenge: response.headers["www-authenticate"],
    retryAfter: response.headers["retry-after"],
    run: String(response.headers["pilotlight-run"]),
    body: await textOf(response),
  };
}

/** What a refusal says; one of 400 says what is wrong with the request. */
const TOLD = [
  "This takes a bearer token.",
  "The token is not valid.",
  "The token does not reach so far.",
  "This takes a key.",
  "The key is not valid.",
  "The key does not reach so far.",
];

async function judge(node: StartedRuntime, use: string, each: Case | keys.KeyCase): Promise<void> {
  const sidecars = [{ use, config: (each.config ?? {}) as Record<string, never> }];
  await node.runtime.deploy({ manifest: { name: "main", routes: ["/*"], sidecars }, component: HELLO });
  const answer = await ask(node, each);
  if ("status" in each.expect) {
    expect([answer.status, answer.challenge]).toEqual([each.expect.status, each.expect.wwwAuthenticate]);
    // Nothing more is told than what the standard says.
    const { detail } = JSON.parse(answer.body) as { detail?: string };
    if (answer.status !== 400) expect(TOLD).toContain(detail);
    return;
  }
  expect(answer.status, answer.body).toBe(200);
  const run = await node.log.first({ run: answer.run, msg: "run" });
  if ("anonymous" in each.expect) return expect(run["subject"]).toBeUndefined();
  expect(run["subject"]).toBe(each.expect.subject);
  if (each.expect.claims === undefined) return;
  await node.runtime.deploy({ manifest: { name: "who", sidecars }, component: who });
  const told = await ask(node, { ...each, method: "POST", path: "/-/tasks/who/test:told/who@1.0.0/who" }, "[]");
  expect(JSON.parse(JSON.parse(told.body) as string)).toEqual({ subject: each.expect.subject, claims: each.expect.claims });
}

describe.each(ORIGINS)("auth-jwt, %s,", (origin) => {
  it.each([
    ["published", [...vectors, rfc8037]],
    ["that hold", allowed],
    ["that are hostile", hostile],
  ] as const)("judges tokens %s", { timeout: 120_000 }, async (_what, cases) => {
    const { node, use } = await started(origin, "auth-jwt");
    const wrong: string[] = [];
    for (const each of cases) await judge(node, use, each).catch((error: Error) => wrong.push(`${each.name}: ${error.message}`));
    expect(wrong).toEqual([]);
  });

  it("refuses a configuration that it cannot work with, at the deploy", async () => {
    const { node, use } = await started(origin, "auth-jwt");
    for (const [config, message] of refused) {
      const manifest = { name: "main", sidecars: [{ use, config: config as Record<string, never> }] };
      await expect(node.runtime.deploy({ manifest, component: HELLO }), JSON.stringify(config)).rejects.toThrow(message);
    }
  });

  it("takes keys from an address, and secrets never; what cannot be had refuses, and comes back", async () => {
    const { node, use } = await started(origin, "auth-jwt");
    let [isUp, asked] = [false, 0];
    const server = createServer((_request, response) => {
      asked++;
      if (isUp) response.writeHead(200, { "cache-control": "max-age=60" }).end(published.set);
      else response.writeHead(500).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const jwks = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
    await node.runtime.deploy({ manifest: { name: "main", routes: ["/*"], sidecars: [{ use, config: { jwks } }] }, component: HELLO });
    const by = (token: string): Promise<Answer> => ask(node, { headers: [["authorization", `Bearer ${token}`]] });
    expect(await by(published.byEc)).toMatchObject({ status: 503, challenge: undefined, retryAfter: "1" });
    isUp = true;
    expect((await by(published.byEc)).status).toBe(200);
    const before = asked;
    for (let i = 0; i < 5; i++) expect((await by(published.byEc)).status).toBe(200);
    expect(asked).toBe(before);
    for (const token of [published.byEd, published.bySecret]) expect((await by(token)).status).toBe(401);
  });
});

it("the key of RFC 8037 is the one that signs its example", () => {
  expect(signsAsRfc8037()).toBe(true);
});

it("there are at least forty hostile tokens", () => {
  expect(hostile.length).toBeGreaterThanOrEqual(40);
  expect(new Set(hostile.map(({ name }) => name)).size).toBe(hostile.length);
});

describe.each(ORIGINS)("auth-key, %s,", (origin) => {
  it("judges keys by what their store says of them", { timeout: 120_000 }, async () => {
    const { node, use } = await started(origin, "auth-key", { stores: ["auth-keys"] });
    const { control, operator } = node.runtime;
    for (const [name, entry] of Object.entries(keys.entries))
      await control.putEntry(operator, "default", "auth-keys", name, Buffer.from(entry), undefined);
    const wrong: string[] = [];
    for (const each of keys.cases) await judge(node, use, each).catch((error: Error) => wrong.push(`${each.name}: ${error.message}`));
    expect(wrong).toEqual([]);
  });

  it("refuses a configuration that it cannot work with, at the deploy", async () => {
    const { node, use } = await started(origin, "auth-key", { stores: ["auth-keys"] });
    for (const [config, message] of [...keys.refused, [{ store: "other" }, /store: other cannot be opened/] as const]) {
      const manifest = { name: "main", sidecars: [{ use, config: config as Record<string, never> }] };
      await expect(node.runtime.deploy({ manifest, component: HELLO }), JSON.stringify(config)).rejects.toThrow(message);
    }
  });
});
