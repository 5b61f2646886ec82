/** Asks a node: over HTTP, by the command line in this process or as a program, and as its operator. Gives all that was said, as text. */
import { execFile } from "node:child_process";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { ProblemError } from "../../../src/base/problem.js";
import { clientCommands } from "../../../src/cli/client-commands.js";
import { newCommand, ROOT } from "../../../src/cli/command.js";
import { report } from "../../../src/cli/failure.js";
import type { Input, Terminal } from "../../../src/cli/terminal.js";
import type { TenantSettings } from "../../../src/tenants/tenant.js";
import { PILOTLIGHT } from "../../support/paths.js";
import type { Answer, Client } from "../support/client.js";
import type { Names } from "./names.js";
import type { Place } from "./place.js";

interface Common {
  /** What it is, without names of things: violations are told and counted by it. */
  readonly about: string;
  /** The key that is shown, by its name (`acme:k0`); undefined: none. */
  readonly key: string | undefined;
  /** Answers that come right a little later: logs, and runs that settle. Only for what changes nothing. */
  readonly late?: boolean;
  /** Names to give to the key that is issued, or to the run. */
  readonly learn?: { readonly key: string } | { readonly run: string };
}

export interface HttpRequest extends Common {
  readonly kind: "http";
  readonly plane: "admin" | "data";
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

export interface Command extends Common {
  readonly kind: "cli";
  readonly args: readonly string[];
  readonly input?: string;
  readonly cwd: string;
  /** As a program of its own. */
  readonly program?: boolean;
}

/** What the operator does to a tenant. */
interface Operation extends Common {
  readonly kind: "operator";
  readonly tenant: string;
  /** Null: deletes it, and makes it again. */
  readonly settings: TenantSettings | null | "drain" | "resume";
}

export type Asking = HttpRequest | Command | Operation;

/** Everything that the answer said. */
export interface Said {
  readonly text: string;
  /** Of HTTP; 0 for others. */
  readonly status: number;
}

export async function ask(place: Place, client: Client, asking: Asking): Promise<Said> {
  switch (asking.kind) {
    case "http":
      return http(place, client, asking);
    case "cli":
      return cli(place, asking);
    case "operator":
      return operate(place, asking);
  }
}

/** How long a drained tenant's instances may take to go. */
const DRAINED_MS = 5000;

/** Of no interest: they say when and how, not what. */
const TRANSPORT = new Set(["date", "connection", "keep-alive", "content-length", "transfer-encoding"]);

async function http({ names, adminPort, dataPort }: Place, client: Client, asking: HttpRequest): Promise<Said> {
  const { plane, method, path, key, learn } = asking;
  const headers = Object.fromEntries(Object.entries(asking.headers ?? {}).map(([name, value]) => [name, names.fill(value)]));
  if (key !== undefined) headers["Pilotlight-Key"] = names.fill(`«${key}.text»`);
  const body = typeof asking.body === "string" ? Buffer.from(names.fill(asking.body)) : asking.body;
  const where = names.fill(path);
  const answer = await client.ask(plane === "admin" ? adminPort : dataPort, { method, path: where, headers, ...(body && { body }) });
  const text = textOf(answer);
  const { etag } = answer.headers;
  if (etag !== undefined) names.set(`etag ${path.split("?")[0]}`, etag);
  const next = /"next":"([^"]+)"/.exec(text)?.[1];
  if (next !== undefined) names.set(`next ${path.split("?")[0]}`, next);
  if (learn !== undefined && "run" in learn) names.set(learn.run, String(answer.headers["pilotlight-run"]));
  if (learn !== undefined && "key" in learn && answer.status === 201) learnKey(names, learn.key, answer.body.toString());
  return { text, status: answer.status };
}

function learnKey(names: Names, name: string, json: string): void {
  const { key, text } = JSON.parse(json) as { key: { id: string }; text: string };
  names.set(`${name}.id`, key.id);
  names.set(`${name}.text`, text);
}

/** Status, headers in order, and body. */
function textOf({ status, headers, body, ending }: Answer): string {
  const fields = Object.entries(headers).filter(([name]) => !TRANSPORT.has(name));
  const lines = fields.map(([name, value]) => `${name}: ${String(value)}`).sort();
  return [ending === "whole" ? String(status) : `${status}, broken off`, ...lines, "", body.toString("latin1")].join("\n");
}

async function cli(place: Place, asking: Command): Promise<Said> {
  const { names } = place;
  const args = asking.args.map((arg) => names.fill(arg));
  const env = {
    XDG_CONFIG_HOME: asking.cwd,
    PILOTLIGHT_URL: `http://127.0.0.1:${place.adminPort}/`,
    ...(asking.key === undefined ? {} : { PILOTLIGHT_KEY: names.fill(`«${asking.key}.text»`) }),
  };
  const ran = asking.program === true ? await asProgram(asking, args, env) : await inProcess(asking, args, env);
  const { learn } = asking;
  if (learn !== undefined && "key" in learn && ran.exit === 0) learnKey(names, learn.key, ran.stdout);
  return { text: `exit ${ran.exit}\n${ran.stdout}\n${ran.stderr}`, status: 0 };
}

interface Ran {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function inProcess({ cwd, input }: Command, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ran> {
  const said = { stdout: "", stderr: "" };
  const sink = (name: "stdout" | "stderr"): Terminal["stdout"] => ({
    isTTY: false,
    write: (chunk) => void (said[name] += typeof chunk === "string" ? chunk : Buffer.from(chunk).toString("latin1")),
  });
  const stdin: Input = Object.assign(Readable.from([Buffer.from(input ?? "")]), { isTTY: false });
  const { signal } = new AbortController();
  const terminal: Terminal = { cwd, env, stdout: sink("stdout"), stderr: sink("stderr"), stdin, interruption: () => signal };
  const program = newCommand(terminal, ROOT, "");
  for (const command of clientCommands(terminal)) program.addCommand(command);
  const exit = await program.parseAsync([...args], { from: "user" }).then(
    () => 0,
    (error: unknown) => report(terminal, error),
  );
  return { exit, ...said };
}

function asProgram({ cwd, input }: Command, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ran> {
  return new Promise((resolve) => {
    const options = { cwd, env: { PATH: process.env["PATH"], ...env } };
    const child = execFile(process.execPath, [PILOTLIGHT, ...args], options, (error, stdout, stderr) =>
      resolve({ exit: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
    child.stdin?.end(input ?? "");
  });
}

/** Resolves once a drained tenant has given back its cells: else it would be chance whether it has them when it is resumed. */
async function leftItsCells({ runtime: { control, operator } }: Place, name: string): Promise<void> {
  const has = (): boolean => control.cells(operator, {}).items.some(({ tenant, pool }) => tenant === name && pool !== "dedicated");
  for (const limit = performance.now() + DRAINED_MS; has() && performance.now() < limit;) await sleep(5);
}

async function operate(place: Place, { tenant, settings }: Operation): Promise<Said> {
  const { control, operator } = place.runtime;
  if (settings === "drain" || settings === "resume") {
    await control[settings](operator, tenant);
    if (settings === "drain") await leftItsCells(place, tenant);
    return { text: settings, status: 0 };
  }
  if (settings !== null) {
    try {
      await control.updateTenant(operator, tenant, settings, undefined);
    } catch (error) {
      // Its tasks need what would go.
      if (!(error instanceof ProblemError)) throw error;
      return { text: error.message, status: 0 };
    }
    return { text: "updated", status: 0 };
  }
  const { hosts } = control.tenant(operator, tenant);
  await control.deleteTenant(operator, tenant, undefined);
  await place.admit(tenant, { hosts });
  return { text: "made again", status: 0 };
}
