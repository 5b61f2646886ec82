/** The process that is killed: deploys and removes tasks in a data folder until then, and says what was asked and answered. */
import { writeSync } from "node:fs";
import { digestOf } from "../../../src/artefacts/components.js";
import { put, remove, type Change } from "../../../src/state/store.js";
import { Random } from "../support/random.js";
import { ALIASES, anyComponent, AUDIT, openData, tasksOf, VERSIONS, WRITERS, type Said } from "./state-work.js";

const [folder = "", round = "", seedText = "", streamText = ""] = process.argv.slice(2);
const seed = Number(seedText);
const REMOVES = 0.2;
const COLLECTS = 0.05;

const { state, components } = openData(folder);
/** Components that were put for versions that are not committed yet. */
const underWay: string[] = [];
say({ kind: "working" });
await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));

async function write(writer: number): Promise<never> {
  const random = new Random(seed, Number(streamText) + writer);
  const tasks = tasksOf(writer);
  for (let i = 0; ; i++) {
    const task = random.pick(tasks);
    const change = `${round}-${writer}-${i}`;
    const before = state.get(ALIASES, task);
    const bytes = before !== undefined && random.chance(REMOVES) ? undefined : anyComponent(seed, random);
    await (bytes === undefined ? undeploy(task, change, before) : deploy(task, change, before, bytes));
    if (random.chance(COLLECTS)) await collect();
  }
}

async function deploy(task: string, change: string, before: string | undefined, bytes: Buffer): Promise<void> {
  const digest = digestOf(bytes);
  underWay.push(digest);
  say({ kind: "asked", change, task, digest });
  await components.put(bytes);
  await state.commit([
    ...withoutVersion(task, before),
    put(VERSIONS, `${task}/${change}`, { change, digest }),
    put(ALIASES, task, change),
    put(AUDIT, change, task),
  ]);
  say({ kind: "answered", change });
  underWay.splice(underWay.indexOf(digest), 1);
}

async function undeploy(task: string, change: string, before: string | undefined): Promise<void> {
  say({ kind: "asked", change, task, digest: undefined });
  await state.commit([...withoutVersion(task, before), remove(ALIASES, task), put(AUDIT, change, task)]);
  say({ kind: "answered", change });
}

function withoutVersion(task: string, change: string | undefined): Change[] {
  return change === undefined ? [] : [remove(VERSIONS, `${task}/${change}`)];
}

async function collect(): Promise<void> {
  const used = state.list(VERSIONS).map(({ value }) => value.digest);
  await components.collect(new Set([...used, ...underWay]));
}

/** Out of the process before anything else happens in it. */
function say(said: Said): void {
  writeSync(1, `${JSON.stringify(said)}\n`);
}
