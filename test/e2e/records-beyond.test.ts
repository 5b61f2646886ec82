/** Records of runs that read more than their own stores: what other tasks, folders, servers, sidecars and guests know. */
import { once } from "node:events";
import { createHmac } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { buildGuest } from "../../src/guests/build.js";
import { atEnd } from "../support/cleanup.js";
import { tempDir } from "../support/files.js";
import { guestTask } from "../support/guests.js";
import { until } from "../support/until.js";
import { hit, reader, recordsNode, runsTwice, type Fields, type RecordsNode } from "./records-node.js";

const JSON_BODY = { "content-type": "application/json" };
const LOOKUP = "demo:memo/lookup@1.0.0";

function asker(fields: Fields = {}): ReturnType<typeof guestTask> {
  const uses = { [LOOKUP]: { task: "reader" } };
  return guestTask("asker", { name: "asker", routes: ["/asker/*"], stores: ["default"], idempotent: {}, uses, ...fields });
}

/** The task that is called, not marked itself. */
function called(fields: Fields = {}): ReturnType<typeof guestTask> {
  return guestTask("reader", { name: "reader", routes: ["/reader/*"], stores: ["default"], ...fields });
}

async function upstream(listener: RequestListener): Promise<{ readonly origin: string; readonly requests: string[] }> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url} ${request.headers["if-none-match"] ?? request.headers["if-modified-since"] ?? "-"}`);
    listener(request, response);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  atEnd(() => (server.closeAllConnections(), server.close()));
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

/** What became of the last run of a path. */
async function recorded(node: RecordsNode, path: string): Promise<unknown> {
  const line = await until("it is logged", () => node.log.all({ path }).findLast((each) => each["recorded"] !== undefined));
  return line["recorded"];
}

describe("what a called task has read", () => {
  it("its caller depends on, and on its code", async () => {
    const node = await recordsNode([called(), asker()]);
    await node.put("a", "1");
    const path = "/asker/get?keys=a,b";
    expect(await node.ask(path)).toMatchObject({ text: "a=1\nb!", how: "miss" });
    await hit(node, path);
    expect(node.ran("ran get")).toBe(2);
    await node.put("c", "1");
    expect((await node.ask(path)).how).toBe("hit");
    await node.put("b", "2");
    expect(await node.ask(path)).toMatchObject({ text: "a=1\nb=2", cache: 'pilotlight; fwd=stale; detail="kv:default/b changed"' });
    await hit(node, path);
    await node.runtime.deploy(called({ config: { version: "2" } }));
    expect(await node.ask(path)).toMatchObject({ how: "stale", cache: 'pilotlight; fwd=stale; detail="task:reader changed"' });
    await hit(node, path);
    await node.runtime.deploy(called({ config: { version: "2" }, limits: { timeout: "7s" } }));
    expect((await node.ask(path)).how).toBe("hit");
  });

  it("is no record where it wrote, looked at the clock, failed, or shares its instances", async () => {
    const node = await recordsNode([called(), asker()]);
    await runsTwice(node, "/asker/put?key=a&value=1");
    expect(await recorded(node, "/asker/put?key=a&value=1")).toBe("wrote");
    await runsTwice(node, "/asker/now");
    expect(await recorded(node, "/asker/now")).toBe("clock");
    await node.runtime.deploy(called({ reuse: { maxRequests: 5 } }));
    await runsTwice(node, "/asker/get?keys=a");
    expect(await recorded(node, "/asker/get?keys=a")).toBe("callee shares its instances");
    await node.runtime.deploy(called({ stores: [] }));
    expect((await node.ask("/asker/get?keys=a")).status).toBeGreaterThanOrEqual(500);
    expect(await recorded(node, "/asker/get?keys=a")).toMatch(/failed/);
  });
});

describe("a call of another guest's", () => {
  it("is answered from the callee's record, which calls from outside share", async () => {
    const { idempotent: _, ...plain } = asker().manifest;
    const node = await recordsNode([called({ idempotent: {} }), { ...asker(), manifest: plain }]);
    await node.put("a", "1");
    const path = "/asker/get?keys=a";
    expect(await node.ask(path)).toMatchObject({ text: "a=1", cache: undefined });
    await node.log.first({ msg: "run", task: "reader", recorded: "kept" });
    for (let i = 0; i < 3; i++) expect((await node.ask(path)).text).toBe("a=1");
    expect(node.ran("ran get a")).toBe(1);
    const lookup = (args: string): ReturnType<RecordsNode["ask"]> =>
      node.ask(`/-/tasks/reader/${LOOKUP}/get`, { method: "POST", body: args, headers: JSON_BODY });
    expect(await lookup('["a"]')).toMatchObject({ text: '"1"', how: "hit" });
    await lookup('["b"]');
    await until("it is recorded", async () => (await lookup('["b"]')).how === "hit");
    expect((await node.ask("/asker/get?keys=b,a")).text).toBe("b!\na=1");
    expect(node.ran("ran get b")).toBe(1);
    await node.put("a", "2");
    expect((await node.ask(path)).text).toBe("a=2");
    await node.ask("/asker/put?key=a&value=3");
    await node.ask("/asker/put?key=a&value=3");
    expect(node.ran("ran put a")).toBe(2);
    expect((await node.ask(path)).text).toBe("a=3");
    await node.idle();
  });

  it("is answered with what the callee alone allows; its caller has a record by its own manifest", async () => {
    const node = await recordsNode([called({ idempotent: { allow: ["clock"], ttl: "1h" } }), asker()]);
    const now = (): ReturnType<RecordsNode["ask"]> =>
      node.ask(`/-/tasks/reader/${LOOKUP}/now`, { method: "POST", body: "[]", headers: JSON_BODY });
    await now();
    await until("it is recorded", async () => (await now()).how === "hit");
    const ran = node.ran("ran now");
    await runsTwice(node, "/asker/now");
    expect([await recorded(node, "/asker/now"), node.ran("ran now")]).toEqual(["clock", ran]);
  });

  it("gives its caller no longer than it holds itself", async () => {
    const node = await recordsNode([called({ idempotent: { ttl: "2s" } }), asker({ idempotent: { ttl: "1h" } })]);
    const own = (): ReturnType<RecordsNode["ask"]> =>
      node.ask(`/-/tasks/reader/${LOOKUP}/get`, { method: "POST", body: '["a"]', headers: JSON_BODY });
    await own();
    await until("it is recorded", async () => (await own()).how === "hit");
    await node.ask("/asker/get?keys=a");
    await until("it is over", async () => (await node.ask("/asker/get?keys=a")).cache === 'pilotlight; fwd=stale; detail="expired"');
  });

  it("is one run with equal ones that are under way", async () => {
    const { idempotent: _, ...plain } = asker().manifest;
    const node = await recordsNode([called({ idempotent: {} }), { ...asker(), manifest: plain }]);
    await node.put("a", "1");
    const answers = await Promise.all(Array.from({ length: 12 }, () => node.ask("/asker/get?keys=a")));
    expect(answers.map(({ text }) => text)).toEqual(Array.from({ length: 12 }, () => "a=1"));
    await node.idle();
    const how = node.log.all({ msg: "run", task: "reader" }).map((line) => line["record"]);
    expect(how.filter((each) => each === "miss").length).toBe(node.ran("ran get a"));
    expect(how).toHaveLength(12);
  });
});

describe("calls of functions", () => {
  it("have records too: by function and arguments, over HTTP and by the embedder", async () => {
    const node = await recordsNode([reader()]);
    await node.put("a", "1");
    const call = (func: string, args: string): ReturnType<RecordsNode["ask"]> =>
      node.ask(`/-/tasks/reader/${LOOKUP}/${func}`, { method: "POST", body: args, headers: JSON_BODY });
    expect(await call("get", '["a"]')).toMatchObject({ status: 200, text: '"1"', how: "miss" });
    await until("it is recorded", async () => (await call("get", '["a"]')).how === "hit");
    expect(await call("get", ' [ "a" ] ')).toMatchObject({ text: '"1"', how: "hit" });
    expect(await call("get", '["b"]')).toMatchObject({ text: "null", how: "miss" });
    const ran = node.ran("ran get a");
    expect(await node.runtime.call("reader", `${LOOKUP}#get`, ["a"])).toBe("1");
    expect(node.ran("ran get a")).toBe(ran);
    await node.put("a", "2");
    expect(await node.runtime.call("reader", `${LOOKUP}#get`, ["a"])).toBe("2");
    expect(await call("now", "[]")).toMatchObject({ cache: 'pilotlight; fwd=miss; detail="clock"' });
    expect((await call("now", "[]")).how).toBe("miss");
    await call("put", '["a","3"]');
    expect(await call("get", '["a"]')).toMatchObject({ text: '"3"', how: "stale" });
  });

  it("by capability go to whose record holds", async () => {
    const provides = [LOOKUP];
    const one = (name: string): ReturnType<typeof guestTask> =>
      guestTask("reader", { name, routes: [], stores: ["default"], provides, idempotent: {} });
    const node = await recordsNode([one("first"), one("second"), one("third")]);
    const call = (args: string): ReturnType<RecordsNode["ask"]> =>
      node.ask(`/-/call/${LOOKUP}/get`, { method: "POST", body: args, headers: { ...JSON_BODY, "pilotlight-explain": "1" } });
    await call('["a"]');
    await until("it is recorded", async () => (await call('["a"]')).how === "hit");
    for (let i = 0; i < 10; i++) {
      const again = await call('["a"]');
      expect(again.how).toBe("hit");
      expect(again.headers.get("server-timing")).toMatch(/pick;desc="(first|second|third).* has a record that holds"/);
    }
  });
});

describe("calls by a name that is known only when the guest runs", () => {
  const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64");
  const ask = (node: RecordsNode, func: string, args: unknown): ReturnType<RecordsNode["ask"]> =>
    node.ask(`/-/tasks/ask/demo:app/ask/${func}`, { method: "POST", body: JSON.stringify(args), headers: JSON_BODY });

  it("are readings of the caller's too, of a callee that runs and of one that has a record", async () => {
    const provides = [LOOKUP];
    const node = await recordsNode([
      called({ provides, idempotent: {} }),
      guestTask("dispatcher", { name: "ask", routes: [], idempotent: {} }),
    ]);
    const get = (): ReturnType<RecordsNode["ask"]> => ask(node, "call", [LOOKUP, "get", base64(["a"])]);
    await node.put("a", "1");
    expect(await get()).toMatchObject({ status: 200, text: `"${base64("1")}"`, how: "miss" });
    await until("it is recorded", async () => (await get()).how === "hit");
    await node.put("a", "2");
    expect(await get()).toMatchObject({ text: `"${base64("2")}"`, how: "stale" });
    // The callee leaves one when it is called by itself, and is not run for the caller then.
    const own = (): ReturnType<RecordsNode["ask"]> =>
      node.ask(`/-/tasks/reader/${LOOKUP}/get`, { method: "POST", body: '["b"]', headers: JSON_BODY });
    await own();
    await until("it is recorded", async () => (await own()).how === "hit");
    const ran = node.ran("ran get b");
    const through = (): ReturnType<RecordsNode["ask"]> => ask(node, "call", [LOOKUP, "get", base64(["b"])]);
    expect(await through()).toMatchObject({ status: 200, text: `"${base64(null)}"`, how: "miss" });
    await until("it is recorded", async () => (await through()).how === "hit");
    expect(node.ran("ran get b")).toBe(ran);
    await node.put("b", "3");
    expect(await through()).toMatchObject({ text: `"${base64("3")}"`, how: "stale" });
  });

  it("leave no record where they came to nothing, or were only looked for", async () => {
    const node = await recordsNode([guestTask("dispatcher", { name: "ask", routes: [], idempotent: {} })]);
    const nobody = await ask(node, "call", [LOOKUP, "get", base64(["a"])]);
    expect(nobody.status).toBe(422);
    await node.log.first({ msg: "run", task: "ask", recorded: "callee failed" });
    await node.runtime.deploy(called({ provides: [LOOKUP] }));
    expect(await ask(node, "call", [LOOKUP, "get", base64(["a"])])).toMatchObject({ status: 200, how: "miss" });
    await ask(node, "candidates", [LOOKUP]);
    await node.log.first({ msg: "run", task: "ask", recorded: "candidates" });
  });
});

describe("an outbound request", () => {
  it("is made again with its validator, each time, and costs no run while that holds", async () => {
    let tag = '"1"';
    const there = await upstream((request, response) => {
      if (request.headers["if-none-match"] === tag) return void response.writeHead(304).end();
      response.writeHead(200, { etag: tag }).end(`state ${tag}`);
    });
    const node = await recordsNode([reader({ outbound: [there.origin] })]);
    const path = `/out?url=${there.origin}/x`;
    expect((await node.ask(path)).text).toBe('state "1"');
    await hit(node, path);
    const before = there.requests.length;
    expect((await node.ask(path)).how).toBe("hit");
    expect(there.requests.slice(before)).toEqual(['GET /x "1"']);
    expect(node.ran()).toBe(1);
    tag = '"2"';
    expect(await node.ask(path)).toMatchObject({ text: 'state "2"', cache: `pilotlight; fwd=stale; detail="${there.origin}/x changed"` });
  });

  it("without a validator is known by its body, and by its status", async () => {
    let [status, text, modified] = [200, "one", "Wed, 21 Oct 2015 07:00:00 GMT"];
    const there = await upstream((_request, response) => void response.writeHead(status, { "last-modified": modified }).end(text));
    const node = await recordsNode([reader({ outbound: [there.origin] })]);
    const path = `/out?url=${there.origin}/`;
    await node.ask(path);
    await hit(node, path);
    text = "two";
    expect(await node.ask(path)).toMatchObject({ text: "two", how: "stale" });
    await hit(node, path);
    status = 404;
    expect((await node.ask(path)).how).toBe("stale");
    await hit(node, path);
    // A guest sees when it was changed, too.
    modified = "Wed, 21 Oct 2015 07:28:00 GMT";
    expect((await node.ask(path)).how).toBe("stale");
    // Where another leads nobody looks.
    status = 302;
    await runsTwice(node, path);
    expect(await recorded(node, path)).toBe("outbound");
    status = 404;
    // The status alone was looked at, and the rest not read.
    await runsTwice(node, `${path}&drop=1`);
    expect(await recorded(node, `${path}&drop=1`)).toBe("outbound");
  });

  it("that does not come through has the task run, which says so; with a POST or credentials there is no record", async () => {
    let isThere = true;
    const there = await upstream((request, response) => {
      if (isThere) response.writeHead(200, { "last-modified": "Wed, 21 Oct 2015 07:28:00 GMT" }).end("there");
      else request.socket.destroy();
    });
    const node = await recordsNode([reader({ outbound: [there.origin] })]);
    const path = `/out?url=${there.origin}/`;
    await node.ask(path);
    await hit(node, path);
    // A time of change tells nothing of changes within its second.
    expect(there.requests.at(-1)).toBe("GET / -");
    isThere = false;
    const lost = await node.ask(path);
    expect(lost).toMatchObject({ status: 502, cache: `pilotlight; fwd=stale; detail="${there.origin}/ unreachable; outbound"` });
    isThere = true;
    expect((await node.ask(path)).how).toBe("hit");
    await runsTwice(node, `/post?url=${there.origin}/`);
    expect(await recorded(node, `/post?url=${there.origin}/`)).toBe("request");
    await runsTwice(node, `${path}&authorization=Basic%20YWRh`);
    expect(await recorded(node, `${path}&authorization=Basic%20YWRh`)).toBe("outbound credentials");
  });

  it("is not made where the manifest lets its answer be older, and by declaration is made before the run", async () => {
    let tag = 1;
    const there = await upstream((_request, response) => void response.writeHead(200, { etag: `"${tag}"` }).end());
    const node = await recordsNode([
      reader({ outbound: [there.origin], idempotent: { reads: [`${there.origin}/rates`], maxStale: "1h" } }),
      guestTask("reader", {
        name: "strict",
        routes: ["/strict/*"],
        outbound: [there.origin],
        idempotent: { reads: [`${there.origin}/rates`] },
      }),
    ]);
    await node.ask("/");
    await hit(node, "/");
    await node.ask("/strict/");
    await hit(node, "/strict/");
    tag = 2;
    const before = there.requests.length;
    expect((await node.ask("/")).how).toBe("hit");
    expect(there.requests.length).toBe(before);
    expect(await node.ask("/strict/")).toMatchObject({ cache: `pilotlight; fwd=stale; detail="${there.origin}/rates changed"` });
  });

  it("that takes longer than the run is given up for a while", async () => {
    const there = await upstream((request, response) => {
      setTimeout(() => response.writeHead(200, { etag: '"1"' }).end("x"), request.headers["if-none-match"] === undefined ? 0 : 120);
    });
    const node = await recordsNode([reader({ outbound: [there.origin] })]);
    const path = `/out?url=${there.origin}/`;
    await node.ask(path);
    await until("it is not asked any more", async () => (await node.ask(path)).cache === 'pilotlight; fwd=bypass; detail="cheaper to run"');
  });
});

describe("what only the guest knows", () => {
  it("is asked of the embedder", async () => {
    const states = new Map([["default/r", "1"]]);
    const resolve = (tenant: string, resource: string): string | undefined => states.get(`${tenant}/${resource}`);
    const node = await recordsNode([reader()], { records: { resolve } });
    await node.ask("/depend?resource=r&state=1");
    await hit(node, "/depend?resource=r&state=1");
    states.set("default/r", "2");
    expect(await node.ask("/depend?resource=r&state=1")).toMatchObject({ cache: 'pilotlight; fwd=stale; detail="r changed"' });
    // What the guest says is not so any more.
    expect((await node.ask("/depend?resource=r&state=1")).how).toBe("stale");
    states.delete("default/r");
    expect((await node.ask("/depend?resource=r&state=1")).how).toBe("stale");
  });

  it("is asked of the resolver that the manifest names; without one there is no record", async () => {
    const states = new Map([["a b", "v1\n"]]);
    const there = await upstream((request, response) => {
      const state = states.get(new URL(request.url ?? "", "http://x").searchParams.get("resource") ?? "");
      response.writeHead(state === undefined ? 404 : 200).end(state);
    });
    const node = await recordsNode([
      reader({ outbound: [there.origin], idempotent: { resolver: `${there.origin}/states?of=me` } }),
      guestTask("reader", { name: "none", routes: ["/none/*"], idempotent: {} }),
    ]);
    const path = "/depend?resource=a%20b&state=v1";
    await node.ask(path);
    await hit(node, path);
    expect(there.requests.at(-1)).toBe("GET /states?of=me&resource=a%20b -");
    states.set("a b", "v2");
    expect(await node.ask(path)).toMatchObject({ how: "stale" });
    await runsTwice(node, `/none${path}`);
    expect(await recorded(node, `/none${path}`)).toBe("no resolver");
  });
});

describe("folders", () => {
  it("are looked over before, after and at each call", async () => {
    const folder = tempDir();
    const old = new Date(Date.now() - 60_000);
    const write = (name: string, text: string): void => {
      writeFileSync(join(folder, name), text);
      utimesSync(join(folder, name), old, old);
    };
    write("a", "1");
    mkdirSync(join(folder, "sub"));
    const node = await recordsNode([reader({ files: [{ host: folder, guest: "/data" }] })]);
    await until("the folder has been left alone for a moment", async () => (await node.ask("/file?path=a")).how === "hit");
    expect((await node.ask("/file?path=a")).text).toBe("1");
    write("sub/b", "x");
    expect(await node.ask("/file?path=a")).toMatchObject({ how: "stale", cache: `pilotlight; fwd=stale; detail="${folder} changed"` });
    await until("it is recorded again", async () => (await node.ask("/file?path=a")).how === "hit");
    // Same length, same time of change: but not the time at which that was said.
    write("a", "2");
    expect(await node.ask("/file?path=a")).toMatchObject({ text: "2", how: "stale" });
  });
});

describe("sidecars", () => {
  const SECRET = "a secret for a test, of at least 32 bytes";
  const guarded = (more: Fields = {}): ReturnType<typeof guestTask> =>
    reader({ sidecars: [{ use: "auth-jwt", config: { secret: SECRET, issuer: "test" } }], ...more });

  async function token(subject: string): Promise<Record<string, string>> {
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const head = `${part({ alg: "HS256", typ: "JWT" })}.${part({ iss: "test", sub: subject, exp: Math.floor(Date.now() / 1000) + 600 })}`;
    return { authorization: `Bearer ${head}.${createHmac("sha256", SECRET).update(head).digest("base64url")}` };
  }

  it("guard recalled answers as well; whom they find is part of what is asked, unless the answer is for all", async () => {
    const node = await recordsNode([guarded()]);
    const [ada, bob] = [{ headers: await token("ada") }, { headers: await token("bob") }];
    expect(await node.ask("/who", ada)).toMatchObject({ text: "ada", how: "miss" });
    await hit(node, "/who", ada);
    expect(await node.ask("/who", bob)).toMatchObject({ text: "bob", how: "miss" });
    expect((await node.ask("/who")).status).toBe(401);
    await node.runtime.deploy(guarded({ idempotent: { shared: true } }));
    expect(await node.ask("/who", ada)).toMatchObject({ text: "nobody", how: "miss" });
    await hit(node, "/who", bob);
    expect((await node.ask("/who")).status).toBe(401);
  });

  it("respond to recalled answers, and those that observe are told that it was one", async () => {
    const node = await recordsNode([
      reader({ sidecars: [{ use: "headers", config: { set: { "x-frame-options": "DENY" } } }, { use: "log-access" }] }),
    ]);
    await node.ask("/");
    const again = await hit(node, "/");
    expect([...again.headers.keys()].some((name) => name.startsWith("x-") || name.includes("security"))).toBe(true);
    const line = await until("it is told", () =>
      node.log.lines.find(({ text }) => typeof text === "string" && text.includes('"recalled"')),
    );
    expect(line).toBeDefined();
  });
});

describe("a sidecar that serves an import", () => {
  const WORLD = `package test:rates;
world rates {
  import pilotlight:memo/depend@0.1.0;
  export demo:memo/lookup@1.0.0;
}
package demo:memo@1.0.0 {
  interface lookup {
    get: func(key: string) -> option<string>;
    put: func(key: string, value: string);
    now: func() -> u64;
  }
}`;
  const CODE = `import { on } from "pilotlight:memo/depend@0.1.0";
export const lookup = {
  get(key) { if (key !== "silent") on("rates/" + key, "1"); return "rate of " + key; },
  put() {},
  now: () => 0n,
};`;

  it.each(["request", "task"] as const)(
    "says what it depends on, or the run leaves no record (scope %s)",
    async (scope) => {
      const folder = tempDir();
      writeFileSync(join(folder, "world.wit"), WORLD);
      writeFileSync(join(folder, "index.js"), CODE);
      const build = { source: "index.js", wit: "world.wit", world: "rates" };
      writeFileSync(join(folder, "pilotlight.json"), JSON.stringify({ name: "rates", component: "rates.wasm", build }));
      await buildGuest(folder);
      const states = new Map([["rates/eur", "1"]]);
      const node = await recordsNode(
        [
          { manifest: { name: "rates", routes: [], sidecar: {} }, component: readFileSync(join(folder, "rates.wasm")) },
          asker({ uses: {}, sidecars: [{ use: "rates", scope }] }),
        ],
        { records: { resolve: (_tenant, resource) => states.get(resource) } },
      );
      expect(await node.ask("/asker/get?keys=eur")).toMatchObject({ status: 200, text: "eur=rate of eur", how: "miss" });
      await hit(node, "/asker/get?keys=eur");
      states.set("rates/eur", "2");
      expect(await node.ask("/asker/get?keys=eur")).toMatchObject({ cache: 'pilotlight; fwd=stale; detail="rates/eur changed"' });
      await runsTwice(node, "/asker/get?keys=silent");
      expect(await recorded(node, "/asker/get?keys=silent")).toBe("sidecar");
    },
    60_000,
  );
});

describe("guests that know nothing of records", () => {
  it("are recorded: a TypeScript function on QuickJS, as the examples have it", async () => {
    const folder = tempDir();
    cpSync(fileURLToPath(new URL("../../examples/hello/index.ts", import.meta.url)), join(folder, "index.ts"));
    writeFileSync(join(folder, "pilotlight.json"), JSON.stringify({ name: "js", component: "js.wasm", build: { source: "index.ts" } }));
    await buildGuest(folder);
    const component = readFileSync(join(folder, "js.wasm"));
    const node = await recordsNode([{ manifest: { name: "hello", routes: ["/hello/*"], idempotent: {} }, component }]);
    for (const path of ["/hello", "/hello/ada"]) {
      const first = await node.ask(path);
      expect(first).toMatchObject({ status: 200, cache: "pilotlight; fwd=miss" });
      expect((await hit(node, path)).text).toBe(first.text);
    }
  }, 60_000);
});
