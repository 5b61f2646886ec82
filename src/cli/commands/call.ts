/** `call`: one function of a task, or of whoever provides a capability. */
import { type Command, InvalidArgumentError } from "commander";
import { UserError } from "../../base/errors.js";
import { connect, newCommand, nodeOptions, type NodeFlags, type Session } from "../command.js";
import { createDataClient, type FunctionSchema } from "../node-client.js";
import { printJson, remark } from "../output.js";
import type { Terminal } from "../terminal.js";

interface CallFlags extends NodeFlags {
  readonly prefer?: string;
  readonly explain?: true;
}

type DataClient = ReturnType<typeof createDataClient>;

export function callCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "call", "Calls a function of a task, or of whoever provides a capability, and prints its result.", [
    "call calc add 1 2",
    "call calc demo:math/calc#divide 7 2",
    `call acme:image/resize@1.2.0 resize '{"width": 80}'`,
    "call demo:text/words@1.0.0 count 'to be or not' --explain --prefer memory",
  ])
    .argument("<TARGET>", "a task, or a capability such as acme:image/resize@1.2.0")
    .argument("<FUNCTION>", "a function; INTERFACE#FUNCTION where the task has several of that name")
    .argument("[ARGS...]", "JSON values; what is no JSON is a string, and so is everything where the function takes a string")
    .option("--prefer <WHAT>", "what counts when a provider is chosen: time, memory, or time=0.7 for both", preference)
    .option("--explain", "also says, on stderr, where it ran, why there, and where the time went");
  return nodeOptions(command).action(async (target: string, named: string, args: string[], flags: CallFlags) => {
    const session = connect(terminal, flags);
    const client = await dataClient(session);
    const owner = await session.tenant();
    const to = await pathTo(client, owner, target, named);
    const body = argumentsText(await client.describe(to, owner), args);
    const headers: Record<string, string> = {
      accept: "application/json",
      ...(flags.prefer !== undefined && { "pilotlight-prefer": flags.prefer }),
      ...(flags.explain === true && { "pilotlight-explain": "1" }),
    };
    const { run, result, timing } = await client.call(to, owner, body, headers);
    if (flags.explain === true) remark(terminal, [`run ${run}`, ...explained(timing)].join("\n"));
    printJson(terminal, JSON.parse(result === "" ? "null" : result));
  });
}

/** The node's data plane, shown the same key. */
export async function dataClient(session: Session): Promise<DataClient> {
  const { dataUrl } = await session.whoami();
  if (dataUrl === undefined) throw new UserError(`the node at ${session.node.url} serves no data plane`);
  return createDataClient({ ...session.node, url: dataUrl }, session.signal);
}

/** The path of a function: of a capability as it is written, of a task as its own list has it. */
async function pathTo(client: DataClient, owner: string, target: string, named: string): Promise<string> {
  const [iface, name] = named.includes("#") ? (named.split("#", 2) as [string, string]) : ["", named];
  if (target.includes(":")) {
    if (iface !== "" && iface !== target)
      throw new UserError(`${target} is an interface already; give the function alone`, { exitCode: 2 });
    return `-/call/${target}/${encodeURIComponent(name)}`;
  }
  const base = `-/tasks/${encodeURIComponent(target)}`;
  if (iface !== "") return `${base}/${iface}/${encodeURIComponent(name)}`;
  const paths = (await client.functions(target, owner)).map((each) => decodeURIComponent(each));
  const found = paths.filter((each) => each.endsWith(`/${name}`)).map((each) => each.slice(`/${base}/`.length));
  if (found.length === 1) return `${base}/${found[0]}`;
  if (found.length > 1) {
    const names = found.map((each) => each.replace(/\/([^/]*)$/, "#$1"));
    throw new UserError(`${target} has several functions of that name; say which: ${names.join(", ")}`, { exitCode: 2 });
  }
  const names = paths.map((each) => each.split("/").at(-1));
  throw new UserError(
    paths.length === 0 ? `${target} has no function that can be called` : `${target} has no function ${name}; it has ${names.join(", ")}`,
  );
}

/** A JSON array. A string is taken as it is typed, whatever it looks like. */
function argumentsText({ parameters }: FunctionSchema, args: readonly string[]): string {
  const types = parameters.prefixItems ?? [];
  return `[${args.map((text, i) => (types[i]?.["type"] === "string" && !isQuoted(text) ? JSON.stringify(text) : jsonOr(text))).join(",")}]`;
}

function isQuoted(text: string): boolean {
  return /^"[\s\S]*"$/.test(text) && isJson(text);
}

function jsonOr(text: string): string {
  return isJson(text) ? text : JSON.stringify(text);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The entries of `Server-Timing`, each on a line of its own. */
function explained(timing: string | undefined): string[] {
  const entries = timing?.match(/(?:[^,"]|"(?:[^"\\]|\\.)*")+/g) ?? [];
  return entries.map((entry) => {
    const [, name = "", , value = ""] = /^\s*([^;]+);(desc|dur)=(.*)$/.exec(entry) ?? [];
    return `  ${name.padEnd(10)}${value.startsWith('"') ? (JSON.parse(value) as string) : `${value} ms`}`;
  });
}

function preference(text: string): string {
  if (!/^(?:time|memory|time=(?:0(?:\.\d+)?|1(?:\.0+)?))$/.test(text))
    throw new InvalidArgumentError("expected time, memory, or time=WEIGHT with a weight from 0 to 1.");
  return text;
}
