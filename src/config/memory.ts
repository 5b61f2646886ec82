/** How much memory this process may use: what its control groups leave it of the machine's. */
import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import { join } from "node:path";

/**
 * Bytes. A group is bounded by those above it, and a container may see the groups of its host by names that lead nowhere,
 * so every group from the process's own up to the root is asked, and those that are not there are passed over. `root` and
 * `total` are the machine's own unless a test gives others.
 */
export function processMemory(root = "/", total = totalmem()): number {
  const limits = groupsOf(read(root, "proc/self/cgroup") ?? "").map((file) => Number(read(root, file)?.trim() ?? Number.NaN));
  // "max", which is none, is not a number; the older groups say a huge one.
  return Math.min(total, ...limits.filter((bytes) => bytes > 0));
}

/** The files that may hold a limit. */
function groupsOf(table: string): string[] {
  return table.split("\n").flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined) return [];
    // Beside older groups the unified tree lies one folder down.
    if (controllers === "") return ["", "unified"].flatMap((tree) => upwards(tree, path, "memory.max"));
    return controllers?.split(",").includes("memory") === true ? upwards("memory", path, "memory.limit_in_bytes") : [];
  });
}

function upwards(tree: string, path: string, file: string): string[] {
  const parts = path.split("/").filter((part) => part !== "");
  // Where the process was moved out of what its container sees.
  if (parts.includes("..")) return [join("sys/fs/cgroup", tree, file)];
  return [...parts, ""].map((_, i) => join("sys/fs/cgroup", tree, ...parts.slice(0, parts.length - i), file));
}

function read(root: string, file: string): string | undefined {
  try {
    return readFileSync(join(root, file), "utf8");
  } catch {
    return undefined;
  }
}
