/** `new`: a folder with a function that builds and answers, to begin with. */
import { type Command, Option } from "commander";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { UserError } from "../../base/errors.js";
import { newCommand } from "../command.js";
import { remark } from "../output.js";
import type { Terminal } from "../terminal.js";

const TEMPLATES = ["ts", "rust", "c", "sidecar-ts", "sidecar-rust"] as const;
type Template = (typeof TEMPLATES)[number];

/** `templates/` and `wit/` lie beside `src/` and `dist/` alike. */
const PACKAGE = fileURLToPath(new URL("../../../", import.meta.url));
const NAME = /^[a-z][a-z0-9-]{0,62}$/;

export function newFunctionCommand(terminal: Terminal): Command {
  return newCommand(terminal, "new", "Makes a folder with a function to begin with: manifest, source and README.", [
    "new hello",
    "new hello --template rust",
    "new audit --template sidecar-ts",
  ])
    .argument("<NAME>", "the task's name, and the folder's; or a path whose last part it is")
    .addOption(new Option("--template <LANGUAGE>", "what to write it in").choices(TEMPLATES).default("ts"))
    .action((target: string, { template }: { template: Template }) => {
      const folder = resolve(terminal.cwd, target);
      writeTemplate(template, basename(folder), folder);
      const shown = relative(terminal.cwd, folder) || ".";
      remark(terminal, `made ${shown} (${readdirSync(folder).sort().join(", ")}); next:\n  pilotlight deploy ${shown} --build`);
    });
}

/** Fills `folder`, which is new or empty. Throws a `UserError` for a name that no task can have and a folder in use. */
function writeTemplate(template: Template, name: string, folder: string): void {
  if (!NAME.test(name))
    throw new UserError(
      `${JSON.stringify(name)} cannot be a task's name: expected lower-case letters, digits and dashes, beginning with a letter, at most 63 long`,
      { exitCode: 2 },
    );
  if (existsSync(folder) && (!statSync(folder).isDirectory() || readdirSync(folder).length > 0))
    throw new UserError(`${folder} is there already and not empty; choose another name, or remove it`);
  copy(join(PACKAGE, "templates", template), folder, name);
  if (template === "sidecar-rust") cpSync(join(PACKAGE, "wit", "pilotlight", "sidecar.wit"), join(folder, "wit", "sidecar.wit"));
  // The C bindings are made from the interfaces, so they come along.
  if (template === "c") cpSync(join(PACKAGE, "wit", "wasi", "0.2.12"), join(folder, "wit", "deps"), { recursive: true });
}

/** Copies text files with the name put in. npm leaves out `.gitignore` when it packs, so here it has no dot. */
function copy(from: string, to: string, name: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const inner = join(from, entry.name);
    if (entry.isDirectory()) copy(inner, join(to, entry.name), name);
    else
      writeFileSync(
        join(to, entry.name === "gitignore" ? ".gitignore" : filled(entry.name, name)),
        filled(readFileSync(inner, "utf8"), name),
      );
  }
}

/** `{{name}}` is the name; `{{crate}}` is the name as Rust spells it in file names. */
function filled(text: string, name: string): string {
  return text.replaceAll("{{name}}", name).replaceAll("{{crate}}", name.replaceAll("-", "_"));
}
