/** Records, from outside: what is not run again, and what is. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { guestTask } from "../support/guests.js";
import { until } from "../support/until.js";
import { asked, hit, plainly, reader, recordsNode, runsTwice, type Asked, type RecordsNode } from "./records-node.js";

describe("a second call", () => {
  it("runs nothing: no guest says that it ran, no instance is made, and the answer says whose it is", async () => {
    const node = await recordsNode();
    await node.put("a", "1");
    const first = await node.ask("/get?keys=a");
    expect(first).toMatchObject({ status: 200, text: "a=1", cache: "pilotlight; fwd=miss" });
    await node.log.run(first.run);
    const before = node.runtime.stats();
    const second = await node.ask("/get?keys=a");
    expect(second).toMatchObject({ status: 200, text: "a=1", cache: expect.stringMatching(/^pilotlight; hit; ttl=3(599|600); /) });
    expect(second.cache).toContain(`detail="run ${first.run}"`);
    expect(second.run).not.toBe(first.run);
    expect(await node.log.run(second.run)).toMatchObject({ record: "hit", recalls: first.run, outcome: "ok", status: 200 });
    expect(node.ran()).toBe(1);
    const { pool, code } = node.runtime.stats();
    expect([pool, code]).toEqual([before.pool, before.code]);
    expect((await node.log.run(second.run))["capacity"]).toBeUndefined();
  });

  it("has the first one's head and body, byte for byte", async () => {
    const node = await recordsNode();
    for (const path of [
      "/headers?x-a=1&content-type=text/html&x-b=%C3%A9",
      "/big?bytes=70000",
      "/big?bytes=1000000",
      "/status?code=404",
      "/",
    ]) {
      const first = await node.get(path);
      const bytes = Buffer.from(await first.arrayBuffer());
      let second = await node.get(path);
      for (; !(second.headers.get("cache-status") ?? "").startsWith("pilotlight; hit"); second = await node.get(path))
        await second.arrayBuffer();
      expect(Buffer.from(await second.arrayBuffer()).equals(bytes)).toBe(true);
      const head = (response: Response): [string, string][] =>
        [...response.headers].filter(
          ([name]) => !["date", "pilotlight-run", "cache-status", "etag", "transfer-encoding", "content-length"].includes(name),
        );
      expect([second.status, head(second)]).toEqual([first.status, head(first)]);
    }
  });
});

describe("what a run has read", () => {
  it("is looked at: the run is repeated when that has changed, and not when something else has", async () => {
    const node = await recordsNode();
    await node.put("a", "1");
    await node.ask("/get?keys=a,b");
    await hit(node, "/get?keys=a,b");
    await node.put("c", "1");
    await node.put("a", "1", "other");
    expect(await node.ask("/get?keys=a,b")).toMatchObject({ how: "hit", text: "a=1\nb!" });
    await node.put("a", "2");
    expect(await node.ask("/get?keys=a,b")).toMatchObject({
      text: "a=2\nb!",
      cache: 'pilotlight; fwd=stale; detail="kv:default/a changed"',
    });
    await hit(node, "/get?keys=a,b");
    // What is not there was read as well.
    await node.put("b", "3");
    expect(await node.ask("/get?keys=a,b")).toMatchObject({ how: "stale", text: "a=2\nb=3" });
    await hit(node, "/get?keys=a,b");
    await node.remove("b");
    expect(await node.ask("/get?keys=a,b")).toMatchObject({ how: "stale", text: "a=2\nb!" });
  });

  it("that was written again as it was has not changed", async () => {
    const node = await recordsNode();
    await node.put("a", "1");
    await node.ask("/get?keys=a");
    await hit(node, "/get?keys=a");
    await node.put("a", "2");
    await node.put("a", "1");
    expect(await node.ask("/get?keys=a")).toMatchObject({ how: "hit", text: "a=1" });
  });

  it("of a listing is the names, and of existence no more than that", async () => {
    const node = await recordsNode();
    await node.put("a", "1");
    await node.ask("/list");
    await hit(node, "/list");
    await node.ask("/exists?keys=a,b");
    await hit(node, "/exists?keys=a,b");
    await node.put("a", "2");
    expect(await node.ask("/list")).toMatchObject({ how: "hit", text: "a" });
    expect(await node.ask("/exists?keys=a,b")).toMatchObject({ how: "hit", text: "a=true\nb=false" });
    await node.put("b", "1");
    expect(await node.ask("/list")).toMatchObject({ how: "stale", text: "a\nb" });
    expect(await node.ask("/exists?keys=a,b")).toMatchObject({ how: "stale", text: "a=true\nb=true" });
    await hit(node, "/list");
    await node.remove("a");
    expect(await node.ask("/list")).toMatchObject({ how: "stale", text: "b" });
  });

  it("by declaration counts as well", async () => {
    const node = await recordsNode([reader({ idempotent: { reads: ["kv:other/catalogue/*", "kv:other/one"] } })]);
    await node.ask("/");
    await hit(node, "/");
    await node.put("elsewhere", "1", "other");
    expect((await node.ask("/")).how).toBe("hit");
    await node.put("catalogue/7", "1", "other");
    expect(await node.ask("/")).toMatchObject({ cache: 'pilotlight; fwd=stale; detail="kv:other/catalogue/* changed"' });
    await hit(node, "/");
    await node.put("one", "1", "other");
    expect((await node.ask("/")).how).toBe("stale");
  });
});

describe("the program", () => {
  it("is part of what is asked: new code or configuration runs, the same again does not", async () => {
    const node = await recordsNode([reader({ config: { greeting: "hi" } })]);
    expect((await node.ask("/config?key=greeting")).text).toBe("hi");
    await hit(node, "/config?key=greeting");
    await node.runtime.deploy(reader({ config: { greeting: "hi" } }));
    expect((await node.ask("/config?key=greeting")).how).toBe("hit");
    await node.runtime.deploy(reader({ config: { greeting: "hello" } }));
    expect(await node.ask("/config?key=greeting")).toMatchObject({ how: "miss", text: "hello" });
    // What is said of limits and routes says nothing of answers; and what was before is there again.
    await node.runtime.deploy(reader({ config: { greeting: "hi" }, limits: { timeout: "9s" } }));
    expect(await node.ask("/config?key=greeting")).toMatchObject({ how: "hit", text: "hi" });
    await node.runtime.deploy({ ...guestTask("hashmap", { name: "reader", idempotent: {} }) });
    expect((await node.ask("/config?key=greeting")).how).toBe("miss");
  });

  it("has its secrets by their versions", async () => {
    const node = await recordsNode([]);
    const { control, operator } = node.runtime;
    await control.putSecret(operator, "default", "TOKEN", "a token that is long enough");
    await node.runtime.deploy(reader({ secrets: ["TOKEN"] }));
    await node.ask("/get?keys=a");
    await hit(node, "/get?keys=a");
    await control.putSecret(operator, "default", "TOKEN", "another token, also long");
    expect((await node.ask("/get?keys=a")).how).toBe("miss");
    // An answer with a secret in it is nothing to be kept.
    expect(await runsTwice(node, "/config?key=TOKEN")).toMatchObject({ text: "another token, also long" });
    const line = await until("the run has settled", () => node.log.all({ msg: "run", path: "/config?key=TOKEN" }).at(-1));
    expect(line).toMatchObject({ recorded: "secret" });
  });
});

describe("what is asked", () => {
  it("is the method, the path, the query in any order, and the body; each has a record of its own", async () => {
    const node = await recordsNode();
    const asks: [string, RequestInit][] = [
      ["/echo", {}],
      ["/echo?a=1&b=2", {}],
      ["/echo", { method: "POST", body: "x" }],
      ["/echo", { method: "POST", body: "y" }],
      ["/echo", { method: "PUT", body: "x" }],
    ];
    const texts = [];
    for (const [path, init] of asks) texts.push((await node.ask(path, init)).text);
    expect(new Set(texts).size).toBe(asks.length);
    for (const [i, [path, init]] of asks.entries()) expect((await hit(node, path, init)).text).toBe(texts[i]);
    expect((await hit(node, "/echo?b=2&a=1")).text).toBe(texts[1]);
  });

  it("is not the headers that the manifest does not name: those its guest does not even see", async () => {
    const node = await recordsNode([reader({ idempotent: { vary: ["Accept-Language"] } })]);
    const poison = { "x-forwarded-host": "evil.example", "user-agent": "evil", "accept-language": "de", origin: "https://evil.example" };
    const first = await node.ask("/echo", { headers: poison });
    expect(first.text).not.toContain("evil");
    expect(first.text).toContain("accept-language: de");
    expect((await hit(node, "/echo", { headers: { "accept-language": "de" } })).text).toBe(first.text);
    expect(await node.ask("/echo", { headers: { "accept-language": "fr" } })).toMatchObject({ how: "miss" });
  });

  it("is whose request it is: nobody gets what was answered to another's credentials", async () => {
    const node = await recordsNode();
    const ada = { headers: { authorization: "Basic YWRh" } };
    const first = await node.ask("/echo", ada);
    expect(first.text).toContain("authorization: Basic YWRh");
    await hit(node, "/echo", ada);
    for (const headers of [{}, { authorization: "Basic Ym9i" }, { cookie: "a=b" }]) {
      const other = await node.ask("/echo", { headers: headers as Record<string, string> });
      expect(other.how).toBe("miss");
      expect(other.text).not.toContain("YWRh");
    }
  });

  it("may be anybody's, where the manifest says so; then the guest sees no credentials", async () => {
    const node = await recordsNode([reader({ idempotent: { shared: true } })]);
    const first = await node.ask("/echo", { headers: { authorization: "Basic YWRh", cookie: "a=b" } });
    expect(first.text).not.toMatch(/authorization|cookie/);
    expect((await hit(node, "/echo")).text).toBe(first.text);
  });

  it("with a body of more than a MiB is run each time, and says so; up to that it may come in pieces", async () => {
    const node = await recordsNode();
    const long = { method: "POST", body: Buffer.alloc(2 ** 20 + 1, "x") };
    expect((await runsTwice(node, "/echo", long)).cache).toBe('pilotlight; fwd=bypass; detail="body"');
    const some = { method: "POST", body: Buffer.alloc(300_000, "y") };
    const first = await node.ask("/echo", some);
    expect(first.text).toHaveLength(first.text.indexOf("\n\n") + 2 + 300_000);
    expect((await hit(node, "/echo", some)).text).toBe(first.text);
  });
});

describe("a body that records are looked up by", () => {
  const begun = (node: RecordsNode): Socket => {
    const socket = connect(node.port, "127.0.0.1");
    socket.write(`POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n${"x".repeat(1000)}`);
    return socket;
  };

  it("may break off: the run is over, and holds nothing any more", async () => {
    const node = await recordsNode();
    const socket = begun(node);
    await new Promise((resolve) => setTimeout(resolve, 100));
    socket.destroy();
    expect(await node.log.first({ msg: "run", method: "POST" })).toMatchObject({ outcome: "cancelled" });
    expect(node.ran()).toBe(0);
  });

  it("is waited for no longer than the run's own time", async () => {
    const node = await recordsNode([reader({ limits: { timeout: "200ms" } })]);
    const socket = begun(node);
    const [answer] = (await once(socket, "data")) as [Buffer];
    socket.destroy();
    expect(answer.toString()).toMatch(/^HTTP\/1.1 504 /);
  });
});

describe("no record is left", () => {
  it("by a task that is not marked: it always runs", async () => {
    const { idempotent: _, ...manifest } = reader().manifest;
    const node = await recordsNode([{ ...reader(), manifest }]);
    const second = await runsTwice(node, "/get?keys=a");
    expect(second.cache).toBeUndefined();
  });

  it.each([
    ["/clock", "clock"],
    ["/random", "random"],
    ["/insecure-random", "random"],
    ["/set?key=x&value=1", "wrote"],
    ["/get-set?key=x&value=1", "wrote"],
    ["/increment?key=n", "wrote"],
  ])("by %s, and the answer says why", async (path, why) => {
    const node = await recordsNode();
    expect((await runsTwice(node, path)).cache).toBe(`pilotlight; fwd=miss; detail="${why}"`);
  });

  it.each(["/seed", "/monotonic", "/sleep?ms=1"])("is not true of %s", async (path) => {
    const node = await recordsNode();
    await node.ask(path);
    await hit(node, path);
  });

  it("is not true of a kind that the manifest allows", async () => {
    const node = await recordsNode([reader({ idempotent: { allow: ["clock", "random"] } })]);
    const first = await node.ask("/clock");
    expect((await hit(node, "/clock")).text).toBe(first.text);
    await node.ask("/random");
    await hit(node, "/random");
    await runsTwice(node, "/set?key=x&value=1");
  });

  it("by a run whose memory was not allowed to grow: with more room it may answer otherwise", async () => {
    const node = await recordsNode([guestTask("behave-p2", { idempotent: {} })]);
    const first = await node.ask("/grow-ok");
    expect(first).toMatchObject({ status: 200, cache: 'pilotlight; fwd=miss; detail="memory"' });
    expect((await node.ask("/grow-ok")).how).toBe("miss");
  });

  it.each([
    ["/trap", 500, "failed"],
    ["/status?code=503", 503, "status 503"],
    ["/headers?set-cookie=a%3Db", 200, "set-cookie"],
    ["/headers?cache-control=no-store", 200, "no-store"],
  ])("by %s", async (path, status, why) => {
    const node = await recordsNode();
    expect((await runsTwice(node, path)).status).toBe(status);
    const line = await until("it is logged", () => node.log.all({ msg: "run", path }).at(-1));
    expect(line).toMatchObject({ recorded: why });
  });

  it("by a run that is cut off in the middle of its answer, or whose client leaves", async () => {
    const node = await recordsNode();
    for (let i = 0; i < 2; i++) await expect(node.ask("/cut")).rejects.toThrow();
    await until("both ran", () => node.ran("/cut") === 2);
    const leaves = new AbortController();
    const gone = node.ask("/get?keys=a&ms=5000", { signal: leaves.signal }).catch(() => "gone");
    await until("it runs", () => node.runtime.stats().liveRuns === 1);
    leaves.abort();
    expect(await gone).toBe("gone");
    await until("it is over", () => node.runtime.stats().liveRuns === 0);
    expect(await node.log.first({ msg: "run", path: "/get?keys=a&ms=5000" })).toMatchObject({ outcome: "cancelled", recorded: "failed" });
  });

  it("by a run during which something it had read has changed", async () => {
    const node = await recordsNode();
    await node.put("a", "1");
    const slow = node.ask("/get?keys=a&ms=300");
    await until("it has read", () => node.ran("ms=300") === 1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await node.put("a", "2");
    expect(await slow).toMatchObject({ text: "a=1" });
    expect(await node.log.first({ msg: "run", path: "/get?keys=a&ms=300" })).toMatchObject({ recorded: "changed meanwhile" });
    expect(await node.ask("/get?keys=a&ms=300")).toMatchObject({ text: "a=2", how: "miss" });
    // Read twice, and another by then.
    const torn = node.ask("/get?keys=a&ms=300&again=1");
    await until("it has read", () => node.ran("again=1") === 1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await node.put("a", "3");
    expect(await torn).toMatchObject({ text: "a=2\na==3" });
  });
});

describe("tenants", () => {
  it("never share: the same bytes, path and data have records of their own", async () => {
    const node = await recordsNode([]);
    const { control, operator } = node.runtime;
    for (const tenant of ["acme", "globex"]) {
      await control.createTenant(operator, tenant, {});
      const { manifest, component } = reader({ routes: ["/*"] });
      await control.deploy(operator, tenant, { manifest: { component: "reader.wasm", ...manifest }, component });
      await control.putEntry(operator, tenant, "default", "a", Buffer.from(tenant), undefined);
    }
    expect(await node.ask("/~acme/get?keys=a")).toMatchObject({ how: "miss", text: "a=acme" });
    await hit(node, "/~acme/get?keys=a");
    expect(await node.ask("/~globex/get?keys=a")).toMatchObject({ how: "miss", text: "a=globex" });
    await hit(node, "/~globex/get?keys=a");
    await control.putEntry(operator, "globex", "default", "a", Buffer.from("new"), undefined);
    expect(await node.ask("/~acme/get?keys=a")).toMatchObject({ how: "hit", text: "a=acme" });
    expect(await node.ask("/~globex/get?keys=a")).toMatchObject({ how: "stale", text: "a=new" });
    await control.deleteTenant(operator, "acme", undefined);
    expect((await node.ask("/~acme/get?keys=a")).status).toBe(404);
  });
});

describe("a request", () => {
  it("may have it run all the same, and what comes of that is recorded", async () => {
    const node = await recordsNode([reader({ idempotent: { allow: ["clock"] } })]);
    const first = await node.ask("/get?keys=a");
    await hit(node, "/get?keys=a");
    const forced = await node.ask("/get?keys=a", { headers: { "cache-control": "no-cache" } });
    expect(forced).toMatchObject({ text: first.text, cache: "pilotlight; fwd=request" });
    expect((await hit(node, "/get?keys=a")).cache).toContain(forced.run);
  });

  it("may take nothing but what is recorded", async () => {
    const node = await recordsNode();
    const only = { headers: { "cache-control": "only-if-cached" } };
    const refused = await node.ask("/get?keys=a", only);
    expect(refused).toMatchObject({ status: 504, cache: "pilotlight; fwd=miss" });
    expect(JSON.parse(refused.text)).toMatchObject({
      type: "https://pilotlight.dev/problems/request/only-if-cached",
      detail: "The request takes a recorded answer alone (Cache-Control: only-if-cached), and there is none that holds.",
    });
    expect(node.ran()).toBe(0);
    await node.ask("/get?keys=a");
    await hit(node, "/get?keys=a");
    expect(await node.ask("/get?keys=a", only)).toMatchObject({ status: 200, how: "hit" });
    await node.put("a", "1");
    expect(await node.ask("/get?keys=a", only)).toMatchObject({ status: 504, how: "stale" });
  });

  it("may keep its answer out of the records", async () => {
    const node = await recordsNode();
    await runsTwice(node, "/get?keys=a", { headers: { "cache-control": "no-store" } });
    expect((await node.ask("/get?keys=a")).how).toBe("miss");
  });

  it("that has the answer already is told so", async () => {
    const node = await recordsNode();
    const first = await node.ask("/get?keys=a");
    const etag = first.headers.get("etag") as string;
    expect(etag).toMatch(/^"[\w-]{22}"$/);
    const again = await hit(node, "/get?keys=a");
    expect(again.headers.get("etag")).toBe(etag);
    // Of its own accord `fetch` says no-cache where it says If-None-Match.
    const know = (tags: string): Promise<Asked> => plainly(node, "/get?keys=a", { "if-none-match": tags });
    const unmodified = await know(`"x", ${etag}`);
    expect(unmodified).toMatchObject({ status: 304, text: "", how: "hit" });
    expect(unmodified.headers.get("etag")).toBe(etag);
    expect(unmodified.headers.get("content-type")).toBeNull();
    expect((await know('"x"')).status).toBe(200);
    await node.put("a", "1");
    expect(await know(etag)).toMatchObject({ status: 200, text: "a=1", how: "stale" });
    // One that is run, and comes out the same.
    await hit(node, "/get?keys=a");
    await node.put("a", "2");
    await node.remove("a");
    expect(await know(etag)).toMatchObject({ status: 304, how: "stale" });
    expect(await node.ask("/get?keys=a", { headers: { "if-none-match": etag } })).toMatchObject({ status: 304, how: "request" });
  });
});

describe("a long answer", () => {
  it("is not read for a client that has it, nor to the end for one that leaves", async () => {
    const node = await recordsNode();
    const path = "/big?bytes=3000000";
    await node.ask(path);
    const etag = (await hit(node, path)).headers.get("etag") as string;
    const known = await plainly(node, path, { "if-none-match": etag });
    expect(known).toMatchObject({ status: 304, how: "hit", text: "" });
    expect(await node.log.run(known.run)).toMatchObject({ outcome: "ok", status: 304, record: "hit" });
    const leaves = new AbortController();
    const leaving = await node.get(path, { signal: leaves.signal });
    const run = leaving.headers.get("pilotlight-run");
    leaves.abort();
    await leaving.text().catch(() => {});
    expect(["cancelled", "ok"]).toContain((await node.log.run(run))["outcome"]);
    expect((await node.ask(path)).text).toHaveLength(3_000_000);
  });

  it("is not held open for a client that takes nothing", async () => {
    const node = await recordsNode([reader({ limits: { idle: "200ms" } })]);
    const path = "/big?bytes=14000000";
    await node.ask(path);
    await hit(node, path);
    const stalled = connect(node.port, "127.0.0.1");
    stalled.pause();
    stalled.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${node.port}\r\n\r\n`);
    expect(await node.log.first({ msg: "run", record: "hit", outcome: "limit" })).toMatchObject({ cause: "idle-time: 200 of 200" });
    stalled.destroy();
  });
});

describe("equal calls at once", () => {
  it("are one run", async () => {
    const node = await recordsNode();
    await node.put("a", "1");
    const answers = await Promise.all(Array.from({ length: 20 }, () => node.ask("/get?keys=a&ms=200")));
    expect(new Set(answers.map(({ text, status }) => `${status} ${text}`))).toEqual(new Set(["200 a=1"]));
    expect(answers.map(({ how }) => how).sort((a = "", b = "") => a.localeCompare(b))).toEqual([
      ...Array.from({ length: 19 }, () => "collapsed"),
      "miss",
    ]);
    expect(node.ran()).toBe(1);
    const leader = answers.find(({ how }) => how === "miss")?.run as string;
    for (const { cache, how } of answers) if (how === "collapsed") expect(cache).toContain(`detail="run ${leader}"`);
  });

  it("do not lose it when the first of them leaves", async () => {
    const node = await recordsNode();
    const leaves = new AbortController();
    const first = node.ask("/get?keys=a&ms=300", { signal: leaves.signal }).catch(() => "gone");
    await until("it runs", () => node.ran() === 1);
    const others = [1, 2, 3].map(() => node.ask("/get?keys=a&ms=300"));
    await new Promise((resolve) => setTimeout(resolve, 50));
    leaves.abort();
    expect(await first).toBe("gone");
    for (const other of others) expect(await other).toMatchObject({ status: 200, text: "a!", how: "collapsed" });
    expect(node.ran()).toBe(1);
  });

  it("are let go to one new run when theirs traps, is too late, or reads what changes", async () => {
    const node = await recordsNode([reader({ limits: { timeout: "400ms" } })]);
    const late = await Promise.all(Array.from({ length: 5 }, () => node.ask("/sleep?ms=3000")));
    expect(late.map(({ status }) => status)).toEqual([504, 504, 504, 504, 504]);
    // The first, one after it that the others waited for, and then each for itself.
    expect(node.ran("/sleep")).toBe(5);
    await node.put("a", "1");
    const changing = Array.from({ length: 5 }, () => node.ask("/get?keys=a&ms=150"));
    await until("one runs", () => node.ran("/get") === 1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await node.put("a", "2");
    const texts = (await Promise.all(changing)).map(({ text }) => text);
    expect(texts.filter((text) => text === "a=1")).toHaveLength(1);
    expect(texts.filter((text) => text === "a=2")).toHaveLength(4);
    expect(node.ran("/get")).toBe(2);
    const trapped = await Promise.all(Array.from({ length: 4 }, () => node.ask("/trap")));
    expect(trapped.map(({ status }) => status)).toEqual([500, 500, 500, 500]);
  });

  it("do not wait for each other where they leave no record", async () => {
    const node = await recordsNode();
    await node.ask("/get-set?key=k&value=0");
    await until("it is over", () => node.log.all({ msg: "run", recorded: "wrote" }).length === 1);
    const answers = await Promise.all(Array.from({ length: 8 }, () => node.ask("/get-set?key=k&value=0")));
    expect(answers.every(({ how }) => how === "miss")).toBe(true);
    expect(node.ran()).toBe(9);
  });

  it("do not wait for how slowly the first of them takes its answer", async () => {
    const node = await recordsNode();
    const slow = await node.get("/big?bytes=8000000");
    expect(slow.headers.get("cache-status")).toBe("pilotlight; fwd=miss");
    const other = await node.ask("/big?bytes=8000000");
    expect(other).toMatchObject({ status: 200, how: "collapsed" });
    expect(other.text).toHaveLength(8_000_000);
    expect((await asked(slow)).text).toBe(other.text);
  });
});

describe("guests that know nothing of records", () => {
  it("are recorded: a Rust program with a hash map", async () => {
    const node = await recordsNode([guestTask("hashmap", { idempotent: {} })]);
    const first = await node.ask("/?words=b,a,b");
    expect(first).toMatchObject({ status: 200, cache: "pilotlight; fwd=miss" });
    expect((await hit(node, "/?words=b,a,b")).text).toBe(first.text);
  });
});
