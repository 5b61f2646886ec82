/** Documents that sidecars ask for: who may have which, how often it is fetched, and over real sockets what is not fetched at all. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import type { Command } from "../../src/engine/engine.js";
import { Documents, type Fetched } from "../../src/invoke/documents.js";
import { fetchDocument } from "../../src/invoke/fetch-document.js";
import type { Run } from "../../src/invoke/run.js";

const KEYS = "https://id.example.com/keys";

function bench(config: readonly (readonly [string, string])[] = [["jwks", KEYS]], outbound: readonly string[] = []) {
  const sent: Command[] = [];
  const fetched: string[] = [];
  let next: () => Promise<Fetched> = () => Promise.resolve({ text: `text ${fetched.length}`, holdsMs: undefined });
  const documents = new Documents({
    engine: { send: (command) => void sent.push(command) },
    fetch: (url) => {
      fetched.push(url);
      return next();
    },
  });
  const run = { handle: 7, stands: { callMs: 1000, config }, task: { version: { manifest: { outbound } } } } as unknown as Run;
  let asks = 0;
  const ask = async (url = KEYS, caller: Run | undefined = run): Promise<unknown> => {
    const id = ++asks;
    documents.asked({ kind: "ask", run: 7, ask: id, interface: "", function: "fetch", arguments: JSON.stringify([url]) }, caller);
    await vi.advanceTimersByTimeAsync(0);
    const answer = sent.find((command) => command.kind === "answer" && command.ask === id) as { ok: string } | undefined;
    return answer && (JSON.parse(answer.ok) as unknown[])[0];
  };
  const given = (): string[] => sent.flatMap((command) => (command.kind === "document" ? [command.text] : []));
  const answers = (with_: () => Promise<Fetched>): void => {
    next = with_;
  };
  return { documents, run, ask, fetched, given, answers };
}

describe("a sidecar that asks for a document", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("waits for the first, and finds it from then on without a word; it is fetched again beside that", async () => {
    const { ask, fetched, given, answers } = bench();
    expect(await ask()).toEqual({ tag: "ok", val: "text 1" });
    expect(given()).toEqual(["text 1"]);
    await vi.advanceTimersByTimeAsync(299_000);
    expect(fetched).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1000);
    expect(given()).toEqual(["text 1", "text 2"]);
    // What cannot be fetched again stays as it was, and is tried again soon.
    answers(() => Promise.reject(new Error("down")));
    await vi.advanceTimersByTimeAsync(300_000);
    expect([fetched.length, given().length]).toEqual([3, 2]);
    answers(() => Promise.resolve({ text: "again", holdsMs: undefined }));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(given().at(-1)).toBe("again");
  });

  it.each([
    [1000, 30_000],
    [60_000, 60_000],
    [86_400_000, 900_000],
  ])("that holds for %d ms has it fetched again after %d", async (holdsMs, after) => {
    const { ask, fetched, answers } = bench();
    answers(() => Promise.resolve({ text: "x", holdsMs }));
    await ask();
    await vi.advanceTimersByTimeAsync(after - 1);
    expect(fetched).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(fetched).toHaveLength(2);
  });

  it("hears why it cannot be had, and the next call tries again", async () => {
    const { ask, answers } = bench();
    answers(() => Promise.reject(new Error("it answers with the status 500")));
    expect(await ask()).toEqual({ tag: "err", val: "it answers with the status 500" });
    answers(() => Promise.resolve({ text: "x", holdsMs: undefined }));
    expect(await ask()).toEqual({ tag: "ok", val: "x" });
  });

  it("may have what its configuration or its manifest names, and nothing else", async () => {
    const { ask, fetched } = bench([["jwks", KEYS]], ["https://other.example.com"]);
    expect(await ask("https://other.example.com/a")).toMatchObject({ tag: "ok" });
    for (const url of ["https://id.example.com/keys2", "https://evil.example.com/", "no url"])
      expect(await ask(url)).toEqual({
        tag: "err",
        val: `${url} is neither in the configuration of this sidecar nor among the outbound origins of its manifest`,
      });
    expect(fetched).toEqual(["https://other.example.com/a"]);
  });

  it("is a sidecar, and asks for eight at most", async () => {
    const urls = Array.from({ length: 9 }, (_, i) => `https://a.example.com/${i}`);
    const { ask, run } = bench(urls.map((url): [string, string] => [url, url]));
    for (const url of urls.slice(0, 8)) expect(await ask(url)).toMatchObject({ tag: "ok" });
    expect(await ask(urls[8])).toEqual({ tag: "err", val: "a sidecar may ask for 8 documents" });
    expect(await ask(urls[0], Object.assign(Object.create(run) as Run, { stands: undefined }))).toEqual({
      tag: "err",
      val: "only a sidecar can ask for documents",
    });
  });

  it("that has ended has nothing fetched for it any more", async () => {
    const { ask, documents, run, fetched } = bench();
    await ask();
    documents.ended(run);
    await vi.advanceTimersByTimeAsync(10_000_000);
    expect(fetched).toHaveLength(1);
  });
});

describe("a document over HTTP", () => {
  async function served(
    answer: (path: string) => { status?: number; headers?: Record<string, string>; body?: string; hang?: boolean },
  ): Promise<string> {
    const server: Server = createServer((request, response) => {
      const { status = 200, headers = {}, body = "", hang = false } = answer(request.url ?? "");
      if (!hang) response.writeHead(status, headers).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
  const nothingIsPublic = (): boolean => false;

  it("is its text, and how long it says that it holds", async () => {
    const origin = await served(() => ({ headers: { "cache-control": "public, max-age=120" }, body: '{"keys":[]}' }));
    expect(await fetchDocument(`${origin}/keys`, nothingIsPublic)).toEqual({ text: '{"keys":[]}', holdsMs: 120_000 });
  });

  it.each([
    ["/missing", { status: 404 }, /answers with the status 404/],
    ["/moved", { status: 302, headers: { location: "/keys" } }, /answers with the status 302/],
    ["/long", { body: "x".repeat(300_000) }, /is longer than 262144 bytes/],
    ["/hang", { hang: true }, /did not answer in 4000 ms/],
  ])("is none at %s", async (path, answer, message) => {
    const origin = await served(() => answer);
    await expect(fetchDocument(origin + path, nothingIsPublic)).rejects.toThrow(message);
  });

  it("is none where a name leads to an address that is not public, or where the scheme is another", async () => {
    await expect(fetchDocument("https://localhost/keys", nothingIsPublic)).rejects.toThrow("localhost leads to no public address");
    await expect(fetchDocument("http://localhost/keys", () => true)).rejects.toThrow(
      "neither https, nor http at an address that is written as one",
    );
    await expect(fetchDocument("file:///etc/passwd", () => true)).rejects.toThrow("neither https, nor http");
    await expect(fetchDocument("keys", () => true)).rejects.toThrow("keys is no URL");
  });
});
