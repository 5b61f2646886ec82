/** The example `examples/seven`: one order through all seven mechanisms, and what the node tells of each of them. */
import { cp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { buildGuest } from "../../src/guests/build.js";
import { ROOT, tempDir } from "../support/files.js";
import type { LogCapture, LogLine } from "../support/log.js";
import { Program } from "../support/program.js";
import { problemOf, runOf } from "../support/runtime.js";
import { readSession, runSession } from "../support/session.js";
import { until } from "../support/until.js";

const EXAMPLE = join(ROOT, "examples/seven");
const README = join(EXAMPLE, "README.md");
const PROVIDERS = ["quick", "thrifty"];
const ORDER = '{"item":"tea","pieces":20000}';
/** As a user has it after `pilotlight build` of each of the three. */
let folder: string;

beforeAll(async () => {
  folder = tempDir();
  await cp(EXAMPLE, folder, { recursive: true, filter: (file) => !file.endsWith(".wasm") && !file.endsWith(".pilotlight") });
  await Promise.all(["shop", ...PROVIDERS].map((task) => buildGuest(join(folder, task))));
}, 60_000);

/** What a header tells of one mechanism. */
interface Entry {
  readonly name: string;
  readonly ms: number | undefined;
  readonly text: string | undefined;
}

/** The entries of `Server-Timing`, in order. */
function entriesOf(header: string | null): Entry[] {
  return [...(header ?? "").matchAll(/([^\s,;]+)(?:;dur=([\d.]+))?(?:;desc="((?:[^"\\]|\\.)*)")?(?:, |$)/g)].map(([, name, ms, text]) => ({
    name: name as string,
    ms: ms === undefined ? undefined : Number(ms),
    text,
  }));
}

function timing({ headers }: Response): Entry[] {
  return entriesOf(headers.get("server-timing"));
}

function namesOf(entries: readonly Entry[]): string[] {
  return entries.map(({ name }) => name);
}

/** The one entry of that name. */
function entry(entries: readonly Entry[], name: string): Entry {
  const found = entries.filter((each) => each.name === name);
  expect(found, name).toHaveLength(1);
  return found[0] as Entry;
}

interface Shop {
  readonly log: LogCapture;
  /** Runs commands as the README's reader does. */
  readonly run: (...commands: string[]) => ReturnType<typeof runSession>;
  readonly ask: (path: string, init?: RequestInit) => Promise<Response>;
  readonly metrics: () => Promise<string>;
  readonly order: (headers?: Readonly<Record<string, string>>) => Promise<Response>;
  /** The log lines of calls that a provider has taken, answered from a record or not. */
  readonly quotes: (fields?: LogLine) => LogLine[];
}

/** A node with the configuration of the example, after the steps of its README. */
async function openShop(): Promise<Shop> {
  const program = new Program(["serve", "--addr", "127.0.0.1:0", "--admin", "127.0.0.1:0"], { cwd: folder });
  const log = program.log();
  // It compiles three components first, each with a JavaScript engine in it.
  const [, data, admin] = await program.says(/data plane (\S+)\nadmin plane (\S+)\nadmin key in .*\n/, 90_000);
  const key = (await readFile(join(folder, ".pilotlight/admin.key"), "utf8")).trim();
  const run = (...commands: string[]) => runSession(commands, { PILOTLIGHT_CACHE: "" }, folder);
  const steps = readSession(README, "<!-- session: seven -->", "<!-- end of the session -->");
  const done = await run(...steps.map(({ command }) => command));
  expect(done.map(({ exit, command, output }) => [exit, command, output])).toEqual(
    steps.map(({ command, output }) => [0, command, output]),
  );
  const ask: Shop["ask"] = (path, init = {}) =>
    fetch(new URL(path, data), {
      ...init,
      headers: { "pilotlight-key": key, "pilotlight-explain": "1", ...(init.headers as Record<string, string>) },
    });
  return {
    log,
    run,
    ask,
    metrics: async () => (await fetch(`${admin}metrics`)).text(),
    order: (headers = {}) => ask("/shop", { method: "POST", body: ORDER, headers: { "x-api-key": "tea-time", ...headers } }),
    quotes: (fields = {}) => PROVIDERS.flatMap((task) => log.all({ msg: "run", task, ...fields })),
  };
}

it("passes all seven, and the node tells of each", { timeout: 120_000 }, async () => {
  const { log, run, ask, metrics, order, quotes } = await openShop();
  for (const task of PROVIDERS) await log.first({ msg: "run", task, record: "miss", recorded: "kept" });
  const earlier = quotes();

  // Nobody gets in without a key, and nothing is put off for who does not.
  for (const headers of [{}, { "x-api-key": "coffee" }]) {
    const stranger = await ask("/shop", { method: "POST", body: ORDER, headers: { prefer: "respond-async", ...headers } });
    expect([stranger.status, stranger.headers.get("location")]).toEqual([401, null]);
    expect((await problemOf(stranger)).code).toBe("sidecar/refused");
  }

  const announced = await ask("/-/pretriggers", { method: "POST", body: '{"task":"shop","count":1,"in":"0s","window":"30s"}' });
  expect(announced.status).toBe(202);
  await until("an instance lies ready for it", async () => /^pilotlight_pretriggers_instances 1$/m.test(await metrics()));

  const accepted = await order({ prefer: "respond-async" });
  expect([accepted.status, accepted.headers.get("preference-applied")]).toEqual([202, "respond-async"]);
  const id = runOf(accepted);
  const result = await until("the order is done", async () => {
    const response = await ask(`${accepted.headers.get("location")}/result`);
    return response.status === 409 ? undefined : response;
  });
  expect([result.status, runOf(result)]).toEqual([200, id]);
  const answer = (await result.json()) as { readonly cents: number };
  expect(answer).toEqual({ customer: "ada", item: "tea", pieces: 20000, cents: expect.any(Number) as number, served: 1 });
  const [before, of] = [timing(accepted), timing(result)];

  // What the README shows is of the same kind.
  const shown = [...(await readFile(README, "utf8")).matchAll(/^Server-Timing: (.*)$/gm)].map(([, header]) =>
    namesOf(entriesOf(header ?? null)),
  );
  expect(shown.slice(0, 2)).toEqual([namesOf(before), namesOf(of)]);

  // 1: an instance that was ready in the tenant's own cell, under a lease.
  expect([entry(of, "capacity").text, entry(of, "pool").text, entry(of, "start").ms]).toEqual(["own/ready", "dedicated", 0]);
  expect(entry(of, "queue").ms).toBeGreaterThan(0);
  expect(entry(of, "run").ms).toBeGreaterThan(0);

  // 2: both sidecars have let it in, and one line of the access log tells of its end.
  expect(namesOf(before)).toEqual(["sidecar-log-access", "sidecar-auth-key", "deferral"]);
  expect(entry(before, "sidecar-auth-key").ms).toBeGreaterThan(0);
  const access = await log.first({ msg: "guest", run: id, sidecar: "log-access" });
  expect(JSON.parse(String(access["text"]))).toMatchObject({ method: "POST", path: "/shop", ending: "ok", status: 200 });
  expect(await log.run(id)).toMatchObject({ task: "shop", subject: "ada" });

  // 3: the quote came from whoever costs least, or from the one of which less is known.
  const told = /^(quick|thrifty) exec=[\d.]+ms start=[\d.]+ms; (cheapest of 2|a look at one that is little known); (.*)$/.exec(
    entry(of, "call").text ?? "",
  );
  const [, by, why, how] = told ?? [];
  const quote = (await log.first({ msg: "run", parent: id })) as LogLine & { readonly run: string };
  expect(quote).toMatchObject({ task: by, pick: why });
  const { pick } = (await (await ask(`/-/runs/${quote.run}`)).json()) as { pick: { considered: { provider: string; score: number }[] } };
  expect(pick.considered.map(({ provider }) => provider).sort()).toEqual(PROVIDERS);
  expect(pick.considered[0]?.provider).toBe(by);
  if (why === "cheapest of 2") expect(pick.considered[0]?.score).toBe(1);

  // 4: nobody made it anew; it is the record of the run before, and took no instance.
  expect(how).toBe("record hit");
  expect(quote).toMatchObject({ record: "hit", recalls: earlier.find(({ task }) => task === by)?.["run"] });
  expect(quote).not.toHaveProperty("capacity");
  expect(quotes()).toHaveLength(3);

  // 5, 6, 7
  expect(entry(of, "expected").text).toBe("yes");
  expect(entry(of, "deferral").text).toMatch(/^now: .+; cost=[\d.]+( best=[\d.]+)?$/);
  expect(entry(of, "deferral")).toEqual(entry(before, "deferral"));
  expect(log.all({ msg: "deferred: accepted" }).map(({ run }) => run)).toEqual([id]);
  expect(entry(of, "instance").text).toBe("clean");

  // A price that changes: the record holds no more, and nobody is told what was.
  expect((await run("pilotlight stores put prices tea 900"))[0]?.exit).toBe(0);
  const dearer = await order();
  expect(entry(timing(dearer), "call").text).toMatch(/; clean; record stale$/);
  expect(await dearer.json()).toEqual({ ...answer, cents: answer.cents * 2 });
  await log.run(runOf(dearer));
  expect(quotes({ recordWhy: "kv:prices/tea changed" })).toHaveLength(1);
});
