/** Calls by the command line alone, on a node with keys: the session of the README, as it stands there, and what is refused. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ROOT, tempDir } from "../support/files.js";
import { startProgram } from "../support/program.js";
import { readSession, runSession } from "../support/session.js";
import { until } from "../support/until.js";

const SESSION = readSession(join(ROOT, "README.md"), "<!-- session: calls -->", "<!-- end of the session of calls -->");

/** What differs from run to run: where it listens, run ids and times. */
function normal(output: string): string {
  return output
    .replace(/http:\/\/127\.0\.0\.1:\d+/g, "http://HOST:PORT")
    .replace(/\b[0-9a-f]{32}\b/g, "RUN")
    .replace(/\b[\d.]+ ?ms\b/g, "TIME")
    .replace(/own\/(ready|linked)|warming\/linked/g, "RUNG")
    .replace(/^ {2}why .*\n?/gm, "")
    .replace(/ +/g, " ");
}

it("the session of the README on calls goes as it says, and what is wrong is told", async () => {
  const config = tempDir();
  const node = await startProgram(["--admin", "127.0.0.1:0"], { cwd: tempDir(), env: { XDG_CONFIG_HOME: config } });
  await until("the node is in the user's list", () => existsSync(join(config, "pilotlight/nodes.json")));
  const run = (commands: readonly string[]) => runSession(commands, { XDG_CONFIG_HOME: config, PILOTLIGHT_CACHE: "" }, ROOT);

  const ran = await run(SESSION.map(({ command }) => command.replaceAll("http://127.0.0.1:8700", node.origin)));
  expect(ran.map(({ output }, i) => [SESSION[i]?.command, normal(output)])).toEqual(
    SESSION.map(({ command, output }) => [command, normal(output)]),
  );

  const keyOf = async (scope: string): Promise<string> => {
    const [made] = await run([`pilotlight keys create --scope ${scope}`]);
    return /pl_\S+/.exec(made?.output ?? "")?.[0] ?? expect.fail(made?.output);
  };
  const wrong = await run([
    "pilotlight call calc nope",
    "pilotlight call calc add 1",
    "pilotlight call nobody add 1 2",
    "pilotlight call demo:math/other@1.0.0 add 1 2",
    "pilotlight call calc add 1 2 --prefer speed",
    "pilotlight runs show 00000000000000000000000000000000",
    "pilotlight deploy examples/calls/relay --name calc",
  ]);
  expect(wrong.map(({ exit, output }) => [exit, output.split("\n")[0]])).toEqual([
    [1, expect.stringMatching(/^pilotlight: calc has no function nope; it has add, stats, /)],
    [1, "pilotlight: The arguments do not fit the function: Missing argument b; the parameters are a, b."],
    [1, expect.stringMatching(/^pilotlight: No task answers here: There is no task "nobody" that this request may call/)],
    [1, "pilotlight: No task provides this: No task that this call may reach provides demo:math/other@1.0.0."],
    [2, expect.stringMatching(/--prefer/)],
    [1, expect.stringMatching(/^pilotlight: No such run: /)],
    [expect.any(Number), expect.any(String)],
  ]);
  const [admin, reader] = [await keyOf("admin"), await keyOf("read")];
  const ask = async (path: string, key: string | undefined): Promise<unknown[]> => {
    const headers = { "content-type": "application/json", ...(key !== undefined && { authorization: `Bearer ${key}` }) };
    const response = await fetch(`${node.origin}/-/${path}`, { method: "POST", headers, body: "[1,2]" });
    const body = (await response.json()) as { type?: string };
    return [response.status, typeof body === "object" ? body.type?.replace("https://pilotlight.dev/problems/", "") : body];
  };
  for (const path of ["tasks/calc/demo:math/calc/add", "call/demo:math/calc/add"]) {
    expect(await ask(path, admin)).toEqual([200, 3]);
    // The task is public: its routes are, and calls are not.
    expect(await ask(path, undefined)).toEqual([401, "request/unauthorized"]);
    expect(await ask(path, "pl_wrong")).toEqual([401, "request/unauthorized"]);
    expect(await ask(path, reader)).toEqual([403, "request/forbidden"]);
  }
  const [created, key, open] = await run([
    "pilotlight tenants create acme",
    "pilotlight keys create --tenant acme --scope read",
    "pilotlight capabilities --tenant acme",
  ]);
  expect([created?.exit, key?.exit]).toEqual([0, 0]);
  // What others' tasks have to do is theirs.
  expect(open?.output.split("\n").at(-1)).toMatch(/^demo:math\/calc +default +calc v1 +100% +- +- +- +-$/);
  expect((await node.program.stop()).exit).toBe(0);
}, 60_000);
