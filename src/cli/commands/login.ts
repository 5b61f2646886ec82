/** `login` and `whoami`: which node, and as whom. */
import type { Command } from "commander";
import { UserError } from "../../base/errors.js";
import type { Whoami } from "../../control/control.js";
import { connect, newCommand, nodeOptions, type NodeFlags } from "../command.js";
import { checkedKey } from "../find-node.js";
import { createNodeClient } from "../node-client.js";
import { normalUrl, rememberNode } from "../nodes-file.js";
import { printFields, printJson, remark } from "../output.js";
import { ask, readAll, type Terminal } from "../terminal.js";

export function loginCommand(terminal: Terminal): Command {
  return newCommand(terminal, "login", "Remembers a node and a key for it; commands then go there unless told otherwise.", [
    "login https://node.example.com:8701",
    "login 127.0.0.1:8701 < key.txt",
  ])
    .argument("<URL>", "the node's admin plane")
    .option("--key <KEY>", "the key (default: asked for, or read from stdin, where others cannot see it)")
    .option("--json", "print JSON")
    .action(async (text: string, flags: NodeFlags) => {
      const url = normalUrl(text, "the URL");
      const key = checkedKey(flags.key ?? (await readKey(terminal)));
      const who = await createNodeClient({ url, key }, terminal.interruption()).whoami();
      const file = rememberNode(terminal.env, { url, key });
      if (flags.json === true) return printJson(terminal, { url, file, ...who });
      if (!isPrivate(url)) remark(terminal, "note: over http:// to another machine, keys and secrets can be read on the way; use https://");
      remark(terminal, `${url} is remembered in ${file}`);
      printFields(terminal, whoFields(who));
    });
}

export function whoamiCommand(terminal: Terminal): Command {
  const command = newCommand(terminal, "whoami", "Says which node commands talk to, and what the key may do there.", ["whoami"]);
  return nodeOptions(command, { tenant: false }).action(async (flags: NodeFlags) => {
    const session = connect(terminal, flags);
    const { url, source } = session.node;
    const who = await session.whoami();
    if (flags.json === true) return printJson(terminal, { url, source, ...who });
    printFields(terminal, [["node", `${url} (from ${source})`], ...whoFields(who)]);
  });
}

function whoFields({ key, version, dataUrl }: Whoami): (readonly [string, string])[] {
  return [
    ["version", version],
    ["data plane", dataUrl ?? "not listening"],
    ...(key === undefined
      ? []
      : ([
          ["tenant", key.tenant ?? "none: it is the node's key"],
          ["key", key.note === undefined ? key.id : `${key.id} (${key.note})`],
          ["scopes", key.scopes.join(", ")],
          ["expires", key.expiresAt ?? "never"],
        ] as const)),
  ];
}

async function readKey(terminal: Terminal): Promise<string> {
  const text = terminal.stdin.isTTY === true ? await ask(terminal, "Key: ", { hidden: true }) : (await readAll(terminal)).toString("utf8");
  if (text.trim() === "") throw new UserError("no key was given; type it, pipe it in, or add --key", { exitCode: 2 });
  return text.trim();
}

function isPrivate(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === "https:" || hostname === "localhost" || hostname === "[::1]" || hostname.startsWith("127.");
}
