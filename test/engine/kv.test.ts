/** What guests can do with `wasi:keyvalue`, in both drafts, and what the engine says of it afterwards. */
import { describe, expect, it } from "vitest";
import { NOTE } from "../../src/engine/trace.js";
import { readDeps, type StoreDep } from "../../src/memo/deps.js";
import { useEngine, type Answer, type Terms, type TestRun } from "../support/engine.js";

const engine = useEngine();

const DRAFTS = ["kv-draft", "kv-draft2"] as const;
type Draft = (typeof DRAFTS)[number];

let tenants = 0;
/** A tenant of its own for each test, with the store `s`. */
function someone(stores: readonly string[] = ["s"]): Terms & { readonly tenant: string } {
  return { tenant: `tenant-${++tenants}`, stores };
}

function ask(draft: Draft, target: string, terms: Terms): Promise<Answer> {
  return engine.ask(draft, `${target}${target.includes("?") ? "&" : "?"}store=s`, terms);
}

async function body(draft: Draft, target: string, terms: Terms): Promise<string> {
  return (await ask(draft, target, terms)).body;
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

describe.each(DRAFTS)("the guest %s", (draft) => {
  it("gets what it has set, until it deletes it", async () => {
    const terms = someone();
    expect(await body(draft, "/get?key=k", terms)).toBe("(none)");
    expect(await body(draft, "/exists?key=k", terms)).toBe("false");
    expect(await ask(draft, "/set?key=k&value=hello", terms)).toMatchObject({ status: 200, body: "set" });
    expect(await body(draft, "/get?key=k", terms)).toBe("hello");
    expect(await body(draft, "/exists?key=k", terms)).toBe("true");
    await ask(draft, "/delete?key=k", terms);
    expect(await body(draft, "/exists?key=k", terms)).toBe("false");
    expect(await ask(draft, "/delete?key=k", terms)).toMatchObject({ status: 200 });
  });

  it("counts up, from nothing, in text that others can read", async () => {
    const terms = someone();
    expect(await body(draft, "/increment?key=n&by=5", terms)).toBe("5");
    expect(await body(draft, "/increment?key=n&by=7", terms)).toBe("12");
    expect(await body(draft, "/get?key=n", terms)).toBe("12");
    await ask(draft, "/set?key=n&value=many", terms);
    expect(await ask(draft, "/increment?key=n", terms)).toMatchObject({
      status: 500,
      body: expect.stringMatching(/^other: the value under the key "n" is not a whole number/),
    });
  });

  it("gets, sets and deletes many at once", async () => {
    const terms = someone();
    expect(await body(draft, "/set-many?pairs=a:1,b:2,c:3", terms)).toBe("set");
    expect(await body(draft, "/get-many?keys=c,none,a", terms)).toBe("c=3\n(none)\na=1\n");
    expect(await body(draft, "/delete-many?keys=a,none,b", terms)).toBe("deleted");
    expect(await body(draft, "/list", terms)).toBe("c\n");
  });

  it("lists all keys, page by page", async () => {
    const terms = someone();
    const keys = Array.from({ length: 500 }, (_, i) => `${String(i).padStart(3, "0")}-${"x".repeat(300)}`);
    await Promise.all(keys.map((key) => engine.port.kv.put(terms.tenant, "s", key, bytes("v"))));
    const found: string[] = [];
    let cursor: string | undefined;
    let pages = 0;
    do {
      const lines = (await body(draft, cursor === undefined ? "/list" : `/list?cursor=${cursor}`, terms)).split("\n");
      found.push(...lines.slice(0, -1));
      cursor = /^cursor: (.*)$/.exec(lines.at(-1) ?? "")?.[1];
      pages++;
    } while (cursor !== undefined);
    expect(found).toEqual(keys);
    expect(pages).toBeGreaterThan(1);
  });

  it("opens the stores that its program was granted, and no other", async () => {
    const terms = someone(["s", "other"]);
    await engine.port.kv.put(terms.tenant, "secret", "k", bytes("v"));
    const open = async (store: string): Promise<Answer> => engine.ask(draft, `/get?key=k&store=${store}`, terms);
    expect(await open("other")).toMatchObject({ status: 200, body: "(none)" });
    const denied = await open("secret");
    expect(denied).toMatchObject({ status: 500, body: "access-denied" });
    expect((await open("nowhere")).body).toBe(denied.body);
    expect((await open("")).body).toBe(denied.body);
    expect((await engine.ask(draft, "/get?key=k&store=s")).body).toBe(denied.body);
  });

  it("sees nothing of another tenant's store of the same name", async () => {
    const [one, two] = [someone(), someone()];
    await ask(draft, "/set?key=k&value=one", one);
    expect(await body(draft, "/get?key=k", two)).toBe("(none)");
    await ask(draft, "/set?key=k&value=two", two);
    await ask(draft, "/delete?key=k", two);
    expect([await body(draft, "/get?key=k", one), await body(draft, "/list", two)]).toEqual(["one", ""]);
  });

  it("is told when its tenant's quota is used up, and loses nothing", async () => {
    const terms = someone();
    await engine.port.kv.setQuota(terms.tenant, 100);
    await ask(draft, "/set?key=k&value=small", terms);
    for (const target of ["/set?key=k&bytes=200", "/set-many?pairs=l:1,m:" + "x".repeat(100)]) {
      expect(await ask(draft, target, terms)).toMatchObject({ status: 500, body: expect.stringMatching(/^other: .* may store 100;/) });
    }
    expect(await body(draft, "/list", terms)).toBe("k\n");
    expect(await body(draft, "/get?key=k", terms)).toBe("small");
  });

  it("is told what is wrong with a key", async () => {
    const terms = someone();
    for (const target of ["/get?key=", "/set?value=1&key=", `/exists?key=${"k".repeat(481)}`, `/increment?key=${"k".repeat(481)}`]) {
      expect(await body(draft, target, terms)).toMatch(/^other: a key has 1 to 480 bytes, not (0|481)$/);
    }
  });

  it("stores and gets a value of half a mebibyte", async () => {
    const terms = { ...someone(), limits: { valueBytes: 2 ** 20 } };
    expect(await body(draft, `/set?key=k&bytes=${2 ** 19}`, terms)).toBe("set");
    expect(await body(draft, "/gets?key=k&times=3", terms)).toBe(String(3 * 2 ** 19));
  });

  it("cannot have more values in one answer than its memory would hold", async () => {
    const terms = { ...someone(), limits: { memoryBytes: 2 ** 20 } };
    await engine.port.kv.put(terms.tenant, "s", "k", new Uint8Array(2 ** 19));
    expect(await body(draft, "/get-many?keys=k,k,k", terms)).toMatch(/^other: these 3 values are more than 1048576 bytes in all/);
  });

  it("counts right when many instances count at once", async () => {
    const terms = someone();
    const answers = await Promise.all(Array.from({ length: 40 }, () => body(draft, "/increment?key=n", terms)));
    expect(answers.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
  });

  it("has its reads and writes told with the end of the run", async () => {
    const terms = someone();
    const { kv } = engine.port;
    const revision = await kv.put(terms.tenant, "s", "k", bytes("v"));
    const settled = async (target: string): Promise<object | undefined> => {
      const run = engine.run(await engine.program(draft, terms), `${target}&store=s`, { traced: true });
      return traceOf(await run.ended, run);
    };
    const { tenant } = terms;
    expect(await settled("/get?key=k")).toMatchObject({ reads: [{ tenant, kind: "value", store: "s", key: "k", revision }], notes: 0 });
    expect(await settled("/exists?key=none")).toMatchObject({ reads: [{ tenant, kind: "exists", store: "s", key: "none", revision: 0 }] });
    expect(await settled("/list?x=1")).toMatchObject({ reads: [{ tenant, kind: "list", store: "s", key: "", revision }], notes: 0 });
    expect(await settled("/get-many?keys=k,none")).toMatchObject({
      reads: expect.arrayContaining([{ tenant, kind: "value", store: "s", key: "k", revision }]),
    });
    expect(await settled("/set?key=k&value=w")).toMatchObject({ reads: [], notes: NOTE.wrote });
    const gone = await kv.delete(terms.tenant, "s", "k");
    expect(await settled("/get?key=k")).toMatchObject({ reads: [{ tenant, kind: "value", store: "s", key: "k", revision: gone }] });
    expect(kv.revisionOf(terms.tenant, "s", "k")).toBe(gone);
  });
});

describe("the guest of the second draft", () => {
  it("swaps a value that nobody has changed since", async () => {
    const terms = someone();
    expect(await body("kv-draft2", "/cas?key=k&value=1", terms)).toBe("was (none), swapped");
    expect(await body("kv-draft2", "/cas?key=k&value=2", terms)).toBe("was 1, swapped");
    expect(await body("kv-draft2", "/get?key=k", terms)).toBe("2");
  });

  it("is given a new handle when somebody has, and can swap with that one", async () => {
    const terms = someone();
    await ask("kv-draft2", "/set?key=k&value=1", terms);
    expect(await body("kv-draft2", "/cas?key=k&value=3&meanwhile=2", terms)).toBe("was 1, failed: now 2");
    expect(await body("kv-draft2", "/get?key=k", terms)).toBe("2");
    expect(await body("kv-draft2", "/cas?key=k&value=3&meanwhile=x&again=1", terms)).toBe("was 2, failed: now x, swapped");
    expect(await body("kv-draft2", "/get?key=k", terms)).toBe("3");
  });

  it("counts down below zero", async () => {
    const terms = someone();
    expect(await body("kv-draft2", "/increment?key=n&by=-3", terms)).toBe("-3");
    expect(await body("kv-draft2", "/increment?key=n&by=10", terms)).toBe("7");
  });

  it("does not share its quota with the swap's failure", async () => {
    const terms = someone();
    await engine.port.kv.setQuota(terms.tenant, 10);
    expect(await ask("kv-draft2", "/cas?key=k&bytes=50", terms)).toMatchObject({
      status: 500,
      body: expect.stringMatching(/^was \(none\), other: .* may store 10;/),
    });
  });
});

it("runs that are not traced say nothing of reads", async () => {
  const run = engine.run(await engine.program("hello-p2"), "/");
  await run.ended;
  expect(Object.keys(run.events.find((event) => event.kind === "settled") as object).sort()).toEqual([
    "began",
    "kind",
    "outcome",
    "run",
    "usage",
  ]);
});

it("an instance that is used again still depends on what its earlier runs have read", async () => {
  const terms = someone();
  const on = engine.slot();
  const program = await engine.program("kv-draft", terms);
  const first = engine.run(program, "/set?key=a&value=1&store=s", { on, last: false, traced: true });
  await first.ended;
  await engine.run(program, "/get?key=a&store=s", { on, last: false, traced: true }).ended;
  const last = engine.run(program, "/get?key=b&store=s", { on, last: true, traced: true });
  const { notes, reads } = traceOf(await last.ended, last);
  expect(notes).toBe(0);
  expect(reads.map(({ key }) => key).sort()).toEqual(["a", "b"]);
});

function traceOf(_ended: unknown, run: TestRun): { readonly notes: number; readonly reads: readonly StoreDep[] } {
  const settled = run.events.find((event) => event.kind === "settled");
  if (settled?.kind !== "settled" || settled.trace === undefined) throw new Error("the run was not traced");
  return { notes: settled.trace.notes, reads: readDeps(settled.trace.reads) };
}
