/** Capacity by the command line alone: the session of the README, as it stands there, and what it leaves behind. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ROOT, tempDir } from "../support/files.js";
import { startProgram } from "../support/program.js";
import { readSession, runSession } from "../support/session.js";
import { until } from "../support/until.js";

const [BEGIN, END] = ["<!-- session: capacity -->", "<!-- end of the session of capacity -->"];
const README = join(ROOT, "README.md");
const SESSION = readSession(README, BEGIN, END);
/** The configuration that the session is for. */
const CONFIG = /```json\n([^`]*)```\n\n<!-- session: capacity -->/.exec(readFileSync(README, "utf8"))?.[1] as string;
const HELLO = "examples/rust-hello/rust-hello.wasm";

/** What differs from run to run: where it listens, what is measured, and what is made ahead of requests. */
function normal(output: string): string {
  return output
    .replace(/http:\/\/127\.0\.0\.1:\d+/g, "http://HOST:PORT")
    .replace(/ +/g, " ")
    .replace(/ $/gm, "")
    .replace(/\b[\d.]+[KM]?i?B\/([\d.]+MiB) (\d+) \S+ /g, "HELD/$1 $2 IDLE ")
    .replace(/, [\d.]+[KM]?i?B of/g, ", SOME of")
    .replace(/\b[\d.e-]+ms,[\d.e-]+ms [\d.e-]+ [\d.e-]+$/gm, "WAIT GIB-S COST")
    .replace(/ \d+(ms|s|m)( \S+)?$/gm, " TIME$2");
}

it("the session of the README on capacity goes as it says", async () => {
  const config = tempDir();
  const cwd = tempDir({ "pilotlight.config.json": CONFIG });
  const node = await startProgram(["--admin", "127.0.0.1:0"], { cwd, env: { XDG_CONFIG_HOME: config } });
  await until("the node is in the user's list", () => existsSync(join(config, "pilotlight/nodes.json")));
  const folder = tempDir({ [HELLO]: readFileSync(join(ROOT, HELLO)) });
  const run = (commands: readonly string[]) => runSession(commands, { XDG_CONFIG_HOME: config, PILOTLIGHT_CACHE: "" }, folder);

  const ran = await run(SESSION.map(({ command }) => command.replaceAll("http://127.0.0.1:8700", node.origin)));
  expect(ran.map(({ output }, i) => [SESSION[i]?.command, normal(output)])).toEqual(
    SESSION.map(({ command, output }) => [command, normal(output)]),
  );
  for (const step of ran) expect(step).toMatchObject({ exit: 0 });

  const [pools, advice, none, tooMany] = await run([
    "pilotlight cells pools",
    "pilotlight usage --advise --tenant acme",
    "pilotlight cells drain 3",
    "pilotlight tenants set globex --dedicated 30",
  ]);
  expect(pools).toMatchObject({ exit: 0, output: ran.find(({ command }) => command.startsWith("pilotlight cells set"))?.output });
  expect(advice?.output.split("\n").map((line) => line.split(/ {2,}/).slice(0, 4))).toEqual([
    ["TASK", "FIELD", "SET", "SUGGESTED"],
    ["hello", "limits.memory", "128MiB", "?"],
    ["hello", "limits.timeout", "30s", "?"],
    ["hello", "limits.concurrency", "200", "?"],
    ["hello", "capacity.pool", "dedicated", "?"],
    ["hello", "capacity.ready", "0", "?"],
    ["(acme)", "dedicated", "2", "?"],
  ]);
  expect(none).toMatchObject({ exit: 1, output: "pilotlight: There is no such thing: There is no cell 3." });
  expect(tooMany).toMatchObject({
    exit: 1,
    output: expect.stringContaining("acme 2 + globex 30 dedicated cells of 128MiB come to 4GiB; the node has 3.5GiB for cells"),
  });
  expect((await node.program.stop()).exit).toBe(0);
}, 60_000);
