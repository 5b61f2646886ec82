/**
 * `npm run build:release`: the addon with link-time optimisation, and the npm packages around it, in npm/:
 * npm/<platform>/ with the addon, npm/pilotlight/ with everything else, and a tarball of each.
 *
 *   --target=TRIPLE      for another machine, one of package.json's napi.targets (its toolchain must be there)
 *   --profile=release    without link-time optimisation, to try the packaging
 */
import { cpSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cargoBuild } from "./lib/cargo.mjs";
import { ChildFailure, npmCommand, runQuietly } from "./lib/child.mjs";
import { missingFiles, publishedManifest } from "./lib/packages.mjs";
import { addonFile, platformName, platformOfTriple } from "./lib/platform.mjs";
import { prepare } from "./lib/prepare.mjs";
import { createProgress } from "./lib/progress.mjs";
import { ROOT } from "./lib/root.mjs";

const OUT = join(ROOT, "npm");
const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
const target = option("target");
const profile = option("profile") ?? "dist";
const platform = target === undefined ? platformName() : platformOfTriple(target);
const addon = addonFile(platform);

await prepare({ only: ["deps", "ts"] });
const progress = createProgress(process.stdout, "release");
try {
  await step("addon", `building with the profile "${profile}"`, "built", buildAddon);
  await step("packages", "staging", "packed", packAll);
} catch (error) {
  progress.fail();
  process.stderr.write(error instanceof ChildFailure ? `${error.output}\n${error.message}: ${error.command}\n` : `${error}\n`);
  process.exitCode = 1;
}

/** @param {(doing: string) => void} update */
async function buildAddon(update) {
  const library = await cargoBuild(ROOT, ["--profile", profile, ...(target === undefined ? [] : ["--target", target])], update);
  rmSync(OUT, { recursive: true, force: true });
  const napi = join(ROOT, "node_modules/@napi-rs/cli/dist/cli.js");
  await runQuietly(process.execPath, [napi, "create-npm-dirs", "--npm-dir", "npm"], { cwd: ROOT });
  cpSync(library, join(OUT, platform, addon));
}

async function packAll() {
  cpSync(join(ROOT, "LICENSE"), join(OUT, platform, "LICENSE"));
  const main = join(OUT, manifest.name);
  mkdirSync(main, { recursive: true });
  for (const path of manifest.files)
    cpSync(join(ROOT, path), join(main, path), { recursive: true, filter: (file) => !file.endsWith(".stamp") });
  const bin = join(main, manifest.bin[manifest.name]);
  if (!readFileSync(bin, "utf8").startsWith("#!")) throw new Error(`${bin} must begin with #!/usr/bin/env node`);
  writeFileSync(join(main, "package.json"), `${JSON.stringify(publishedManifest(manifest), null, 2)}\n`);
  const packed = [
    await pack(join(OUT, platform), [addon, "package.json", "LICENSE"]),
    await pack(main, ["dist/index.js", "dist/index.d.ts", "dist/cli/bin.js", "wit/", "package.json", "LICENSE", "README.md"]),
  ];
  for (const file of packed) progress.note(`npm/${file} (${(statSync(join(OUT, file)).size / 1024 / 1024).toFixed(1)} MiB)`);
}

/**
 * Packs a folder after a look at what would be in it, and gives the name of the tarball.
 * @param {string} folder
 * @param {string[]} needed
 */
async function pack(folder, needed) {
  const [npm, ...args] = npmCommand();
  const output = await runQuietly(npm, [...args, "pack", "--json", "--dry-run"], { cwd: folder, quietStdout: true });
  const missing = missingFiles(
    contents(output).files.map(({ path }) => path),
    needed,
  );
  if (missing.length > 0) throw new Error(`${folder} would be packed without ${missing.join(", ")}`);
  return contents(await runQuietly(npm, [...args, "pack", "--json", "--pack-destination", OUT], { cwd: folder, quietStdout: true }))
    .filename;
}

/**
 * @param {string} output of `npm pack --json`
 * @returns {{ filename: string, files: { path: string }[] }}
 */
function contents(output) {
  return Object.values(JSON.parse(output))[0];
}

/**
 * @param {string} title
 * @param {string} doing
 * @param {string} done
 * @param {(update: (doing: string) => void) => Promise<void>} work
 */
async function step(title, doing, done, work) {
  progress.begin(title, doing);
  await work(progress.update);
  progress.finish(done);
}

/** @param {string} name */
function option(name) {
  return process.argv.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
}
