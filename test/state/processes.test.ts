/** One process for one data folder, whatever ended the last one; and a disk that has no more room. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { openState } from "../../src/state/lmdb.js";
import { table } from "../../src/state/store.js";
import { atEnd } from "../support/cleanup.js";
import { ROOT, tempDir } from "../support/files.js";

const PROGRAM = fileURLToPath(new URL("process.ts", import.meta.url));

interface Other {
  readonly child: ChildProcess;
  answer(): Promise<Record<string, unknown>>;
}

/** The process of `process.ts`; `limitKiB` is the largest file that it may write. */
function other(folder: string, what: "hold" | "fill", limitKiB?: number): Other {
  const node = [process.execPath, "--import", "tsx", PROGRAM, folder, what];
  const limited = ["-c", `ulimit -f ${String(limitKiB)}; exec "$@"`, "bash", ...node];
  const [command, ...args] = limitKiB === undefined ? node : ["bash", ...limited];
  const child = spawn(command as string, args, { cwd: ROOT, stdio: ["ignore", "pipe", "ignore"] });
  atEnd(() => child.kill("SIGKILL"));
  const lines: Interface = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const iterator = lines[Symbol.asyncIterator]();
  return {
    child,
    answer: async () => {
      const { value } = (await iterator.next()) as { value?: string };
      if (value === undefined) throw new Error("the process ended without an answer");
      return JSON.parse(value) as Record<string, unknown>;
    },
  };
}

async function kill({ child }: Other): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "exit");
}

describe("a data folder", { timeout: 60_000 }, () => {
  it("is refused to a second process, which is told who has it, and free again when the first is killed", async () => {
    const folder = tempDir();
    const first = other(folder, "hold");
    const { opened } = await first.answer();
    const message = `the data folder ${folder} is in use by process ${String(opened)}; stop that node, or give this one another folder with --data`;
    expect(() => openState(folder)).toThrow(message);
    expect((await other(folder, "hold").answer())["refused"]).toContain(message);
    await kill(first);
    expect(existsSync(join(folder, "node.lock"))).toBe(true);
    const store = openState(folder);
    expect(store.list(table("things"))).toEqual([]);
    await store.close();
    expect(existsSync(join(folder, "node.lock"))).toBe(false);
  });

  it("is refused to the process that has it already, and free for it after closing", async () => {
    const folder = tempDir();
    const store = openState(folder);
    expect(() => openState(folder)).toThrow(/is in use by this process/);
    await store.close();
    await openState(folder).close();
  });

  it("is given to one of many that start at once over a killed one's lock", async () => {
    const folder = tempDir();
    const first = other(folder, "hold");
    await first.answer();
    await kill(first);
    const answers = await Promise.all(Array.from({ length: 6 }, () => other(folder, "hold").answer()));
    expect(answers.filter((answer) => "opened" in answer)).toHaveLength(1);
  });

  it.runIf(process.platform === "linux")(
    "is free when the id of a dead holder has gone to another process, or the machine was started again",
    async () => {
      const folder = tempDir();
      const lock = join(folder, "node.lock");
      const store = openState(folder);
      const mine = JSON.parse(readFileSync(lock, "utf8")) as object;
      await store.close();
      for (const change of [{ started: "1" }, { boot: "another" }, { pid: 2 ** 30 }]) {
        writeFileSync(lock, JSON.stringify({ ...mine, ...change }));
        await openState(folder).close();
      }
      for (const text of ["", "what is this"]) {
        writeFileSync(lock, text);
        await openState(folder).close();
      }
      writeFileSync(lock, JSON.stringify({ ...mine, namespace: "of another container" }));
      expect(() => openState(folder)).toThrow(/in use by process \d+ of another container/);
    },
  );
});

describe("a disk without room", { timeout: 60_000 }, () => {
  it("refuses commits as a whole and with the reason, and the store goes on once there is room", async () => {
    const process = other(tempDir(), "fill", 400);
    await process.answer();
    expect(await process.answer()).toEqual({
      name: "StateError",
      message: expect.stringMatching(
        /^the state .*state\.mdb cannot be written: .*; nothing was changed\. Make room on the disk and try again$/,
      ),
    });
    const { written, refused, entries } = (await process.answer()) as Record<string, number>;
    expect(Number(written)).toBeGreaterThan(2);
    expect(Number(refused)).toBeGreaterThan(10);
    expect(entries).toBe(2 * Number(written));
    expect(await process.answer()).toEqual({ later: true, entries: 2 * Number(written) - 8 + 2 });
  });
});
