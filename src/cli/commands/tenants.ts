/** `tenants`: who shares the node, on which hosts, and how much of it each may use. For the node's keys. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { UserError } from "../../base/errors.js";
import { parseJson } from "../../base/json.js";
import { SIZE_HELP, parseSize, shareText } from "../../base/units.js";
import type { TenantView } from "../../control/control.js";
import { PREFER_HELP } from "../../base/preference.js";
import { WHEN_FULL, type WhenFull } from "../../pool/types.js";
import type { CapacityTerms, Quotas, TenantSettings } from "../../tenants/tenant.js";
import {
  append,
  confirm,
  connect,
  newCommand,
  nodeOptions,
  numberArgument,
  positiveNumber,
  shareArgument,
  wholeNumber,
  type NodeFlags,
} from "../command.js";
import { printFields, printJson, printTable, remark, size } from "../output.js";
import type { Terminal } from "../terminal.js";

/** Commander takes a null for an empty text, so "none" stays a word until it is sent. */
type Limit = number | "none";

interface SettingFlags extends NodeFlags {
  readonly host?: readonly string[] | false;
  readonly folder?: readonly string[] | false;
  readonly requestsPerSecond?: Limit;
  readonly concurrency?: Limit;
  readonly memory?: Limit;
  readonly storedBytes?: Limit;
  readonly tasks?: Limit;
  readonly dedicated?: number;
  readonly variableCeiling?: number;
  readonly whenFull?: readonly WhenFull[];
  readonly weight?: number;
  readonly prefer?: string;
  readonly sidecar?: readonly string[];
}

const QUOTAS: readonly (keyof Quotas)[] = ["requestsPerSecond", "concurrency", "memory", "storedBytes", "tasks"];

export function tenantsCommand(terminal: Terminal): Command {
  return newCommand(terminal, "tenants", "Tenants of the node; for the node's own keys.")
    .addCommand(listCommand(terminal))
    .addCommand(createCommand(terminal))
    .addCommand(setCommand(terminal))
    .addCommand(showCommand(terminal))
    .addCommand(drainCommand(terminal))
    .addCommand(resumeCommand(terminal))
    .addCommand(deleteCommand(terminal));
}

function listCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "tenants list", "Lists the tenants.", ["tenants list"]);
  return nodeOptions(command, { tenant: false }).action(async (flags: NodeFlags) => {
    const tenants = await connect(terminal, flags).client.tenants();
    if (flags.json === true) return printJson(terminal, tenants);
    const rows = tenants.map(({ name, used, hosts }) => [name, String(used.tasks), size(used.storedBytes), hosts.join(" ")]);
    printTable(terminal, ["TENANT", "TASKS", "STORED", "HOSTS"], rows, "there are no tenants");
  });
}

function createCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "tenants create", "Makes a tenant.", [
    "tenants create acme",
    "tenants create acme --host api.acme.example --memory 2GiB --requests-per-second 500",
  ]).argument("<NAME>", "lower-case letters, digits and dashes");
  return nodeOptions(settingOptions(command), { tenant: false }).action(async (name: string, flags: SettingFlags) => {
    const tenant = await connect(terminal, flags).client.createTenant(name, settingsOf(flags));
    printTenant(terminal, tenant, flags, `created the tenant ${name}; pilotlight keys create --tenant ${name} makes a key for it`);
  });
}

function setCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "tenants set", "Changes a tenant's hosts, folders, quotas and terms; what is not named stays.", [
    "tenants set acme --concurrency 50 --stored-bytes 10GiB",
    "tenants set acme --memory none            without limit again",
    "tenants set acme --host a.example --host b.example",
    "tenants set acme --dedicated 4 --variable-ceiling 25% --when-full wait --when-full reject",
  ]).argument("<NAME>", "the tenant");
  return nodeOptions(settingOptions(command), { tenant: false }).action(async (name: string, flags: SettingFlags) => {
    const settings = settingsOf(flags);
    if (Object.keys(settings).length === 0)
      throw new UserError("there is nothing to set; pilotlight tenants set --help lists what there is", { exitCode: 2 });
    printTenant(terminal, await connect(terminal, flags).client.updateTenant(name, settings), flags, `changed the tenant ${name}`);
  });
}

function showCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "tenants show", "Shows a tenant, its quotas and what it uses of them.", [
    "tenants show acme",
  ]).argument("<NAME>", "the tenant");
  return nodeOptions(command, { tenant: false }).action(async (name: string, flags: NodeFlags) => {
    printTenant(terminal, await connect(terminal, flags).client.tenant(name), flags);
  });
}

function drainCommand(terminal: Terminal): Command {
  const about = "Has a tenant's tasks take no more runs, until it is resumed or the node starts again. What runs finishes.";
  const command = newCommand(terminal, "tenants drain", about, ["tenants drain acme"]).argument("<NAME>", "the tenant");
  return nodeOptions(command, { tenant: false, json: false }).action(async (name: string, flags: NodeFlags) => {
    await connect(terminal, flags).client.drain(name);
    remark(terminal, `${name} takes no more runs; pilotlight tenants resume ${name} ends that`);
  });
}

function resumeCommand(terminal: Terminal): Command {
  const about = "Has a tenant that was drained take runs again.";
  const command = newCommand(terminal, "tenants resume", about, ["tenants resume acme"]).argument("<NAME>", "the tenant");
  return nodeOptions(command, { tenant: false, json: false }).action(async (name: string, flags: NodeFlags) => {
    await connect(terminal, flags).client.resume(name);
    remark(terminal, `${name} takes runs again`);
  });
}

function deleteCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "tenants delete", "Deletes a tenant with its tasks, keys, secrets and stores.", [
    "tenants delete acme",
  ])
    .argument("<NAME>", "the tenant")
    .option("--yes", "do not ask");
  return nodeOptions(command, { tenant: false, json: false }).action(async (name: string, flags: NodeFlags & { readonly yes?: true }) => {
    const { client } = connect(terminal, flags);
    await confirm(terminal, `Deleting the tenant ${name} with its tasks, keys, secrets and stores`, flags);
    await client.deleteTenant(name);
    remark(terminal, `deleted the tenant ${name}`);
  });
}

function settingOptions(command: Command): Command {
  return command
    .option("--host <HOST>", "a host that leads to its tasks alone (repeatable; together they replace what was there)", append)
    .option("--no-host", "no hosts of its own")
    .option("--folder <DIR>", "a folder of the node's machine that its manifests may name in files (repeatable, the same way)", append)
    .option("--no-folder", "no folders")
    .option("--requests-per-second <N>", "requests a second, sustained; none: without limit", limitOf(positiveNumber))
    .option("--concurrency <N>", "runs at once", limitOf(positiveNumber))
    .option("--memory <SIZE>", "memory of the runs that go on, such as 2GiB", limitOf(sizeArgument))
    .option("--stored-bytes <SIZE>", "what its stores and components take on disk, such as 10GiB", limitOf(sizeArgument))
    .option("--tasks <N>", "deployed tasks", limitOf(positiveNumber))
    .option("--dedicated <N>", "cells of its own, there before its first request", wholeNumber)
    .option("--variable-ceiling <SHARE>", "how much of the node's memory its variable cells may take, such as 25%; 0%: none", shareArgument)
    .addOption(
      new Option("--when-full <TERM>", "what may happen to runs when its cells are full (repeatable; the first is the usual)")
        .choices(WHEN_FULL)
        .argParser(whenFullArgument),
    )
    .option("--weight <N>", "how much of a full node it gets beside others; 1 is usual", numberArgument)
    .option("--prefer <WHAT>", `what counts when a provider is chosen for its calls: ${PREFER_HELP}; none: time`)
    .option("--sidecar <USE>", "a sidecar that every run of its tasks has, by name or as JSON (repeatable; none: no more)", append);
}

function whenFullArgument(text: string, before: readonly WhenFull[] | undefined): WhenFull[] {
  if (!WHEN_FULL.includes(text as WhenFull)) throw new InvalidArgumentError(`expected one of ${WHEN_FULL.join(", ")}.`);
  return [...(before ?? []), text as WhenFull];
}

/** A name, or all that a manifest says of one. */
function sidecarSaid(text: string): unknown {
  return text.startsWith("{") ? parseJson(text, "--sidecar") : text;
}

function limitOf(read: (text: string) => number): (text: string) => Limit {
  return (text) => (text === "none" ? text : read(text));
}

function sizeArgument(text: string): number {
  const bytes = parseSize(text);
  if (bytes === undefined) throw new InvalidArgumentError(`expected ${SIZE_HELP}, or none.`);
  return bytes;
}

function settingsOf(flags: SettingFlags): TenantSettings {
  const said = QUOTAS.map((name) => [name, flags[name]] as const).filter(([, limit]) => limit !== undefined);
  const quotas = Object.fromEntries(said.map(([name, limit]) => [name, limit === "none" ? null : limit]));
  return {
    ...listSetting("hosts", flags.host),
    ...listSetting("folders", flags.folder),
    ...(Object.keys(quotas).length === 0 ? {} : { quotas }),
    ...termsSaid(flags),
    ...(flags.prefer === undefined ? {} : { prefer: flags.prefer === "none" ? null : flags.prefer }),
    ...(flags.sidecar === undefined ? {} : { sidecars: flags.sidecar.filter((said) => said !== "none").map(sidecarSaid) }),
  };
}

function termsSaid({ dedicated, variableCeiling, whenFull, weight }: SettingFlags): TenantSettings {
  const said = Object.entries({ dedicated, variableCeiling, whenFull, weight }).filter(([, value]) => value !== undefined);
  return said.length === 0 ? {} : { capacity: Object.fromEntries(said) as Partial<CapacityTerms> };
}

function listSetting(name: "hosts" | "folders", said: readonly string[] | false | undefined): TenantSettings {
  return said === undefined ? {} : { [name]: said === false ? [] : said };
}

function printTenant(terminal: Terminal, tenant: TenantView, flags: NodeFlags, done?: string): void {
  if (flags.json === true) return printJson(terminal, tenant);
  if (done !== undefined) return remark(terminal, done);
  const { used, quotas, capacity } = tenant;
  const limit = (value: number | undefined, text: (value: number) => string = String): string =>
    value === undefined ? "without limit" : text(value);
  printFields(terminal, [
    ["tenant", tenant.name],
    ["hosts", tenant.hosts.join(" ") || "none of its own"],
    ["folders", tenant.folders.join(" ") || "none"],
    ["tasks", `${used.tasks} of ${limit(quotas.tasks)}`],
    ["runs at once", `${used.concurrency} of ${limit(quotas.concurrency)}`],
    ["memory", `${size(used.memory)} of ${limit(quotas.memory, size)}`],
    ["stored", `${size(used.storedBytes)} of ${limit(quotas.storedBytes, size)}`],
    ["requests a second", limit(quotas.requestsPerSecond)],
    ["dedicated cells", String(capacity.dedicated)],
    ["variable cells", capacity.variableCeiling === 0 ? "none" : `up to ${shareText(capacity.variableCeiling)} of the node`],
    ["when full", capacity.whenFull.join(", ")],
    ["weight", String(capacity.weight)],
    ["prefers", tenant.prefer ?? "time"],
    ["sidecars", (tenant.sidecars ?? []).map(({ use }) => use).join(", ") || "none"],
    ["created", tenant.createdAt],
  ]);
}
