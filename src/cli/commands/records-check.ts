/**
 * `records check`: whether a task is as idempotent as its manifest says. The same request is made some times, each has to run,
 * and all answers are set beside the first.
 */
import { type Command, InvalidArgumentError } from "commander";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { UserError } from "../../base/errors.js";
import { connect, newCommand, nodeOptions, wholeNumber, type NodeFlags, type Session } from "../command.js";
import { difference, type Difference } from "../compare.js";
import type { Incoming, Outgoing } from "../exchange.js";
import { refusal } from "../failure.js";
import { printJson, printLine, progress, size } from "../output.js";
import type { Terminal } from "../terminal.js";
import { dataClient } from "./call.js";

interface CheckFlags extends NodeFlags {
  readonly runs: number;
  readonly path?: string;
  readonly method?: string;
  readonly header?: readonly (readonly [string, string])[];
  readonly data?: string;
  readonly function?: string;
  readonly args?: string;
}

type DataClient = Awaited<ReturnType<typeof dataClient>>;

/** What all of it came to, as `--json` prints it. */
interface Checked {
  readonly task: string;
  readonly runs: number;
  readonly equal: boolean;
  readonly first: { readonly run: string; readonly status: number; readonly bytes: number };
  /** `answer`: counted from 1. */
  readonly differences: readonly ({ readonly answer: number; readonly run: string } & Difference)[];
  /** Why such runs leave no record, as far as their answers say so. */
  readonly unrecorded: readonly string[];
}

const MOST = 1000;
const USUAL = 3;

export function checkCommand(terminal: Terminal): Command {
  const about =
    "Makes the same request some times, has each run, and compares the answers: a task that is idempotent gives the same. Exits 1 where it does not.";
  const command = newCommand(terminal, "records check", about, [
    "records check thumbs --path /thumbs/7 --runs 20",
    "records check search --method POST --header 'content-type: application/json' --data @query.json",
    "records check calc --function demo:math/calc@1.0.0#add --args '[1, 2]'",
  ])
    .argument("<TASK>", "the task")
    .option("--runs <N>", `how often, 2 to ${MOST} (default: ${USUAL})`, runsArgument, USUAL)
    .option("--path <PATH>", "on the data plane, with the query (default: the task's first URL)", pathArgument)
    .option("--method <METHOD>", "the method (default: GET; with --data, POST)", methodArgument)
    .option("--header <LINE>", "a header, such as 'accept: image/png' (repeatable)", headerArgument)
    .option("--data <TEXT>", "the body; @FILE for what a file holds")
    .option("--function <NAME>", "calls a function instead: INTERFACE#FUNCTION")
    .option("--args <JSON>", "the function's arguments, an array or an object by their names (default: [])");
  return nodeOptions(command).action(async (task: string, flags: CheckFlags) => {
    checkFlags(flags);
    const session = connect(terminal, flags);
    const client = await dataClient(session);
    const request = await requestOf(terminal, session, task, flags);
    const checked = await progress(terminal, `asking ${task} ${flags.runs} times`, () => check(client, task, request, flags));
    if (flags.json === true) printJson(terminal, checked);
    else print(terminal, checked);
    const { equal, differences, runs } = checked;
    if (!equal) throw new UserError(`${task} is not idempotent: ${differences.length} of ${runs} answers differ from the first`);
  });
}

/** Sends it that often, one after the other. Of the answers only the first is kept. */
async function check(client: DataClient, task: string, request: Outgoing, { runs, path }: CheckFlags): Promise<Checked> {
  const first = await client.exchange(request);
  refuseProblem(first);
  if (path !== undefined) await checkTask(client, task, path, runOf(first));
  const why = new Set(whyUnrecorded(first));
  const differences: ({ answer: number; run: string } & Difference)[] = [];
  for (let answer = 2; answer <= runs; answer++) {
    const other = await client.exchange(request);
    for (const each of whyUnrecorded(other)) why.add(each);
    const found = difference(first, other);
    if (found !== undefined) differences.push({ answer, run: runOf(other), ...found });
  }
  if (request.path.startsWith("/-/")) why.delete(UNMARKED);
  return {
    task,
    runs,
    equal: differences.length === 0,
    first: { run: runOf(first), status: first.status, bytes: first.body.byteLength },
    differences,
    unrecorded: [...why],
  };
}

/** A problem of ours is no answer of the task, and names its run, so that no two are equal. */
function refuseProblem({ status, headers, body }: Incoming): void {
  if (headers.get("content-type")?.[0] !== "application/problem+json") return;
  const error = refusal(status, body.toString());
  if (error.code !== undefined) throw error;
}

/** The path may be another task's. What a node does not tell of this is left alone. */
async function checkTask(client: DataClient, task: string, path: string, run: string): Promise<void> {
  const ran = await client.run(run).catch(() => undefined);
  if (typeof ran?.["task"] === "string" && ran["task"] !== task)
    throw new UserError(`${path} is answered by ${ran["task"]}, not by ${task}; give a path of ${task}`, { exitCode: 2 });
}

function runOf({ headers }: Incoming): string {
  return headers.get("pilotlight-run")?.[0] ?? "-";
}

async function requestOf(terminal: Terminal, session: Session, task: string, flags: CheckFlags): Promise<Outgoing> {
  const own: [string, string][] = [
    ["pilotlight-key", session.node.key],
    // Else the second answer is the first.
    ["cache-control", "no-cache"],
  ];
  if (flags.function !== undefined) {
    const path = `/-/tasks/${[task, ...flags.function.split(/[/#]/)].map(encodeURIComponent).join("/")}`;
    const tenant = new URLSearchParams({ tenant: await session.tenant() }).toString();
    const json: [string, string] = ["content-type", "application/json"];
    return { method: "POST", path: `${path}?${tenant}`, headers: [...own, json], body: Buffer.from(flags.args ?? "[]") };
  }
  const body = flags.data === undefined ? undefined : await dataOf(terminal, flags.data);
  const to = flags.path === undefined ? await firstUrl(session, task) : { path: flags.path, host: undefined };
  const said = flags.header ?? [];
  const names = new Set(said.map(([name]) => name.toLowerCase()));
  const host = to.host === undefined ? [] : [["host", to.host] as const];
  // Another key, or another host, is what the check may be about.
  const ours = [...own, ...host].filter(([name]) => !names.has(name));
  return {
    method: flags.method ?? (body === undefined ? "GET" : "POST"),
    path: to.path,
    headers: [...ours, ...said],
    body,
  };
}

/** It goes to the node's own address, whatever host the URL names: that one may lead elsewhere, or nowhere yet. */
async function firstUrl(session: Session, task: string): Promise<{ readonly path: string; readonly host: string }> {
  const [url] = (await session.client.task(await session.tenant(), task)).urls;
  if (url === undefined)
    throw new UserError(`no route leads to ${task}; call one of its functions with --function, or give a --path`, { exitCode: 2 });
  const { pathname, host } = new URL(url);
  return { path: pathname, host };
}

async function dataOf(terminal: Terminal, data: string): Promise<Uint8Array> {
  if (!data.startsWith("@")) return Buffer.from(data);
  const file = resolve(terminal.cwd, data.slice(1));
  return await readFile(file).catch((error: Error) => {
    throw new UserError(`${file} cannot be read: ${error.message}`, { cause: error });
  });
}

function checkFlags({ function: called, args, path, method, header, data }: CheckFlags): void {
  if (called === undefined) {
    if (args !== undefined) throw new UserError("--args goes with --function", { exitCode: 2 });
    return;
  }
  if ([path, method, header, data].some((said) => said !== undefined))
    throw new UserError("--function is a request of its own; --path, --method, --header and --data go without it", { exitCode: 2 });
  try {
    JSON.parse(args ?? "[]");
  } catch {
    throw new UserError("--args is no JSON", { exitCode: 2 });
  }
}

/** What the words of `Cache-Status` (`src/memo/policy.ts`) mean, and what in a manifest accepts it. */
const WORDS: Readonly<Record<string, readonly [says: string, allow?: string]>> = {
  clock: ["they read the time of day", "clock"],
  random: ["they draw random numbers", "random"],
  wrote: ["they write to a store"],
  sockets: ["they use sockets", "sockets"],
  request: ["they send requests other than GET and HEAD", "requests"],
  outbound: ["they do not read an answer to its end that has no ETag"],
  import: ["they call a function of the embedder", "imports"],
  sidecar: ["a sidecar that they use does not say what it depends on"],
  body: ["the request's body is longer than what records are looked up by"],
};
/** What an answer says itself of being kept. */
const OF_ANSWERS = { cookie: "they set a cookie (set-cookie)", noStore: "their answers say so (Cache-Control: no-store)" };
const UNMARKED = "the manifest does not mark the task as idempotent";

function whyUnrecorded(answer: Incoming): string[] {
  const { status, headers } = answer;
  return [
    ...ofCacheStatus(answer),
    ...(status >= 500 ? [`they fail (status ${status})`] : []),
    ...(headers.has("set-cookie") ? [OF_ANSWERS.cookie] : []),
    ...((headers.get("cache-control") ?? []).some((value) => /\bno-store\b/i.test(value)) ? [OF_ANSWERS.noStore] : []),
  ];
}

function ofCacheStatus({ headers }: Incoming): string[] {
  const [, own] = /(?:^|,)\s*pilotlight((?:[^,"]|"(?:[^"\\]|\\.)*")*)/.exec((headers.get("cache-status") ?? []).join(", ")) ?? [];
  if (own === undefined) return [UNMARKED];
  const [, detail] = /;\s*detail="((?:[^"\\]|\\.)*)"/.exec(own) ?? [];
  if (detail === undefined) return [];
  return detail.split(/[;,] /).map((word) => {
    const [says, allow] = WORDS[word] ?? [];
    if (says === undefined) return word;
    return allow === undefined ? `${says} (${word})` : `${says} (${word}); "idempotent": { "allow": ["${allow}"] } takes that as it is`;
  });
}

function print(terminal: Terminal, { runs, equal, first, differences, unrecorded }: Checked): void {
  if (equal) printLine(terminal, `all ${runs} answers were equal: status ${first.status}, ${size(first.bytes)} of body`);
  const [found] = differences;
  if (found !== undefined) printDifference(terminal, first.run, found);
  for (const why of unrecorded) printLine(terminal, `such runs leave no record: ${why}`);
}

function printDifference(terminal: Terminal, first: string, found: Checked["differences"][number]): void {
  printLine(terminal, `answer ${found.answer} (run ${found.run}) differs from the first (run ${first}):`);
  if (found.status !== undefined) printLine(terminal, `  status: ${found.status[0]}, then ${found.status[1]}`);
  for (const { name, first: before, other } of found.headers ?? [])
    printLine(terminal, `  header ${name}: ${before ?? "none"}, then ${other ?? "none"}`);
  const { body } = found;
  if (body !== undefined)
    printLine(terminal, `  body from byte ${body.byte} on: ${JSON.stringify(body.first)}, then ${JSON.stringify(body.other)}`);
}

function runsArgument(text: string): number {
  const runs = wholeNumber(text);
  if (runs < 2 || runs > MOST) throw new InvalidArgumentError(`expected a whole number from 2 to ${MOST}.`);
  return runs;
}

function pathArgument(text: string): string {
  if (!/^\/[!-~]*$/.test(text)) throw new InvalidArgumentError("expected a path as it goes over the wire, such as /thumbs/7?size=2.");
  return text;
}

function methodArgument(text: string): string {
  if (!/^[A-Za-z-]+$/.test(text)) throw new InvalidArgumentError("expected a method such as POST.");
  return text.toUpperCase();
}

function headerArgument(text: string, before: readonly (readonly [string, string])[] = []): (readonly [string, string])[] {
  const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~]*)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new InvalidArgumentError("expected NAME: VALUE, such as 'accept: image/png'.");
  if (name.toLowerCase() === "cache-control") throw new InvalidArgumentError("every request of a check has to run; leave it out.");
  return [...before, [name, value] as const];
}
