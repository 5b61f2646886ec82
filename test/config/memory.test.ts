import { mkdirSync, writeFileSync } from "node:fs";
import { totalmem } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { processMemory } from "../../src/config/memory.js";
import { tempDir } from "../support/files.js";

const GiB = 2 ** 30;
const TOTAL = 64 * GiB;

/** What a machine with these files says. */
function memory(files: Readonly<Record<string, string>>): number {
  const root = tempDir();
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(root, name, ".."), { recursive: true });
    writeFileSync(join(root, name), content);
  }
  return processMemory(root, TOTAL);
}

describe("what the process may use", () => {
  it("is the machine's memory where there are no groups, or none has a limit", () => {
    expect(memory({})).toBe(TOTAL);
    expect(memory({ "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n" })).toBe(TOTAL);
    const unlimited = "9223372036854771712\n";
    expect(memory({ "proc/self/cgroup": "4:memory:/a\n", "sys/fs/cgroup/memory/a/memory.limit_in_bytes": unlimited })).toBe(TOTAL);
    expect(memory({ "proc/self/cgroup": "not what it should be\n" })).toBe(TOTAL);
  });

  it("is the least that a group has, its own or one above it", () => {
    const files = {
      "proc/self/cgroup": "0::/system.slice/node.service\n",
      "sys/fs/cgroup/system.slice/memory.max": `${8 * GiB}\n`,
      "sys/fs/cgroup/system.slice/node.service/memory.max": "max\n",
    };
    expect(memory(files)).toBe(8 * GiB);
    expect(memory({ ...files, "sys/fs/cgroup/system.slice/node.service/memory.max": `${2 * GiB}\n` })).toBe(2 * GiB);
  });

  it("is that of the older groups, among which only memory's count", () => {
    expect(
      memory({
        "proc/self/cgroup": "5:cpu,cpuacct:/a\n4:hugetlb,memory:/a/b\n0::/\n",
        "sys/fs/cgroup/memory/a/memory.limit_in_bytes": `${4 * GiB}\n`,
        "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": `${16 * GiB}\n`,
        "sys/fs/cgroup/cpu,cpuacct/a/memory.limit_in_bytes": "1\n",
      }),
    ).toBe(4 * GiB);
  });

  it("is the container's own where the group has the host's name, or lies outside of what is seen", () => {
    const own = { "sys/fs/cgroup/memory/memory.limit_in_bytes": `${GiB}\n`, "sys/fs/cgroup/memory.max": `${2 * GiB}\n` };
    expect(memory({ ...own, "proc/self/cgroup": "4:memory:/docker/0123abcd\n" })).toBe(GiB);
    expect(memory({ ...own, "proc/self/cgroup": "0::/../../other\n" })).toBe(2 * GiB);
  });

  it("is found on this machine", () => {
    expect(processMemory()).toBeGreaterThan(0);
    expect(processMemory()).toBeLessThanOrEqual(totalmem());
  });
});
