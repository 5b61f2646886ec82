/** Sidecars by the command line alone, on a node with keys: what there is, one of one's own, the operator's, debug and pause. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ROOT, tempDir } from "../support/files.js";
import { startProgram } from "../support/program.js";
import { runSession } from "../support/session.js";
import { until } from "../support/until.js";

it("a component is added, used, required and replaced; a caller with debug sees what others do not; a run pauses", async () => {
  const config = tempDir();
  const node = await startProgram(["--admin", "127.0.0.1:0"], { cwd: tempDir(), env: { XDG_CONFIG_HOME: config } });
  await until("the node is in the user's list", () => existsSync(join(config, "pilotlight/nodes.json")));
  const run = (...commands: string[]) => runSession(commands, { XDG_CONFIG_HOME: config, PILOTLIGHT_CACHE: "" }, ROOT);

  const folder = tempDir();
  const manifest = {
    name: "shop",
    component: join(ROOT, "guests/behave-p3/behave-p3.wasm"),
    routes: ["/*"],
    sidecars: [{ use: "mine", config: { log: true } }],
  };
  writeFileSync(join(folder, "pilotlight.json"), JSON.stringify(manifest));
  const [before, added, deployed, listed, required, wrong] = await run(
    "pilotlight sidecars",
    "pilotlight sidecars add guests/bystander/bystander.wasm --name mine --scope task",
    `pilotlight deploy ${folder}`,
    "pilotlight sidecars --json",
    "pilotlight tenants set default --sidecar headers",
    `pilotlight tenants set default --sidecar '{"use": "headers", "scope": "world"}'`,
  );
  expect(before?.output).toMatch(/^SIDECAR +VERSION +FROM +SCOPE +SIZE +STANDING +USED BY +ABOUT$/m);
  for (const name of ["debug", "headers", "log-access", "log-redact"])
    expect(before?.output).toMatch(new RegExp(`^${name} +1\\.0\\.0 +pilotlight +(task|request) +[\\d.]+ ?KiB +0 +- +\\S`, "m"));
  expect(added).toMatchObject({ exit: 0 });
  expect(added?.output).toContain('mine v1 is live; a manifest has it by:\n  "sidecars": [{ "use": "mine" }]');
  expect(deployed).toMatchObject({ exit: 0 });
  const views = JSON.parse(listed?.output ?? "") as { name: string; from: string; usedBy: string[]; scope: string }[];
  expect(views.find(({ name }) => name === "mine")).toMatchObject({ from: "tenant", scope: "task", usedBy: ["shop"] });
  expect(required).toMatchObject({ exit: 0 });
  expect(wrong).toMatchObject({ exit: 1, output: expect.stringContaining('sidecars[0].scope: expected "request", "task" or "tenant"') });

  const answer = await fetch(`${node.origin}/log`);
  expect([answer.status, answer.headers.get("x-bystander"), answer.headers.get("x-content-type-options")]).toEqual([
    200,
    "was here",
    "nosniff",
  ]);
  await answer.text();

  const keys = await run("pilotlight keys create --scope debug", "pilotlight keys create --scope invoke");
  const [debug, invoke] = keys.map(({ output }) => /pl_\S+/.exec(output)?.[0] as string);
  const lines = async (key: string | undefined): Promise<string | null> => {
    const headers = { "pilotlight-debug": "1", ...(key !== undefined && { "pilotlight-key": key }) };
    const asked = await fetch(`${node.origin}/log`, { headers });
    await asked.text();
    return asked.headers.get("pilotlight-log");
  };
  expect(await lines(undefined)).toBeNull();
  expect(await lines(invoke)).toBeNull();
  expect(await lines(debug)).toMatch(/stdout; -; a line on stdout/);

  const slow = await fetch(`${node.origin}/slow?pieces=20&ms=50`);
  const id = slow.headers.get("pilotlight-run") as string;
  const [paused, again] = await run(`pilotlight runs pause ${id}`, `pilotlight runs pause ${id}`);
  expect(paused).toMatchObject({ exit: 0, output: `run ${id} is paused` });
  expect(again).toMatchObject({ exit: 1, output: expect.stringContaining("is paused already") });
  const [resumed] = await run(`pilotlight runs resume ${id}`);
  expect(resumed).toMatchObject({ exit: 0, output: `run ${id} goes on` });
  expect(await slow.text()).toContain("data: 19");
  const [shown, gone] = await run(`pilotlight runs show ${id}`, `pilotlight runs pause ${id}`);
  expect(shown?.output).toMatch(/^AT +OF +MOVE +TOOK +FAILED$/m);
  expect(shown?.output).toMatch(/main +pause +[\d.]+ ms[^]*mine +pause[^]*mine +resume[^]*main +resume +[\d.]+ ms/);
  expect(gone).toMatchObject({ exit: 1, output: expect.stringContaining("of the tenant goes on here") });
  const [used] = await run("pilotlight tasks delete mine --yes");
  expect(used).toMatchObject({ exit: 1, output: expect.stringContaining('named in "uses" or "sidecars" by shop') });
  expect((await node.program.stop()).exit).toBe(0);
}, 120_000);
