/** `deferred`: runs that answer later, and queues, whose messages are such runs. */
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { Option } from "commander";
import { UserError } from "../../base/errors.js";
import { JOB_STATES } from "../../control/deferred.js";
import type { DeferredDetail, DeferredQuery, DeferredView, WeighedView } from "../../control/control.js";
import { connect, newCommand, nodeOptions, positiveNumber, type NodeFlags } from "../command.js";
import { printFields, printJson, printTable, remark, size } from "../output.js";
import type { Terminal } from "../terminal.js";

const MOST = 100;

interface ListFlags extends NodeFlags {
  readonly state?: DeferredQuery["state"];
  readonly dead?: true;
  readonly queue?: string;
  readonly limit: number;
}

export function deferredCommand(terminal: Terminal): Command {
  const command = listOptions(
    newCommand(terminal, "deferred", "Lists runs that answer later: accepted requests, ticks, messages, written keys. The latest first.", [
      "deferred",
      "deferred thumbs --state waiting",
      "deferred --dead                          what failed as often as it may",
    ]),
    terminal,
  );
  const list = newCommand(terminal, "deferred list", "The same: for tasks that have the name of a command of deferred.", [
    "deferred list show",
  ]);
  return command
    .addCommand(listOptions(list, terminal))
    .addCommand(showCommand(terminal))
    .addCommand(cancelCommand(terminal))
    .addCommand(redriveCommand(terminal))
    .addCommand(queuesCommand(terminal))
    .addCommand(sendCommand(terminal));
}

function listOptions(command: Command, terminal: Terminal): Command {
  command
    .argument("[TASK]", "the task whose runs to list")
    .addOption(new Option("--state <STATE>", "only those that are so far").choices(JOB_STATES))
    .option("--dead", "only dead letters")
    .option("--queue <NAME>", "only messages of this queue")
    .option("--limit <N>", `at most so many (default: ${MOST})`, positiveNumber, MOST);
  return nodeOptions(command).action(async (task: string | undefined, { state, dead, queue, ...flags }: ListFlags) => {
    const { client, tenant } = connect(terminal, flags);
    const runs = await client.deferred(await tenant(), { task, state, dead, queue }, flags.limit);
    if (flags.json === true) return printJson(terminal, runs);
    const rows = runs.map((run) => [run.id, run.task ?? run.capability ?? "-", stateOf(run), run.origin, String(run.starts), whenOf(run)]);
    printTable(terminal, ["RUN", "TASK", "STATE", "BY", "STARTS", "WHEN"], rows, "there are no such runs");
    if (runs.length === flags.limit) remark(terminal, `these are ${flags.limit}; there may be more (--limit)`);
  });
}

function showCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "deferred show", "How far a run is, and why it starts when it does, with both figures.", [
    "deferred show 5f0c…",
  ]).argument("<RUN>", "its id");
  return nodeOptions(command).action(async (id: string, flags: NodeFlags) => {
    const { client, tenant } = connect(terminal, flags);
    show(terminal, flags, await client.deferredRun(await tenant(), id));
  });
}

function cancelCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "deferred cancel", "Calls a run off, while it waits or runs.", ["deferred cancel 5f0c…"]).argument(
    "<RUN>",
    "its id",
  );
  return nodeOptions(command).action(async (id: string, flags: NodeFlags) => {
    const { client, tenant } = connect(terminal, flags);
    show(terminal, flags, await client.cancelDeferred(await tenant(), id));
  });
}

interface RedriveFlags extends NodeFlags {
  readonly dead?: true;
  readonly task?: string;
  readonly queue?: string;
}

function redriveCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "deferred redrive", "Has what failed, was interrupted or called off run again.", [
    "deferred redrive 5f0c…",
    "deferred redrive --dead --queue mails",
  ])
    .argument("[RUN]", "its id")
    .option("--dead", "all dead letters")
    .option("--task <NAME>", "of those, only this task's")
    .option("--queue <NAME>", "of those, only this queue's");
  return nodeOptions(command).action(async (id: string | undefined, { dead, task, queue, ...flags }: RedriveFlags) => {
    if ((id === undefined) !== (dead === true)) throw new UserError("say which: a RUN, or --dead for all dead letters", { exitCode: 2 });
    const { client, tenant } = connect(terminal, flags);
    if (id !== undefined) return show(terminal, flags, await client.redrive(await tenant(), id));
    const done = await client.redriveAll(await tenant(), { task, queue });
    if (flags.json === true) return printJson(terminal, done);
    remark(terminal, done.redriven === 0 ? "there were no such dead letters" : `${done.redriven} wait again`);
  });
}

function queuesCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "deferred queues", "Lists queues, with what waits in each.", ["deferred queues"]);
  return nodeOptions(command).action(async (flags: NodeFlags) => {
    const { client, tenant } = connect(terminal, flags);
    const queues = await client.queues(await tenant());
    if (flags.json === true) return printJson(terminal, queues);
    const rows = queues.map(({ name, task, waiting, running, dead }) => [name, task, String(waiting), String(running), String(dead)]);
    printTable(terminal, ["QUEUE", "TASK", "WAITING", "RUNNING", "DEAD"], rows, "no task takes messages");
  });
}

interface SendFlags extends NodeFlags {
  readonly file?: string;
  readonly type?: string;
  readonly idempotencyKey?: string;
}

function sendCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "deferred send", "Sends a message to a queue.", [
    'deferred send mails \'{"to":"ada"}\'',
    "deferred send mails --file order.json --type application/json --idempotency-key order-17",
  ])
    .argument("<QUEUE>", "its name")
    .argument("[TEXT]", "the message")
    .option("--file <FILE>", "the message is in this file")
    .option("--type <TYPE>", "its media type")
    .option("--idempotency-key <KEY>", "a message with the same key is taken once");
  return nodeOptions(command).action(
    async (queue: string, text: string | undefined, { file, type, idempotencyKey, ...flags }: SendFlags) => {
      if ((text === undefined) === (file === undefined)) throw new UserError("say what to send: a TEXT, or --file", { exitCode: 2 });
      const body = file === undefined ? Buffer.from(text as string) : readMessage(file);
      const { client, tenant } = connect(terminal, flags);
      const headers = {
        "content-type": type ?? (isJson(body) ? "application/json" : "text/plain"),
        ...(idempotencyKey !== undefined && { "idempotency-key": idempotencyKey }),
      };
      const run = await client.sendMessage(await tenant(), queue, body, headers);
      if (flags.json === true) return printJson(terminal, run);
      remark(terminal, `it is run ${run.id}`);
    },
  );
}

function readMessage(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new UserError(`${file} cannot be read: ${(error as Error).message}`);
  }
}

function isJson(body: Buffer): boolean {
  try {
    JSON.parse(body.toString());
    return true;
  } catch {
    return false;
  }
}

function show(terminal: Terminal, flags: NodeFlags, run: DeferredDetail): void {
  if (flags.json === true) return printJson(terminal, run);
  const { decision, fault } = run;
  printFields(terminal, [
    ["run", run.id],
    ["task", [run.task ?? run.capability ?? "-", run.version].filter((part) => part !== undefined).join(" ")],
    ["state", stateOf(run)],
    ["by", `${run.origin}, ${run.subject === undefined ? run.caller : `${run.subject} (${run.caller})`}`],
    ["accepted", run.acceptedAt],
    ...field("due", run.dueAt),
    ...field("not after", run.notAfter),
    ...field("started", run.startedAt && `${run.startedAt}, ${run.starts} time${run.starts === 1 ? "" : "s"}`),
    ...field("ended", run.endedAt),
    ...field("status", run.status?.toString()),
    ...field("fault", fault && [fault.code, fault.detail].filter((part) => part !== undefined).join(": ")),
    ...(decision === undefined
      ? []
      : [
          ["starts", `${decision.startsAt ?? "at once"}: ${decision.why}`] as const,
          ["now", weighed(decision.now)] as const,
          ...field("then", decision.best && weighed(decision.best)),
          ["latest", decision.latest] as const,
        ]),
    ["input", size(run.inputBytes)],
    ...field("result", run.resultBytes === undefined ? undefined : size(run.resultBytes)),
    ...field("kept until", run.keptUntil),
  ]);
}

function weighed({ at, demand, price, cost }: WeighedView): string {
  const forecast = demand === undefined ? "demand not known" : `demand ${demand.toFixed(1)}`;
  return `${at}: ${forecast} × price ${price} = ${cost.toFixed(2)}`;
}

function field(name: string, value: string | undefined): (readonly [string, string])[] {
  return value === undefined ? [] : [[name, value]];
}

function stateOf({ state, dead }: DeferredView): string {
  return dead ? `${state}, dead` : state;
}

function whenOf({ endedAt, startedAt, dueAt, acceptedAt, state }: DeferredView): string {
  if (state === "waiting") return `due ${dueAt ?? acceptedAt}`;
  return endedAt ?? startedAt ?? acceptedAt;
}
