/**
 * `npm run bench -- NAME …`, `npm run soak -- NAME …`: sets up, then runs bench/NAME.ts or bench/NAME/index.ts
 * (bench/soak for soaks) in this process, through tsx. The first argument is the folder, put there by the npm script.
 *
 * tsx wraps closures to keep their names, which costs on hot paths. So what is measured comes from `dist`
 * (`#dist/engine/native.js`, typed by the sources, or the real `dist/cli/bin.js`); only the bench itself is TypeScript here.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { prepare } from "./lib/prepare.mjs";
import { ROOT } from "./lib/root.mjs";

const [folder = "bench", name, ...rest] = process.argv.slice(2);
const file = name === undefined || name.startsWith("-") ? undefined : entryOf(name);

if (file === undefined) {
  const wrong = name === undefined ? "Give a name" : `There is no ${join(folder, name)}`;
  const known = names().map((line) => `  ${line}\n`);
  process.stderr.write(`${wrong}; ${known.length === 0 ? "none exist yet" : "these exist:"}\n${known.join("")}`);
  process.exitCode = 2;
} else {
  await prepare();
  process.argv = [process.execPath, file, ...rest];
  const { register } = await import("tsx/esm/api");
  register();
  await import(pathToFileURL(file).href);
}

/** @param {string} name */
function entryOf(name) {
  return [join(ROOT, folder, `${name}.ts`), join(ROOT, folder, name, "index.ts")].find((path) => existsSync(path));
}

/** Everything with an entry, and the first sentence of its head. */
function names() {
  const entries = existsSync(join(ROOT, folder)) ? readdirSync(join(ROOT, folder)) : [];
  return [...new Set(entries.map((entry) => entry.replace(/\.ts$/, "")))].sort().flatMap((known) => {
    const path = entryOf(known);
    if (path === undefined) return [];
    const head = /\/\*\*[\s*]*([^\n.]*)/.exec(readFileSync(path, "utf8"))?.[1];
    return [head === undefined ? known : `${known.padEnd(12)} ${head}`];
  });
}
