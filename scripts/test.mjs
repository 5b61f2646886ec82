/**
 * `npm test`: sets up, then checks, `cargo test` and vitest, the quick ones first. All of them run whatever
 * happens, and the last line is `N passed, N failed` over everything; a failed check counts as one failure.
 *
 * With arguments (`npm test -- test/pool`) vitest alone runs, with those arguments.
 */
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { runChecks } from "./lib/checks.mjs";
import { runOpenly } from "./lib/child.mjs";
import { prepare } from "./lib/prepare.mjs";
import { withCargoBin } from "./lib/requirements.mjs";
import { ROOT } from "./lib/root.mjs";
import { cargoTally, closingLine, sum, vitestTally } from "./lib/tally.mjs";

const args = process.argv.slice(2);

await prepare();
const tallies = args.length > 0 ? [await vitest(args)] : [await check(), await cargoTest(), await vitest([])];
const total = sum(tallies);
console.log(closingLine(total));
process.exitCode = total.failed === 0 ? 0 : 1;

async function check() {
  title("check");
  const failed = await runChecks(ROOT);
  return { passed: 0, failed: failed.length };
}

async function cargoTest() {
  title("cargo test");
  let output = "";
  const status = await runOpenly("cargo", ["test", "--release", "--workspace", "--locked", "--manifest-path", "native/Cargo.toml"], {
    cwd: ROOT,
    env: withCargoBin(process.env),
    onOutput: (text) => (output += text),
  });
  return cargoTally(output, status);
}

/** @param {string[]} filters */
async function vitest(filters) {
  title("vitest");
  const file = join(ROOT, ".cache/vitest.json");
  mkdirSync(join(ROOT, ".cache"), { recursive: true });
  rmSync(file, { force: true });
  const vitestArgs = ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${file}`, ...filters];
  const status = await runOpenly(process.execPath, [join(ROOT, "node_modules/vitest/vitest.mjs"), ...vitestArgs], { cwd: ROOT });
  return vitestTally(readReport(file), status);
}

/** @param {string} file */
function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

/** @param {string} text */
function title(text) {
  console.log(`\n== ${text}`);
}
