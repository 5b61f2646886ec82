/**
 * A session as a document shows it: `$ command` lines, each followed by what it printed.
 *
 * One shell runs all of them, as a reader's would, so that variables and folders carry over. `pilotlight` is the real
 * program; `curl` is a stand-in that fetches one URL, because not every machine has it.
 */
import { spawn } from "node:child_process";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { ROOT, tempDir } from "./files.js";

export interface Step {
  readonly command: string;
  /** What it prints, both streams, without the last line end. */
  readonly output: string;
}

export interface RanStep extends Step {
  readonly exit: number;
}

/** The session between two markers of a document. Throws when there is none: a test over no steps proves nothing. */
export function readSession(file: string, begin: string, end: string): Step[] {
  const document = readFileSync(file, "utf8");
  const [from, to] = [document.indexOf(begin), document.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${file} has no ${begin} … ${end}`);
  const blocks = document.slice(from, to).matchAll(/^```\n([^]*?)^```$/gm);
  const steps = [...blocks].flatMap(([, block]) => stepsOf(block as string));
  if (steps.length === 0) throw new Error(`${file} shows no commands between ${begin} and ${end}`);
  return steps;
}

function stepsOf(block: string): Step[] {
  return block
    .split(/^\$ /m)
    .slice(1)
    .map((text) => {
      const [command, ...output] = text.trimEnd().split("\n");
      return { command: command as string, output: output.join("\n") };
    });
}

/** Runs the commands in a folder, with `env` beside the usual environment. Gives what each printed and how it ended. */
export async function runSession(
  commands: readonly string[],
  env: Readonly<Record<string, string>>,
  folder: string = tempDir(),
): Promise<RanStep[]> {
  const mark = "@@@ step";
  const script = commands.flatMap((command) => [command, `printf '\\n${mark} %d\\n' $?`]).join("\n");
  const path = `${programs()}${delimiter}${process.env["PATH"]}`;
  const child = spawn("sh", ["-c", `exec 2>&1\n${script}`], {
    cwd: folder,
    env: { ...process.env, NO_COLOR: "1", ...env, PATH: path },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (printed += text));
  await new Promise((resolve, reject) => child.on("close", resolve).on("error", reject));
  const parts = printed.split(new RegExp(`\\n${mark} (\\d+)\\n`));
  return commands.map((command, i) => ({ command, output: (parts[2 * i] ?? "").trimEnd(), exit: Number(parts[2 * i + 1]) }));
}

/** A folder for the path. */
function programs(): string {
  const folder = tempDir({ "fetch.mjs": "process.stdout.write(await (await fetch(process.argv.at(-1))).text());\n" });
  const files = { pilotlight: join(ROOT, "dist/cli/bin.js"), curl: join(folder, "fetch.mjs") };
  for (const [name, file] of Object.entries(files)) {
    writeFileSync(join(folder, name), `#!/bin/sh\nexec '${process.execPath}' '${file}' "$@"\n`);
    chmodSync(join(folder, name), 0o755);
  }
  return folder;
}
