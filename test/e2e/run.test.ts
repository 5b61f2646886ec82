/** `pilotlight run FILE`: a command's arguments, environment, files, stdio and exit status are those of any program. */
import { spawnSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT, tempDir } from "../support/files.js";
import { guestPath, WASI } from "../support/guests.js";
import { Program, runProgram } from "../support/program.js";

describe.each(WASI)("a command of WASI %s", (wasi) => {
  const command = guestPath(`command-${wasi}`);

  it("has its own name and the arguments after --, even those that look like ours", async () => {
    const { exit, stdout, stderr } = await runProgram(["run", command, "--", "args", "--help", "--env", "a b"]);
    expect(stdout).toBe(`command-${wasi}.wasm\nargs\n--help\n--env\na b\n`);
    // `--help` is no verb of this guest, and it says so as a program does.
    expect([exit, stderr]).toEqual([1, "no such verb: --help\n"]);
  });

  it("has the environment it is given, and nothing of ours", async () => {
    const { exit, stdout } = await runProgram(["run", command, "--env", "ONE=1", "--env", "TWO=a=b", "--", "env"], {
      env: { SECRET: "ours" },
    });
    expect([exit, stdout]).toEqual([0, "ONE=1\nTWO=a=b\n"]);
  });

  it("reads stdin to its end and writes stdout and stderr, each where it belongs", async () => {
    const input = "0123456789abcdef\n".repeat(20_000);
    const { exit, stdout, stderr } = await runProgram(["run", command, "--", "cat", "warn", "on stderr", "say", "on stdout"], { input });
    expect(exit).toBe(0);
    expect(stdout === `${input}on stdout\n`, `stdout is ${stdout.length} bytes and ends ${JSON.stringify(stdout.slice(-40))}`).toBe(true);
    expect(stderr).toBe("on stderr\n");
  });

  it("reads files of the folders it is given, and no others", async () => {
    const folder = tempDir({ "in/a.txt": "granted\n", "secret.txt": "secret\n" });
    const granted = await runProgram(["run", command, "--dir", `${folder}/in::/data`, "--", "read", "/data/a.txt"]);
    expect(granted).toEqual({ exit: 0, stdout: "granted\n", stderr: "" });
    const above = await runProgram(["run", command, "--dir", `${folder}/in::/data`, "--", "read", "/data/../secret.txt"]);
    expect(above).toEqual({ exit: 1, stdout: "", stderr: "no such file: /data/../secret.txt\n" });
    const none = await runProgram(["run", command, "--", "read", `${folder}/secret.txt`]);
    expect(none).toEqual({ exit: 1, stdout: "", stderr: `no such file: ${folder}/secret.txt\n` });
  });

  it("is given values of wasi:config by --config-var", async () => {
    const { exit, stdout, stderr } = await runProgram([
      "run",
      command,
      "--config-var",
      "greeting=hi",
      "--",
      "config",
      "greeting",
      "config",
      "other",
    ]);
    expect({ exit, stdout, stderr }).toEqual({ exit: 1, stdout: "hi\n", stderr: "no such config variable: other\n" });
  });

  it.each([
    ["that it exits with", ["exit", "7"], 7, ""],
    ["1 when it fails", ["fail"], 1, ""],
    ["1 when it traps, and says so", ["say", "before", "trap"], 1, "pilotlight: wasm trap: wasm `unreachable` instruction executed\n"],
  ])("has the exit status %s", async (_title, args, exit, stderr) => {
    expect(await runProgram(["run", command, "--", ...args])).toMatchObject({ exit, stderr });
  });
});

describe("a command whose stdin stays open", () => {
  it("ends when it has done its work", async () => {
    expect(await runProgram(["run", guestPath("command-p3"), "--", "say", "done"], { input: null })).toEqual({
      exit: 0,
      stdout: "done\n",
      stderr: "",
    });
  });

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("ends at once on %s, with the status of a program that did", async (signal, exit) => {
    const program = new Program(["run", guestPath("command-p2"), "--", "warn", "up", "cat"], { input: null });
    await program.says(/up\n/);
    program.signal(signal);
    expect((await program.ended).exit).toBe(exit);
  });
});

it("a component that is run or served keeps its compiled form in the user's cache, and a broken cache is done without", async () => {
  const folder = tempDir({ file: "" });
  const run = (cache: string): ReturnType<typeof runProgram> =>
    runProgram(["run", guestPath("command-p2"), "--", "say", "done"], { env: { PILOTLIGHT_CACHE: cache } });
  const done = { exit: 0, stdout: "done\n", stderr: "" };
  expect(await run(join(folder, "cache"))).toEqual(done);
  const compiled = readdirSync(join(folder, "cache/compiled")).find((name) => name.endsWith(".cwasm"));
  const { ino } = statSync(join(folder, "cache/compiled", compiled as string));
  expect(await run(join(folder, "cache"))).toEqual(done);
  expect(statSync(join(folder, "cache/compiled", compiled as string)).ino).toBe(ino);
  expect(await run(join(folder, "file"))).toEqual(done);
});

it("help of which only the beginning is read is no error", () => {
  const { stderr, stdout } = spawnSync("sh", ["-c", `"${process.execPath}" "${join(ROOT, "dist/cli/bin.js")}" records --help | head -1`], {
    encoding: "utf8",
  });
  expect([stdout, stderr]).toEqual(["Usage: pilotlight records [options] [command] [TASK]\n", ""]);
});
