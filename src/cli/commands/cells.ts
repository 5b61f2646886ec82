/** `cells`: what the node's memory is cut into, who has which part, and how that is changed while it runs. */
import { InvalidArgumentError, type Command } from "commander";
import { UserError } from "../../base/errors.js";
import { durationText, shareText } from "../../base/units.js";
import type { CapacityInfo, CellInfo } from "../../control/control.js";
import type { CapacityChange } from "../../control/node-capacity.js";
import { SUB_POOLS, type SubPool, type SubPoolSettings } from "../../pool/types.js";
import {
  connect,
  durationArgument,
  newCommand,
  nodeOptions,
  numberArgument,
  shareArgument,
  sizeArgument,
  wholeNumber,
  type NodeFlags,
} from "../command.js";
import { printFields, printJson, printTable, remark, size } from "../output.js";
import type { Terminal } from "../terminal.js";

export function cellsCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "cells", "Lists the cells: all of them for a key of the node, its own for a tenant's.", [
    "cells",
    "cells --json",
  ]);
  nodeOptions(command, { tenant: false }).action(async (flags: NodeFlags) => {
    const cells = await connect(terminal, flags).client.cells();
    if (flags.json === true) return printJson(terminal, cells);
    const headings = ["CELL", "POOL", "STATE", "TENANT", "HELD", "BUSY", "IDLE", "SLOTS", "QUIET FOR", "TASKS"];
    printTable(terminal, headings, cells.map(cellRow), "there are no cells yet");
  });
  return command
    .addCommand(poolsCommand(terminal))
    .addCommand(setCommand(terminal))
    .addCommand(drainCommand(terminal))
    .addCommand(resumeCommand(terminal));
}

function cellRow(cell: CellInfo): string[] {
  const { busy, idle, starting, idleMs, sick } = cell;
  return [
    String(cell.cell),
    cell.pool,
    sick === undefined ? cell.state : `${cell.state} (${sick})`,
    cell.tenant ?? "-",
    `${size(cell.chargedBytes)}/${size(cell.bytes)}`,
    String(busy),
    starting === 0 ? String(idle) : `${idle}+${starting}`,
    String(cell.slots),
    idleMs === undefined ? "-" : durationText(idleMs < 1000 ? Math.round(idleMs) : Math.round(idleMs / 1000) * 1000),
    cell.tasks.join(" "),
  ];
}

function poolsCommand(terminal: Terminal): Command {
  const about = "Shows the node's memory for cells, its sub-pools, and how they were used; for the node's keys.";
  const command = newCommand(terminal, "cells pools", about, ["cells pools", "cells pools --json"]);
  return nodeOptions(command, { tenant: false }).action(async (flags: NodeFlags) => {
    printCapacity(terminal, await connect(terminal, flags).client.capacity(), flags);
  });
}

interface SetFlags extends NodeFlags {
  readonly reset?: true;
  readonly memory?: number;
  readonly lobby?: number;
  readonly overcommit?: number;
  readonly variableCeiling?: number;
  readonly instanceIdle?: number;
  readonly cellIdle?: number;
  readonly programIdle?: number;
  readonly forecast?: boolean;
  readonly cell?: PerPool;
  readonly slots?: PerPool;
  readonly warming?: PerPool;
}

/** What `--cell shared=128MiB` and its like have said so far. */
type PerPool = Partial<Record<SubPool, number>>;

function setCommand(terminal: Terminal): Command {
  const about = "Changes the running node's capacity; it holds over its configuration, after a restart too, until --reset.";
  const command = newCommand(terminal, "cells set", about, [
    "cells set --memory 8GiB --warming shared=4",
    "cells set --cell shared=128MiB --variable-ceiling 30%",
    "cells set --reset                         as the configuration has it again",
  ])
    .option("--memory <SIZE>", "what all cells and the lobby may hold together", sizeArgument)
    .option("--lobby <SIZE>", "of that, for programs whose tenant has no cell", sizeArgument)
    .option("--overcommit <N>", "a running instance is charged its memory limit divided by this", numberArgument)
    .option("--variable-ceiling <SHARE>", "what variable cells of all tenants may take, such as 30%", shareArgument)
    .option("--cell <POOL=SIZE>", "what a cell of a sub-pool may hold (repeatable)", perPool(sizeArgument))
    .option("--slots <POOL=N>", "instances that a cell has slots for (repeatable)", perPool(wholeNumber))
    .option("--warming <POOL=N>", "unassigned cells to keep (repeatable)", perPool(wholeNumber))
    .option("--instance-idle <TIME>", "when an idle instance goes that need not be ready", durationArgument)
    .option("--cell-idle <TIME>", "when a cell without instances goes back", durationArgument)
    .option("--program-idle <TIME>", "when a linked program that nobody asks for goes", durationArgument)
    .option("--forecast", "keep capacity ready for runs that are to be expected")
    .option("--no-forecast", "keep ready only what manifests say")
    .option("--reset", "take back everything that was set here");
  return nodeOptions(command, { tenant: false }).action(async (flags: SetFlags) => {
    const { client } = connect(terminal, flags);
    const change = changeOf(flags);
    const isEmpty = Object.keys(change).length === 0;
    if (flags.reset === true && !isEmpty) throw new UserError("--reset takes everything back and goes with nothing else", { exitCode: 2 });
    if (flags.reset === true) {
      await client.resetCapacity();
      return printCapacity(terminal, await client.capacity(), flags);
    }
    if (isEmpty) throw new UserError("there is nothing to set; pilotlight cells set --help lists what there is", { exitCode: 2 });
    printCapacity(terminal, await client.setCapacity(change), flags);
  });
}

function changeOf(flags: SetFlags): CapacityChange {
  const { memory, lobby, overcommit, variableCeiling, instanceIdle, cellIdle, programIdle, forecast } = flags;
  const top = { budgetBytes: memory, lobbyBytes: lobby, overcommit, variableCeiling, instanceIdle, cellIdle, programIdle, forecast };
  const pools: [SubPool, Partial<SubPoolSettings>][] = SUB_POOLS.map((pool) => [
    pool,
    said({ cellBytes: flags.cell?.[pool], cellSlots: flags.slots?.[pool], warming: flags.warming?.[pool] }),
  ]);
  const some = pools.filter(([, fields]) => Object.keys(fields).length > 0);
  return { ...said(top), ...(some.length === 0 ? {} : { pools: Object.fromEntries(some) }) };
}

function said<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

/** Reads `shared=128MiB`, and adds it to what was said before. */
function perPool(read: (text: string) => number): (text: string, before?: PerPool) => PerPool {
  return (text, before = {}) => {
    const [, pool, value] = /^([a-z]+)=(.*)$/.exec(text) ?? [];
    if (!SUB_POOLS.includes(pool as SubPool)) throw new InvalidArgumentError(`expected a sub-pool before "=": ${SUB_POOLS.join(", ")}.`);
    return { ...before, [pool as SubPool]: read(value as string) };
  };
}

function drainCommand(terminal: Terminal): Command {
  const about = "Has a cell take no more runs and be replaced, or, with --node, the node take none. What runs finishes.";
  const command = newCommand(terminal, "cells drain", about, ["cells drain 7", "cells drain --node"])
    .argument("[CELL]", "the cell's number")
    .option("--node", "the whole node, until pilotlight cells resume or a restart");
  return nodeOptions(command, { tenant: false, json: false }).action(
    async (cell: string | undefined, flags: NodeFlags & { readonly node?: true }) => {
      if ((cell === undefined) === (flags.node !== true))
        throw new UserError("say which cell, or --node for the whole node", { exitCode: 2 });
      const { client } = connect(terminal, flags);
      await (cell === undefined ? client.drain(undefined) : client.drainCell(cell));
      remark(terminal, cell === undefined ? "the node takes no more runs; pilotlight cells resume ends that" : `draining cell ${cell}`);
    },
  );
}

function resumeCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "cells resume", "Has a node that was drained take runs again.", ["cells resume"]);
  return nodeOptions(command, { tenant: false, json: false }).action(async (flags: NodeFlags) => {
    await connect(terminal, flags).client.resume(undefined);
    remark(terminal, "the node takes runs again");
  });
}

function printCapacity(terminal: Terminal, capacity: CapacityInfo, flags: NodeFlags): void {
  if (flags.json === true) return printJson(terminal, capacity);
  const { settings, now, drained } = capacity;
  const set = setFields(capacity);
  printFields(terminal, [
    [
      "memory",
      `${size(now.cellBytes)} in cells, ${size(now.lobbyChargedBytes)} of ${size(now.lobbyBytes)} in the lobby, of ${size(now.budgetBytes)}`,
    ],
    [
      "runs",
      `${now.leases} go on${now.reservedRuns === 0 ? "" : ` (${now.reservedRuns} in the reserve for calls)`}, ${now.waiting} wait${now.runLimit === undefined ? "" : `, ${now.runLimit} at once are the limit`}`,
    ],
    ["variable ceiling", shareText(settings.variableCeiling)],
    ["overcommit", String(settings.overcommit)],
    [
      "idle",
      `instances ${durationText(settings.instanceIdle)}, cells ${durationText(settings.cellIdle)}, programs ${durationText(settings.programIdle)}`,
    ],
    ["set here", set.length === 0 ? "nothing" : set.join(", ")],
    ...(now.draining ? [["draining", "the node takes no runs"] as const] : []),
    ...(drained.length > 0 ? [["drained", `${drained.join(", ")} take no runs`] as const] : []),
  ]);
  terminal.stdout.write("\n");
  const rows = now.pools.map((pool) => [
    pool.pool,
    size(pool.cellBytes),
    String(pool.cellSlots),
    String(pool.cells),
    `${pool.warming} of ${pool.target}`,
    String(pool.active),
    String(pool.draining),
    String(pool.assigned),
    String(pool.reclaimed),
    String(pool.replaced),
    String(pool.misses),
  ]);
  const headings = ["POOL", "CELL", "SLOTS", "CELLS", "WARMING", "ACTIVE", "DRAINING", "ASSIGNED", "RECLAIMED", "REPLACED", "MISSES"];
  printTable(terminal, headings, rows, "there are no sub-pools");
}

/** The names of the settings that were set on the running node. */
function setFields({ set: { pools = {}, ...top } }: CapacityInfo): string[] {
  const below = Object.entries(pools).flatMap(([pool, fields]) => Object.keys(fields ?? {}).map((field) => `pools.${pool}.${field}`));
  return [...Object.keys(top), ...below];
}
