/** `records`: what idempotent tasks need not run again for, and what that has read. */
import type { Command } from "commander";
import { UserError } from "../../base/errors.js";
import type { RecordQuery } from "../../control/control.js";
import { connect, newCommand, nodeOptions, positiveNumber, type NodeFlags } from "../command.js";
import { printFields, printJson, printTable, remark, size } from "../output.js";
import type { Terminal } from "../terminal.js";
import { checkCommand } from "./records-check.js";

const MOST = 1000;
/** Of a key, enough to tell records apart. */
const SHOWN = 12;
const READS = "only those that have read this: kv:default/a, kv:default/catalogue/*, task:png, an address, a resource";

interface ListFlags extends NodeFlags {
  readonly reads?: string;
  readonly limit: number;
}

export function recordsCommand(terminal: Terminal): Command {
  const command = listOptions(
    newCommand(terminal, "records", "Lists what idempotent tasks need not run again for, while nothing that they read has changed.", [
      "records",
      "records thumbs --reads 'kv:default/catalogue/*'",
      "records check thumbs                     is it as idempotent as its manifest says?",
    ]),
    terminal,
  );
  const list = newCommand(terminal, "records list", "The same: for tasks that have the name of a command of records.", [
    "records list show",
  ]);
  return command
    .addCommand(listOptions(list, terminal))
    .addCommand(showCommand(terminal))
    .addCommand(purgeCommand(terminal))
    .addCommand(checkCommand(terminal));
}

function listOptions(command: Command, terminal: Terminal): Command {
  command
    .argument("[TASK]", "the task whose records to list")
    .option("--reads <WHAT>", READS)
    .option("--limit <N>", `at most so many (default: ${MOST})`, positiveNumber, MOST);
  return nodeOptions(command).action(async (task: string | undefined, flags: ListFlags) => {
    const { client, tenant } = connect(terminal, flags);
    const records = await client.records(await tenant(), { task, reads: flags.reads }, flags.limit);
    if (flags.json === true) return printJson(terminal, records);
    const rows = records.map((record) => [
      record.key.slice(0, SHOWN),
      record.task,
      record.version,
      record.what,
      record.status === undefined ? "-" : String(record.status),
      size(record.bytes),
      milliseconds(record.runMs),
      String(record.hits),
      String(record.dependencies),
      record.recordedAt,
    ]);
    const headings = ["KEY", "TASK", "VERSION", "ASKED", "STATUS", "SIZE", "RUN TOOK", "HITS", "READS", "RECORDED"];
    printTable(terminal, headings, rows, "there are no such records");
    if (records.length === flags.limit) remark(terminal, `these are ${flags.limit}; there may be more (--limit)`);
  });
}

function showCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "records show", "What a record answers, and what it has read; without the body.", [
    "records show 3f2a9c01b7de",
  ]).argument("<KEY>", "its key, or at least eight digits of that");
  return nodeOptions(command).action(async (key: string, flags: NodeFlags) => {
    const { client, tenant } = connect(terminal, flags);
    const record = await client.record(await tenant(), key);
    if (flags.json === true) return printJson(terminal, record);
    printFields(terminal, [
      ["key", record.key],
      ["task", `${record.task} ${record.version}`],
      ["asked", record.what],
      ["run", `${record.run}, took ${milliseconds(record.runMs)}`],
      ["recorded", record.recordedAt],
      ["expires", record.expiresAt ?? "the task is not idempotent any more: it is not used"],
      ["hits", String(record.hits)],
      ["size", `${size(record.bytes)}, ${size(record.bodyBytes)} of that the body`],
      ...(record.status === undefined ? [] : [["status", String(record.status)] as const]),
      ...record.headers.map(({ name, value }) => ["header", `${name}: ${value}`] as const),
      ...record.reads.map((read) => ["has read", read] as const),
    ]);
  });
}

interface PurgeFlags extends NodeFlags {
  readonly reads?: string;
  /** A record's; `--key` is the caller's. */
  readonly record?: string;
  readonly all?: true;
}

function purgeCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "records purge", "Lets go of records: what they answered runs when it is next asked for.", [
    "records purge thumbs",
    "records purge --reads 'kv:default/catalogue/*'",
    "records purge --record 3f2a9c01b7de",
    "records purge --all                      all of the tenant's",
  ])
    .argument("[TASK]", "the task whose records go")
    .option("--reads <WHAT>", READS)
    .option("--record <KEY>", "only the one of this key, or those whose keys begin so; at least eight digits")
    .option("--all", "all of the tenant's");
  return nodeOptions(command).action(async (task: string | undefined, flags: PurgeFlags) => {
    const query: RecordQuery = { task, key: flags.record, reads: flags.reads };
    const isSaid = Object.values(query).some((value) => value !== undefined);
    if (flags.all === true && isSaid) throw new UserError("--all goes with nothing else", { exitCode: 2 });
    if (flags.all !== true && !isSaid)
      throw new UserError("say which: a TASK, --record, --reads, or --all for all of the tenant's", { exitCode: 2 });
    const { client, tenant } = connect(terminal, flags);
    const gone = await client.purgeRecords(await tenant(), { ...query, all: flags.all });
    if (flags.json === true) return printJson(terminal, gone);
    remark(terminal, gone.purged === 0 ? "there were no such records" : `purged ${gone.purged} record${gone.purged === 1 ? "" : "s"}`);
  });
}

function milliseconds(value: number): string {
  return `${value.toFixed(value < 10 ? 3 : 1)} ms`;
}
