/** `build`: source to component. */
import type { Command } from "commander";
import { relative, resolve } from "node:path";
import { buildGuest } from "../../guests/build.js";
import { newCommand } from "../command.js";
import type { Terminal } from "../terminal.js";

export function buildCommand(terminal: Terminal): Command {
  return newCommand(terminal, "build", "Builds a function's source into the component that its pilotlight.json names.", [
    "build",
    "build examples/hello",
  ])
    .argument("[DIR]", "the folder with pilotlight.json", ".")
    .action(async (directory: string) => await build(terminal, resolve(terminal.cwd, directory)));
}

/** Builds what is in `directory` and says so on stderr. */
export async function build(terminal: Terminal, directory: string): Promise<void> {
  const built = await buildGuest(directory, { output: (text) => terminal.stderr.write(text) });
  const seconds = (built.milliseconds / 1000).toFixed(1);
  const file = relative(terminal.cwd, built.component);
  terminal.stderr.write(`built ${file}: ${Math.ceil(built.bytes / 1024)} KiB in ${seconds} s\n`);
}
