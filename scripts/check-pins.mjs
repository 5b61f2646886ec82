/** Promises about the repository, checked over what git has or would take. `npm run check` runs it. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { digestProblems, lockProblems, nativeProblems, onlyProblems, pinProblems, sizeProblems } from "./lib/pins.mjs";
import { ROOT } from "./lib/root.mjs";

const files = listed();
if (files === undefined) console.log("not a git checkout: nothing to check");
const problems = files === undefined ? [] : brokenPromises(files);
for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;

/** @param {string[]} files */
function brokenPromises(files) {
  const manifest = json("package.json");
  const digests = Object.fromEntries(
    files.filter((file) => /^(guests|examples)\/.*digests\.json$/.test(file)).map((file) => [file, json(file)]),
  );
  return [
    ...pinProblems(manifest),
    ...lockProblems(manifest, json("package-lock.json")),
    ...nativeProblems(read("native/Cargo.toml"), read("native/Cargo.lock"), manifest.version),
    ...digestProblems(digests, files, (file) => readFileSync(join(ROOT, file))),
    ...sizeProblems(
      files.map((file) => ({ file, bytes: statSync(join(ROOT, file)).size })),
      digests,
    ),
    ...files.filter((file) => file.endsWith(".test.ts")).flatMap((file) => onlyProblems(file, read(file))),
  ];
}

/**
 * Tracked files, and new ones that git does not ignore; undefined outside a checkout.
 * @returns {string[] | undefined}
 */
function listed() {
  try {
    const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    const output = execFileSync("git", args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    return output.split("\0").filter((file) => file !== "" && existsSync(join(ROOT, file)));
  } catch {
    return undefined;
  }
}

/** @param {string} file */
function read(file) {
  return readFileSync(join(ROOT, file), "utf8");
}

/** @param {string} file */
function json(file) {
  return JSON.parse(read(file));
}
