/** `npm run fix`: everything `npm run check` complains of that a tool can put right by itself. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runOpenly } from "./lib/child.mjs";
import { completed, missingOptional } from "./lib/lockfile.mjs";
import { prepare } from "./lib/prepare.mjs";
import { withCargoBin } from "./lib/requirements.mjs";
import { ROOT } from "./lib/root.mjs";
import { writeWhole } from "./lib/stamp.mjs";

completeLockFile(join(ROOT, "package-lock.json"));
await prepare({ only: ["deps"] });
/** @type {[string, string[]][]} */
const fixes = [
  [process.execPath, [join(ROOT, "node_modules/oxlint/bin/oxlint"), "--fix"]],
  [process.execPath, [join(ROOT, "node_modules/oxfmt/bin/oxfmt")]],
  ["cargo", ["fmt", "--all", "--manifest-path", "native/Cargo.toml"]],
];
for (const [command, args] of fixes) {
  const status = await runOpenly(command, args, { cwd: ROOT, env: withCargoBin(process.env) }).catch((error) => {
    console.error(`${command} could not be started: ${error.message}`);
    return 1;
  });
  if (status !== 0) process.exitCode = 1;
}

/**
 * Before anything is installed: `npm ci` refuses a lock file that lacks packages of other platforms.
 * @param {string} file
 */
function completeLockFile(file) {
  const lock = JSON.parse(readFileSync(file, "utf8"));
  if (missingOptional(lock).length > 0) writeWhole(file, `${JSON.stringify(completed(lock), null, 2)}\n`);
}
