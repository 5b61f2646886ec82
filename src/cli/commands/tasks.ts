/** `tasks`: what is deployed, and taking it away. */
import type { Command } from "commander";
import type { AliasSettings, TaskView, VersionView } from "../../control/control.js";
import { confirm, connect, newCommand, nodeOptions, type NodeFlags, type Session } from "../command.js";
import { printFields, printJson, printTable, remark, size } from "../output.js";
import type { Terminal } from "../terminal.js";

export function tasksCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "tasks", "Lists the tasks, or shows one with its versions and aliases.", [
    "tasks",
    "tasks hello",
    "tasks --tenant acme --json",
  ]).argument("[TASK]", "the task to show");
  nodeOptions(command).action(async (name: string | undefined, flags: NodeFlags) => {
    const session = connect(terminal, flags);
    await (name === undefined ? listTasks(terminal, session, flags) : showTask(terminal, session, flags, name));
  });
  return command.addCommand(deleteCommand(terminal));
}

function deleteCommand(terminal: Terminal): Command {
  const command = newCommand(
    terminal,
    "tasks delete",
    "Deletes a task with its versions and aliases, or one version of it. Runs that go on finish.",
    ["tasks delete hello", "tasks delete hello --version v3"],
  )
    .argument("<TASK>", "the task")
    .option("--version <VERSION>", "this version alone; refused while an alias leads to it")
    .option("--yes", "do not ask");
  return nodeOptions(command, { json: false }).action(
    async (name: string, flags: NodeFlags & { readonly version?: string; readonly yes?: true }) => {
      const { client, tenant } = connect(terminal, flags);
      const owner = await tenant();
      if (flags.version !== undefined) {
        await client.deleteVersion(owner, name, flags.version);
        return remark(terminal, `deleted ${flags.version} of ${name}`);
      }
      await confirm(terminal, `Deleting ${name} with all its versions`, flags);
      await client.deleteTask(owner, name);
      remark(terminal, `deleted ${name}`);
    },
  );
}

async function listTasks(terminal: Terminal, { client, tenant }: Session, flags: NodeFlags): Promise<void> {
  const owner = await tenant();
  const tasks = await client.tasks(owner);
  if (flags.json === true) return printJson(terminal, tasks);
  const rows = tasks.map((task) => [task.name, live(task), String(task.versions), accessText(task.access), task.routes.join(" ")]);
  printTable(terminal, ["TASK", "LIVE", "VERSIONS", "ACCESS", "ROUTES"], rows, `${owner} has no tasks; pilotlight deploy makes one`);
}

async function showTask(terminal: Terminal, { client, tenant }: Session, flags: NodeFlags, name: string): Promise<void> {
  const owner = await tenant();
  const [task, versions] = await Promise.all([client.task(owner, name), client.versions(owner, name)]);
  if (flags.json === true) return printJson(terminal, { ...task, versions });
  printFields(terminal, [
    ["task", task.name],
    ["tenant", task.tenant],
    ["access", accessText(task.access)],
    ...task.urls.map((url) => ["url", url] as const),
    ...task.aliases.map((alias) => [alias.name, targetsText(alias)] as const),
  ]);
  terminal.stdout.write("\n");
  printTable(terminal, ["VERSION", "ALIASES", "SIZE", "DIGEST", "CREATED", "BY"], versions.map(versionRow), "it has no versions");
}

function versionRow(version: VersionView): string[] {
  const { aliases, componentBytes, digest, createdAt, createdBy } = version;
  return [version.version, aliases.join(" "), size(componentBytes), digest.slice(0, 12), createdAt, createdBy];
}

function live({ aliases }: TaskView): string {
  const alias = aliases.find(({ name }) => name === "live");
  return alias === undefined ? "-" : targetsText(alias);
}

/** `v7`, or `v7=90 v8=10 sticky x-user`. */
export function targetsText({ targets, sticky }: AliasSettings): string {
  const entries = Object.entries(targets);
  const text = entries.length === 1 ? (entries[0]?.[0] as string) : entries.map(([version, weight]) => `${version}=${weight}`).join(" ");
  return sticky === undefined ? text : `${text} sticky ${sticky}`;
}

/** Who may call, in words. */
function accessText(access: TaskView["access"]): string {
  if (access === "public") return "public";
  return access === "key" ? "key" : `key, tenants ${access.tenants.join(" ")}`;
}
