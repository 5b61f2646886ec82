/**
 * Where a node's address and key are kept between commands, always mode 0600.
 *
 * `DATA/node.json` is `{url, key}` of the node whose data folder it is, written by `serve`. The user's `nodes.json` is
 * `{nodes: [{url, key, data?}, …]}` over all nodes of this user, the last used first, written by `serve` and `login`;
 * `data` is the folder of a node that was started here, so that one with another port replaces its old self.
 */
import { chmodSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { UserError, messageOf } from "../base/errors.js";
import { parseJson } from "../base/json.js";

export interface NodeAddress {
  /** Of the admin plane, `http://HOST:PORT/`. */
  readonly url: string;
  readonly key: string;
}

/** A node of the user's list. */
interface ListedNode extends NodeAddress {
  readonly data?: string | undefined;
}

/** The user's list: `$XDG_CONFIG_HOME/pilotlight/nodes.json`, else under `~/.config`. */
export function nodesFile(env: NodeJS.ProcessEnv): string {
  const base = env["XDG_CONFIG_HOME"];
  const folder = base !== undefined && isAbsolute(base) ? base : join(env["HOME"] ?? homedir(), ".config");
  return join(folder, "pilotlight", "nodes.json");
}

/** The nodes of the user's list, the last used first; none where there is no list. */
export function readNodes(env: NodeJS.ProcessEnv): readonly ListedNode[] {
  const file = nodesFile(env);
  const document = read(file);
  if (document === undefined) return [];
  const nodes = (document as { nodes?: unknown }).nodes;
  if (!Array.isArray(nodes)) throw new UserError(`${file} is not a list of nodes: expected {"nodes": [{"url": …, "key": …}]}`);
  return nodes.map((node) => {
    const { data } = (node ?? {}) as { data?: unknown };
    const listed = address(node, file);
    return typeof data === "string" ? { url: listed.url, key: listed.key, data } : listed;
  });
}

/** Puts a node first in the user's list, in place of what was there for its URL or its data folder. Gives the list's path. */
export function rememberNode(env: NodeJS.ProcessEnv, node: ListedNode): string {
  const url = normalUrl(node.url, "the node's URL");
  const { key, data } = node;
  const others = readNodes(env).filter((other) => other.url !== url && (data === undefined || other.data !== data));
  const file = nodesFile(env);
  write(file, { nodes: [{ url, key, data }, ...others] });
  return file;
}

/**
 * Writes a node that has just started here into its data folder and the user's list, so that commands find it. What
 * cannot be written is said to `warn` and stops nothing: the node runs, and `--url` reaches it.
 */
export function announceNode(env: NodeJS.ProcessEnv, node: NodeAddress & { readonly data: string }, warn: (text: string) => void): void {
  for (const announce of [() => writeNodeFile(node.data, node), () => rememberNode(env, node)]) {
    try {
      announce();
    } catch (error) {
      warn(`commands may not find this node by themselves: ${messageOf(error)}`);
    }
  }
}

/** Writes `node.json` into a node's data folder. */
export function writeNodeFile(dataFolder: string, node: NodeAddress): string {
  const file = join(dataFolder, "node.json");
  write(file, { url: node.url, key: node.key });
  return file;
}

/** `.pilotlight/node.json` in `folder` or the nearest above that has one; undefined: there is none. */
export function nodeFileAbove(folder: string): { readonly file: string; readonly node: NodeAddress } | undefined {
  for (let here = folder; ; here = dirname(here)) {
    const file = join(here, ".pilotlight", "node.json");
    const document = read(file);
    if (document !== undefined) {
      refuseForeign(file);
      return { file, node: address(document, file) };
    }
    if (dirname(here) === here) return undefined;
  }
}

/** A file above that somebody else can write would send this user's functions and secrets to a node of theirs. */
function refuseForeign(file: string): void {
  const { uid, mode } = statSync(file);
  const me = process.getuid?.();
  if (me === undefined || ((uid === me || uid === 0) && (mode & 0o022) === 0)) return;
  throw new UserError(
    `${file} belongs to or can be written by another user, so it is not believed; say which node with --url and --key, or chmod 600 and chown the file`,
  );
}

/** `HOST:PORT`, `http://HOST:PORT` and such as one spelling, with a slash at the end. `what` names it in the error. */
export function normalUrl(text: string, what: string): string {
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.parse?.(full) ?? parse(full);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "" || url.search !== "" || url.hash !== "") {
    throw new UserError(`${what} ${JSON.stringify(text)} is not a node's address: expected one such as http://127.0.0.1:8701/`, {
      exitCode: 2,
    });
  }
  return url.pathname.endsWith("/") ? url.href : `${url.href}/`;
}

function parse(text: string): URL | null {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

function address(value: unknown, file: string): NodeAddress {
  const { url, key } = (value ?? {}) as Partial<NodeAddress>;
  if (typeof url === "string" && typeof key === "string") return { url: normalUrl(url, `${file}: the url`), key };
  throw new UserError(`${file}: expected a node as {"url": …, "key": …}`);
}

function read(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new UserError(`${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  return parseJson(text, file);
}

/** Whole or not at all, and never readable by others, not even for a moment. */
function write(file: string, value: unknown): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const partial = `${file}.${process.pid}.partial`;
  writeFileSync(partial, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  chmodSync(partial, 0o600);
  renameSync(partial, file);
}
