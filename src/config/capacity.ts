/**
 * The node's capacity: what its configuration says of it, what holds where it says nothing, and what does not add up.
 *
 * `settingsFaults` is also what a change on a running node is held against (src/control/node-capacity.ts).
 */
import type { FieldError } from "../base/problem.js";
import { durationText, parseDuration, parseShare, parseSize, sizeText, sizeTexts } from "../base/units.js";
import { SUB_POOLS, type PoolSettings, type SubPool, type SubPoolSettings } from "../pool/types.js";
import { processMemory } from "./memory.js";
import type { ConfigFile } from "./schema.js";

const MiB = 2 ** 20;
/** Nothing that is worth a cell fits into less. */
const LEAST_CELL = MiB;
/** One takes a task whose manifest says nothing of its memory (src/tasks/manifest.ts): with less, no such task could use a warming cell. */
const LEAST_USUAL_CELL = 128 * MiB;
/** As many as an engine has. */
export const MOST_SLOTS = 20_000;
const MOST_WARMING = 10_000;
const MOST_OVERCOMMIT = 1000;
/** Where one of the two is said, the other follows it. */
const INSTANCE_IDLE = 5 * 60_000;
const CELL_IDLE = 6 * 60_000;

/** What holds where nothing is said: for embedders, and for tests. `memory`: what the process may use, in bytes. */
export function usualCapacity(instances: number, memory: number = processMemory()): PoolSettings {
  return resolveCapacity({ node: {}, pools: {} }, instances, memory, []);
}

/** For one component that has the process to itself: one cell with all slots, where each instance may take what it is allowed. */
export function wholeProcess(instances: number, memoryLimit: number): PoolSettings {
  const usual = usualCapacity(instances);
  const budgetBytes = Math.max(usual.budgetBytes, 2 * memoryLimit);
  const cellBytes = budgetBytes - usual.lobbyBytes;
  const cell = { cellBytes, cellSlots: instances, warming: 0 };
  const overcommit = Math.max(usual.overcommit, (memoryLimit * instances) / cellBytes);
  return { ...usual, budgetBytes, overcommit, pools: { shared: { ...cell, warming: 1 }, dedicated: cell, variable: cell } };
}

/** What the file means. Adds what is wrong to `faults`, by the file's own names. */
export function resolveCapacity(
  { node, pools }: Pick<ConfigFile, "node" | "pools">,
  instances: number,
  memory: number,
  faults: FieldError[],
): PoolSettings {
  const budgetBytes = sizeOf(node.memory) ?? Math.floor(memory / 2);
  const lobbyBytes = sizeOf(node.lobby) ?? Math.floor(budgetBytes / 8);
  const room = budgetBytes - lobbyBytes;
  const sixtyFourth = Math.min(Math.max(LEAST_USUAL_CELL, wholeMiB(budgetBytes / 64)), 512 * MiB);
  // Where there is no room at all, that is what is told.
  const usualCell = room > 0 ? Math.max(LEAST_CELL, Math.min(sixtyFourth, room)) : sixtyFourth;
  const cells = (pool: SubPool, usualWarming: number): SubPoolSettings => {
    const said = pools[pool];
    const cellBytes = sizeOf(said?.cell) ?? usualCell;
    return {
      cellBytes,
      cellSlots: said?.slots ?? Math.max(1, Math.floor((instances * cellBytes) / budgetBytes)),
      warming: said?.warming ?? Math.min(usualWarming, Math.floor(Math.max(room, 0) / cellBytes)),
    };
  };
  const [saidInstance, saidCell] = [durationOf(node.instanceIdle), durationOf(node.cellIdle)];
  const settings: PoolSettings = {
    budgetBytes,
    lobbyBytes,
    pools: { shared: cells("shared", 2), dedicated: cells("dedicated", 0), variable: cells("variable", 0) },
    overcommit: node.overcommit ?? 8,
    variableCeiling: pools.variable?.ceiling === undefined ? 0.5 : (parseShare(pools.variable.ceiling) as number),
    instanceIdle: saidInstance ?? Math.min(INSTANCE_IDLE, Math.floor(((saidCell ?? CELL_IDLE) * INSTANCE_IDLE) / CELL_IDLE)),
    cellIdle: saidCell ?? Math.max(CELL_IDLE, Math.ceil(((saidInstance ?? INSTANCE_IDLE) * CELL_IDLE) / INSTANCE_IDLE)),
    programIdle: durationOf(node.programIdle) ?? 24 * 3_600_000,
    forecast: node.forecast ?? true,
  };
  for (const { field, message } of settingsFaults(settings)) faults.push({ field: FILE_NAMES[field] ?? field, message });
  return settings;
}

/** How the configuration file calls the fields of `PoolSettings` that have another name there. */
const FILE_NAMES: Readonly<Record<string, string>> = {
  budgetBytes: "node.memory",
  lobbyBytes: "node.lobby",
  overcommit: "node.overcommit",
  variableCeiling: "pools.variable.ceiling",
  instanceIdle: "node.instanceIdle",
  cellIdle: "node.cellIdle",
  programIdle: "node.programIdle",
  ...Object.fromEntries(
    SUB_POOLS.flatMap((pool) => [
      [`pools.${pool}.cellBytes`, `pools.${pool}.cell`],
      [`pools.${pool}.cellSlots`, `pools.${pool}.slots`],
    ]),
  ),
};

function sizeOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseSize(text);
}

function durationOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDuration(text);
}

function wholeMiB(bytes: number): number {
  return Math.floor(bytes / MiB) * MiB;
}

/** What is wrong with the settings taken together, with the sum that does not add up, by the field's path. */
export function settingsFaults(settings: PoolSettings): FieldError[] {
  const faults: FieldError[] = [];
  checkNumbers(settings, faults);
  // Sums of what is no number say nothing.
  if (faults.length === 0) checkSums(settings, faults);
  return faults;
}

function checkNumbers(settings: PoolSettings, faults: FieldError[]): void {
  const check = (field: string, right: boolean, expected: string): void => {
    if (!right) faults.push({ field, message: `expected ${expected}` });
  };
  const whole = (value: number, least: number, most: number): boolean => Number.isSafeInteger(value) && value >= least && value <= most;
  check("budgetBytes", whole(settings.budgetBytes, 1, Number.MAX_SAFE_INTEGER), "a whole number of bytes above zero");
  check("lobbyBytes", whole(settings.lobbyBytes, 1, Number.MAX_SAFE_INTEGER), "a whole number of bytes above zero");
  for (const pool of SUB_POOLS) {
    const { cellBytes, cellSlots, warming } = settings.pools[pool];
    check(`pools.${pool}.cellBytes`, whole(cellBytes, LEAST_CELL, Number.MAX_SAFE_INTEGER), `at least ${sizeText(LEAST_CELL)}`);
    check(`pools.${pool}.cellSlots`, whole(cellSlots, 1, MOST_SLOTS), `a whole number from 1 to ${MOST_SLOTS}`);
    if (pool === "dedicated") check("pools.dedicated.warming", warming === 0, "0: dedicated cells always have a tenant");
    else check(`pools.${pool}.warming`, whole(warming, 0, MOST_WARMING), `a whole number from 0 to ${MOST_WARMING}`);
  }
  const { overcommit, variableCeiling } = settings;
  check("overcommit", overcommit >= 1 && overcommit <= MOST_OVERCOMMIT, `a number from 1 to ${MOST_OVERCOMMIT}`);
  check("variableCeiling", variableCeiling >= 0 && variableCeiling <= 1, "a share from 0 to 1 (0% to 100%)");
  for (const field of ["instanceIdle", "cellIdle", "programIdle"] as const)
    check(field, settings[field] > 0 && Number.isFinite(settings[field]), "a time above zero");
}

function checkSums(settings: PoolSettings, faults: FieldError[]): void {
  const { budgetBytes, lobbyBytes, variableCeiling, instanceIdle, cellIdle } = settings;
  const room = roomForCells(settings);
  if (room <= 0)
    faults.push({
      field: "lobbyBytes",
      message: `a lobby of ${sizeText(lobbyBytes)} leaves no cells of a budget of ${sizeText(budgetBytes)}`,
    });
  else {
    checkCells(settings, faults);
    const { cellBytes, warming } = settings.pools.variable;
    const ceiling = variableCeiling * budgetBytes;
    if (warming * cellBytes > ceiling) {
      const [sum, most] = sizeTexts(warming * cellBytes, Math.floor(ceiling));
      const message = `${warming} warming ${cellsOf(warming, cellBytes)} come to ${sum}; all variable cells together may have ${most}`;
      faults.push({ field: "pools.variable.warming", message });
    }
  }
  if (instanceIdle >= cellIdle) {
    const message = `${durationText(instanceIdle)} is not less than the cellIdle of ${durationText(cellIdle)}; an instance goes before its cell does`;
    faults.push({ field: "instanceIdle", message });
  }
}

function checkCells(settings: PoolSettings, faults: FieldError[]): void {
  const { pools, budgetBytes, lobbyBytes } = settings;
  const room = roomForCells(settings);
  /** The sum, and what it is above. */
  const above = (bytes: number, say: (sum: string) => string): string => {
    const [sum, has] = sizeTexts(bytes, room);
    return `${say(sum)}; the node has ${has} for cells (${sizeText(budgetBytes)} less ${sizeText(lobbyBytes)} for the lobby)`;
  };
  let all = 0;
  for (const pool of SUB_POOLS) {
    const { cellBytes, warming } = pools[pool];
    if (cellBytes > room) {
      faults.push({ field: `pools.${pool}.cellBytes`, message: above(cellBytes, (size) => `a cell of ${size} does not fit`) });
      continue;
    }
    const others = all;
    all += warming * cellBytes;
    if (warming === 0 || all <= room) continue;
    const beside = others === 0 ? "" : ` with those of other sub-pools`;
    const message = above(all, (sum) => `${warming} warming ${cellsOf(warming, cellBytes)} come to ${sum}${beside}`);
    faults.push({ field: `pools.${pool}.warming`, message });
  }
}

/** Of the budget, what cells may have. Bytes. */
export function roomForCells({ budgetBytes, lobbyBytes }: PoolSettings): number {
  return budgetBytes - lobbyBytes;
}

/** `cells of 64MiB`. */
function cellsOf(count: number, bytes: number): string {
  return `${count === 1 ? "cell" : "cells"} of ${sizeText(bytes)}`;
}
