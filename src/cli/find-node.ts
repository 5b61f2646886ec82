/**
 * Which node a command talks to, and with which key: `--url` and `--key`, then `PILOTLIGHT_URL` and `PILOTLIGHT_KEY`,
 * then `.pilotlight/node.json` here or above, then the user's `nodes.json`.
 *
 * The two may come from different places (one's own key for the node here), but a key that was stored with an address
 * goes to that address alone.
 */
import { UserError } from "../base/errors.js";
import { nodeFileAbove, nodesFile, normalUrl, readNodes, type NodeAddress } from "./nodes-file.js";
import type { Terminal } from "./terminal.js";

export interface FoundNode extends NodeAddress {
  /** Where the address comes from, in words. */
  readonly source: string;
}

interface NodeFlags {
  readonly url?: string | undefined;
  readonly key?: string | undefined;
}

interface Place extends NodeAddress {
  readonly source: string;
}

/** Throws a `UserError` that names the four places when none of them says it. */
export function findNode({ env, cwd }: Pick<Terminal, "env" | "cwd">, flags: NodeFlags): FoundNode {
  const said = firstSaid(env, flags);
  // Looked up only as far as needed: a broken file is no matter to who says everything.
  const stored = said.url !== undefined && said.key !== undefined ? [] : storedNodes(env, cwd);
  const url = said.url ?? stored[0]?.url;
  if (url === undefined) throw nowhere(env);
  const key = said.key ?? stored.find((place) => place.url === url)?.key;
  if (key === undefined) {
    throw new UserError(`no key is known for the node ${url}; give --key or PILOTLIGHT_KEY, or store one: pilotlight login ${url}`, {
      exitCode: 2,
    });
  }
  return { url, key: checkedKey(key), source: said.source ?? (stored[0] as Place).source };
}

/** What the user said just now, by flag or environment. */
function firstSaid(env: NodeJS.ProcessEnv, flags: NodeFlags): { url?: string; key?: string | undefined; source?: string } {
  const [envUrl, envKey] = [nonEmpty(env["PILOTLIGHT_URL"]), nonEmpty(env["PILOTLIGHT_KEY"])];
  if (flags.url !== undefined) {
    const url = normalUrl(flags.url, "--url");
    // The environment's key is for the environment's node, if it names one.
    const keyFits = envUrl === undefined || normalUrl(envUrl, "PILOTLIGHT_URL") === url;
    return { url, key: flags.key ?? (keyFits ? envKey : undefined), source: "--url" };
  }
  const key = flags.key ?? envKey;
  return envUrl === undefined ? { key } : { url: normalUrl(envUrl, "PILOTLIGHT_URL"), key, source: "PILOTLIGHT_URL" };
}

function storedNodes(env: NodeJS.ProcessEnv, cwd: string): Place[] {
  const here = nodeFileAbove(cwd);
  const listed = readNodes(env).map((node) => ({ url: node.url, key: node.key, source: nodesFile(env) }));
  return here === undefined ? listed : [{ ...here.node, source: here.file }, ...listed];
}

function nowhere(env: NodeJS.ProcessEnv): UserError {
  return new UserError(
    [
      "no node is known. These places were looked at, in this order:",
      "  --url and --key",
      "  PILOTLIGHT_URL and PILOTLIGHT_KEY",
      "  .pilotlight/node.json in this folder and those above",
      `  ${nodesFile(env)}`,
      "pilotlight serve starts a node here and writes the last two; pilotlight login URL remembers one elsewhere",
    ].join("\n"),
    { exitCode: 2 },
  );
}

/** A key goes into a header: what cannot stand there is not a key. */
export function checkedKey(key: string): string {
  if (/^[\x21-\x7e]+$/.test(key)) return key;
  throw new UserError("the key holds characters that no key has; it looks like pl_… and has no spaces", { exitCode: 2 });
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}
