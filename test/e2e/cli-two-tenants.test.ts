/** Two tenants on one node, by the command line alone: the session of the README, as it stands there. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ROOT, tempDir } from "../support/files.js";
import { startProgram } from "../support/program.js";
import { readSession, runSession, type RanStep } from "../support/session.js";
import { until } from "../support/until.js";

const SESSION = readSession(join(ROOT, "README.md"), "<!-- session: two tenants -->", "<!-- end of session -->");

/** What differs from run to run: where it listens, ids, and what a build took. */
function normal(output: string): string {
  return output
    .replace(/http:\/\/127\.0\.0\.1:\d+/g, "http://HOST:PORT")
    .replace(/^key \S+ of/gm, "key ID of")
    .replace(/\d+ KiB in [\d.]+ s$/gm, "SIZE in TIME");
}

it("the two-tenant session of the README goes as it says", async () => {
  const config = tempDir();
  const node = await startProgram(["--admin", "127.0.0.1:0"], { cwd: tempDir(), env: { XDG_CONFIG_HOME: config } });
  const list = join(config, "pilotlight/nodes.json");
  await until("the node is in the user's list", () => existsSync(list));

  const commands = SESSION.map(({ command }) => command.replaceAll("http://127.0.0.1:8700", node.origin));
  const ran = await runSession(commands, { XDG_CONFIG_HOME: config, PILOTLIGHT_CACHE: "" });

  expect(ran.map(({ output }, i) => [SESSION[i]?.command, normal(output)])).toEqual(
    SESSION.map(({ command, output }) => [command, normal(output)]),
  );
  const refused = ran.filter(({ output }) => output.includes("There is no such thing"));
  expect(refused).toHaveLength(3);
  for (const step of ran) expect(step).toMatchObject({ exit: refused.includes(step) ? 1 : 0 });
  expectNoTrace(ran);
  expect((await node.program.stop()).exit).toBe(0);
}, 180_000);

/** Globex is shown nothing of acme's beyond the names that it asked for itself, and nobody is shown the secret. */
function expectNoTrace(ran: readonly RanStep[]): void {
  const globex = ran.slice(ran.findIndex(({ command }) => command.includes("PILOTLIGHT_KEY=$GLOBEX")));
  expect(globex.length).toBeGreaterThan(4);
  for (const { output } of globex) expect(output).not.toMatch(/API_TOKEN|\bv\d|Hello|hello/);
  const about = (tenant: string): string | undefined =>
    globex.find(({ command }) => command.endsWith(`--tenant ${tenant}`))?.output.replaceAll(tenant, "TENANT");
  expect(about("acme")).toBe(about("nobody") ?? "no such step");
  for (const { output } of ran) expect(output).not.toMatch(/s3cret|pl_/);
}
