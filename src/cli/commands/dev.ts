/** `dev`: builds, deploys and shows the log, again with each change, until Ctrl-C. */
import type { Command } from "commander";
import { relative, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../base/errors.js";
import type { LogEntry } from "../../control/control.js";
import { append, connect, newCommand, nodeOptions, type NodeFlags, type Session } from "../command.js";
import { RefusedError } from "../failure.js";
import { remark } from "../output.js";
import type { Terminal } from "../terminal.js";
import { changed, snapshot, type Snapshot } from "../watch.js";
import { build } from "./build.js";
import { printDeployed, readFolder, readManifestFile, upload } from "./deploy.js";
import { printEntry } from "./logs.js";

interface DevFlags extends NodeFlags {
  readonly alias?: string;
  readonly watch?: readonly string[];
}

const LOOK_MS = 250;
const RECONNECT_MS = 1000;

export function devCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "dev", "Builds and deploys a function again with each change, and shows its log, until Ctrl-C.", [
    "dev",
    "dev hello --alias dev",
    "dev hello --watch ../shared",
  ])
    .argument("[DIR]", "the folder with pilotlight.json", ".")
    .option("--alias <NAME>", "the alias to move (default: live)")
    .option("--watch <PATH>", "look at this too (repeatable)", append);
  return nodeOptions(command, { json: false }).action(async (directory: string, flags: DevFlags) => {
    const session = connect(terminal, flags);
    const folder = resolve(terminal.cwd, directory);
    const watched = [folder, ...(flags.watch ?? []).map((path) => resolve(terminal.cwd, path))];
    // The node and the key are asked before the first build: what is wrong with them is better known at once.
    const tenant = await session.tenant();
    const { name } = await readManifestFile(folder);
    void followLog(terminal, session, tenant, name);
    for (;;) {
      // Taken before the build: what changes while it goes on is built next.
      const before = await look(folder, watched);
      await round(terminal, session, folder, flags.alias);
      await change(terminal, session, folder, watched, before);
    }
  });
}

/** One build and deploy. What fails in it is said, and the next change tries again. */
async function round(terminal: Terminal, session: Session, folder: string, alias: string | undefined): Promise<void> {
  try {
    if ((await readManifestFile(folder)).isBuilt) await build(terminal, folder);
    await printDeployed(terminal, session, await upload(terminal, session, await readFolder(folder), alias));
  } catch (error) {
    session.signal.throwIfAborted();
    remark(terminal, `pilotlight: ${messageOf(error)}`);
  }
}

/** Resolves once something is different from `before`; rejects on Ctrl-C. */
async function change(terminal: Terminal, session: Session, folder: string, watched: readonly string[], before: Snapshot): Promise<void> {
  for (;;) {
    const path = changed(before, await look(folder, watched));
    if (path !== undefined) return remark(terminal, `${relative(terminal.cwd, path)} has changed`);
    await pause(LOOK_MS, session.signal);
    session.signal.throwIfAborted();
  }
}

/** A component counts as a source where nothing here builds it. */
async function look(folder: string, watched: readonly string[]): Promise<Snapshot> {
  const manifest = await readManifestFile(folder).catch(() => undefined);
  return await snapshot(watched, manifest === undefined || manifest.isBuilt ? [] : [manifest.component]);
}

/** More lines than a node gives at once there are not. */
const BACKLOG = 1000;

/** Shows what is logged from now on, until Ctrl-C, over restarts of the node too. */
async function followLog(terminal: Terminal, session: Session, tenant: string, task: string): Promise<void> {
  const query = { task, limit: BACKLOG };
  const logs = (follow: boolean): AsyncGenerator<LogEntry> => session.client.logs(tenant, query, follow);
  while (!session.signal.aborted) {
    try {
      const before = new Set<string>();
      for await (const entry of logs(false)) before.add(JSON.stringify(entry));
      for await (const entry of logs(true)) if (!before.has(JSON.stringify(entry))) printEntry(terminal, entry);
    } catch (error) {
      // Before the first deploy the task may not be there yet.
      const isRefused = error instanceof RefusedError && error.status !== 404;
      if (isRefused) return remark(terminal, `pilotlight: the log cannot be shown: ${error.message}`);
    }
    await pause(RECONNECT_MS, session.signal);
  }
}

/** Shorter when `signal` aborts. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}
