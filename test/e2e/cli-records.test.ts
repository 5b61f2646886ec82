/** Records by the command line alone, on a node with keys: listed, looked into, checked and let go of, and gone with their task. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ROOT, tempDir } from "../support/files.js";
import { startProgram } from "../support/program.js";
import { runSession } from "../support/session.js";
import { until } from "../support/until.js";

const PATH = "/get?key=a&store=default";

it("what is recorded is listed, shown, checked, and let go of by task, by what it has read, and with its task", async () => {
  const config = tempDir();
  const node = await startProgram(["--admin", "127.0.0.1:0"], { cwd: tempDir(), env: { XDG_CONFIG_HOME: config } });
  await until("the node is in the user's list", () => existsSync(join(config, "pilotlight/nodes.json")));
  const run = (...commands: string[]) => runSession(commands, { XDG_CONFIG_HOME: config, PILOTLIGHT_CACHE: "" }, ROOT);
  const guest = (name: string, file: string, more: object): string => {
    const manifest = { name, component: join(ROOT, `guests/${file}/${file}.wasm`), idempotent: {}, ...more };
    return tempDir({ "pilotlight.json": JSON.stringify(manifest) });
  };
  const kv = guest("kv", "kv-draft2", { routes: ["/*"], stores: ["default"] });
  const calc = guest("calc", "calc", {});
  const ready = await run(`pilotlight deploy ${kv}`, `pilotlight deploy ${calc}`, "pilotlight stores put default a 1");
  expect(ready.map(({ exit, output }) => [exit, output])).toEqual(ready.map(() => [0, expect.any(String)]));

  const ask = async (path = PATH): Promise<string | null> => {
    const answer = await fetch(`${node.origin}${path}`);
    await answer.text();
    return answer.headers.get("cache-status");
  };
  expect([await ask(), await ask()]).toEqual(["pilotlight; fwd=miss", expect.stringMatching(/^pilotlight; hit;/)]);

  const [listed, json, other, entry] = await run(
    "pilotlight records",
    "pilotlight records kv --reads kv:default/a --json",
    "pilotlight records --reads kv:default/b",
    "pilotlight stores list default --json",
  );
  const heading = /^KEY +TASK +VERSION +ASKED +STATUS +SIZE +RUN TOOK +HITS +READS +RECORDED$/m;
  expect(listed?.output).toMatch(heading);
  expect(listed?.output).toMatch(/^[0-9a-f]{12} +kv +v1 +GET \/get\?key=a&store=default +200 +\S+ +[\d.]+ ms +1 +1 +\d{4}-/m);
  const [record] = JSON.parse(json?.output ?? "") as { key: string; run: string; hits: number }[];
  expect(record).toMatchObject({ task: "kv", hits: 1, dependencies: 1, status: 200 });
  expect(other).toMatchObject({ exit: 0, output: "there are no such records" });
  const [{ revision }] = JSON.parse(entry?.output ?? "") as [{ revision: number }];
  const [shown, wrong] = await run(`pilotlight records show ${record?.key.slice(0, 8)}`, "pilotlight records show 00000000");
  expect(shown?.output).toMatch(new RegExp(`^has read +kv:default/a @ ${revision}$`, "m"));
  expect(shown?.output).toContain(record?.run);
  expect(wrong).toMatchObject({ exit: 1, output: "pilotlight: There is no such thing: There is no record 00000000." });

  const [equal, call, writes, fails, lost] = await run(
    `pilotlight records check kv --path '${PATH}' --runs 5`,
    "pilotlight records check calc --function demo:math/calc#add --args '[1, 2]' --json",
    "pilotlight records check kv --path '/increment?key=n&store=default'",
    "pilotlight records check kv --path '/none?key=a'",
    "pilotlight records check calc --path /get",
  );
  expect(equal).toMatchObject({ exit: 0, output: "all 5 answers were equal: status 200, 1B of body" });
  expect(JSON.parse(call?.output ?? "")).toMatchObject({ task: "calc", runs: 3, equal: true, first: { status: 200 }, differences: [] });
  expect(writes?.exit).toBe(1);
  expect(writes?.output).toMatch(/^answer 2 \(run \w{32}\) differs from the first \(run \w{32}\):$/m);
  expect(writes?.output).toMatch(/^ {2}body from byte 0 on: "1", then "2"$/m);
  expect(writes?.output).toContain("such runs leave no record: they write to a store (wrote)\n");
  expect(writes?.output).toContain("kv is not idempotent: 2 of 3 answers differ from the first");
  expect(fails).toMatchObject({ exit: 0, output: expect.stringContaining("such runs leave no record: they fail (status 500)") });
  expect(lost).toMatchObject({ exit: 2, output: "pilotlight: /get is answered by kv, not by calc; give a path of calc" });

  const steps = ["pilotlight records purge kv", "pilotlight records purge --reads task:none", "pilotlight audit --json"];
  const [purged, none, audit] = await run(...steps);
  expect([purged?.output, none?.output]).toEqual(["purged 1 record", "there were no such records"]);
  expect(audit?.output).toContain("records of task kv");
  expect(await ask()).toBe("pilotlight; fwd=miss");
  const [deleted, left] = await run("pilotlight tasks delete kv --yes", "pilotlight records kv --json");
  expect([deleted?.exit, left?.output]).toEqual([0, "[]"]);
  expect((await node.program.stop()).exit).toBe(0);
}, 120_000);
