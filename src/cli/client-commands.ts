/** Every command that starts no engine: those that talk to a node, and those that make and build functions. */
import type { Command } from "commander";
import { aliasCommand, rollbackCommand } from "./commands/alias.js";
import { auditCommand } from "./commands/audit.js";
import { buildCommand } from "./commands/build.js";
import { callCommand } from "./commands/call.js";
import { capabilitiesCommand } from "./commands/capabilities.js";
import { cellsCommand } from "./commands/cells.js";
import { deployCommand } from "./commands/deploy.js";
import { devCommand } from "./commands/dev.js";
import { keysCommand } from "./commands/keys.js";
import { loginCommand, whoamiCommand } from "./commands/login.js";
import { logsCommand } from "./commands/logs.js";
import { newFunctionCommand } from "./commands/new.js";
import { deferredCommand } from "./commands/deferred.js";
import { pretriggersCommand } from "./commands/pretriggers.js";
import { recordsCommand } from "./commands/records.js";
import { runsCommand } from "./commands/runs.js";
import { secretsCommand } from "./commands/secrets.js";
import { sidecarsCommand } from "./commands/sidecars.js";
import { storesCommand } from "./commands/stores.js";
import { tasksCommand } from "./commands/tasks.js";
import { tenantsCommand } from "./commands/tenants.js";
import { usageCommand } from "./commands/usage.js";
import type { Terminal } from "./terminal.js";

/** In the order in which help lists them. */
export function clientCommands(terminal: Terminal): Command[] {
  return [
    newFunctionCommand,
    buildCommand,
    devCommand,
    deployCommand,
    tasksCommand,
    callCommand,
    capabilitiesCommand,
    sidecarsCommand,
    runsCommand,
    recordsCommand,
    deferredCommand,
    pretriggersCommand,
    logsCommand,
    aliasCommand,
    rollbackCommand,
    tenantsCommand,
    cellsCommand,
    keysCommand,
    secretsCommand,
    storesCommand,
    auditCommand,
    usageCommand,
    loginCommand,
    whoamiCommand,
  ].map((make) => make(terminal));
}
