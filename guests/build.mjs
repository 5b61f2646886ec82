#!/usr/bin/env node
/**
 * Rebuilds the components under `guests/` and `examples/`, and their digests.
 *
 *   node guests/build.mjs [NAME…]        all of them, or the named ones
 *   node guests/build.mjs --digests      only write the digests again
 *
 * A guest is a folder with a `build.json`:
 *
 *   about     what it does, one line; `guests/README.md` is made from it
 *   language  c, wat, or rust
 *   sources   beside its `<name>.c`: more C files, relative to the folder
 *   flags     more flags for zig cc
 *   bindgen   more flags for wit-bindgen
 *   target    for Rust: what it is compiled for, `wasm32-unknown-unknown` unless told; `wasm32-wasip2` has all of std
 *   shrink    true: goes through binaryen, for components whose size has a limit
 *
 * and, for C and Rust, a `world.wit` whose world is called `guest`. Imports are resolved against `wit/wasi`.
 *
 * Tools, looked up in the path or named by an environment variable:
 *   C     zig (ZIG; `pip install ziglang` gives `python3 -m ziglang`), 0.14 or newer
 *         wit-bindgen (WIT_BINDGEN; `cargo install wit-bindgen-cli --locked`), 0.63
 *   Rust  cargo and rustc with the wasm32-unknown-unknown target, or Debian's rustc-web, cargo-web and rust-web-src;
 *         `rustup target add wasm32-wasip2` for the guests that say so
 *   all   jco, from node_modules
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const GUESTS = join(ROOT, "guests");
const WASI = join(ROOT, "wit", "wasi");
const JCO = join(ROOT, "node_modules", "@bytecodealliance", "jco", "dist", "jco.js");
/** Examples that are committed as components, each with a `digests.json` of its own. */
const EXAMPLES = ["c-hello", "imports", "language/letters", "rust-hello"];

/** Interfaces that get a short prefix in the generated C. */
const PREFIXES = {
  "wasi:http/types@0.2.12": "http",
  "wasi:http/types@0.3.0": "http",
  "wasi:http/incoming-handler@0.2.12": "incoming",
  "wasi:http/handler@0.3.0": "handler",
  "wasi:http/outgoing-handler@0.2.12": "outgoing",
  "wasi:http/client@0.3.0": "client",
  "wasi:io/streams@0.2.12": "io",
  "wasi:io/poll@0.2.12": "poll",
  "wasi:io/error@0.2.12": "io_failure",
  "wasi:clocks/monotonic-clock@0.2.12": "clock",
  "wasi:clocks/monotonic-clock@0.3.0": "clock",
  "wasi:cli/stdin@0.2.12": "cli_in",
  "wasi:cli/stdin@0.3.0": "cli_in",
  "wasi:cli/stdout@0.2.12": "cli_out",
  "wasi:cli/stdout@0.3.0": "cli_out",
  "wasi:cli/stderr@0.2.12": "cli_err",
  "wasi:cli/stderr@0.3.0": "cli_err",
  "wasi:cli/environment@0.2.12": "environment",
  "wasi:cli/environment@0.3.0": "environment",
  "wasi:cli/exit@0.2.12": "cli_exit",
  "wasi:cli/exit@0.3.0": "cli_exit",
  "wasi:cli/run@0.2.12": "cli_run",
  "wasi:cli/run@0.3.0": "cli_run",
  "wasi:filesystem/types@0.2.12": "files",
  "wasi:filesystem/types@0.3.0": "files",
  "wasi:filesystem/preopens@0.2.12": "preopens",
  "wasi:filesystem/preopens@0.3.0": "preopens",
  "wasi:config/store@0.2.0-rc.1": "config",
  "wasi:logging/logging@0.1.0-draft": "logging",
  "demo:math/calc": "calc",
  "demo:app/run": "app",
  "demo:db/query": "db",
  "demo:storage/blobs@1.2.0": "blobs",
  "demo:mail/outbox": "outbox",
};

class BuildError extends Error {}

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: "utf8", ...options });
  if (result.error) throw new BuildError(`${command}: ${result.error.message}`);
  if (result.status !== 0) throw new BuildError(`${[command, ...args].join(" ")}\n${result.stdout}${result.stderr}`);
  return result.stdout;
}

const works = (command, args) => spawnSync(command, args).status === 0;

function zig() {
  const candidates = process.env.ZIG ? [process.env.ZIG.split(" ")] : [["zig"], ["python3", "-m", "ziglang"], ["python", "-m", "ziglang"]];
  const found = candidates.find(([command, ...args]) => works(command, [...args, "version"]));
  if (!found) throw new BuildError("no zig: install it (`pip install ziglang`), or name it in ZIG");
  return found;
}

function witBindgen() {
  const found = [process.env.WIT_BINDGEN, "wit-bindgen", join(process.env.HOME ?? "", ".cargo/bin/wit-bindgen")].find(
    (c) => c && works(c, ["--version"]),
  );
  if (!found) throw new BuildError("no wit-bindgen: `cargo install wit-bindgen-cli --locked`, or name it in WIT_BINDGEN");
  return found;
}

function jco(...args) {
  if (!existsSync(JCO)) throw new BuildError("no jco: run `npm install` first");
  run(process.execPath, [JCO, ...args]);
}

/** `world.wit` with every package of `wit/wasi` beside it, as the WIT tools want it. */
function resolveWit(folder, work) {
  const wit = join(work, "wit");
  const deps = join(wit, "deps");
  mkdirSync(deps, { recursive: true });
  cpSync(join(folder, "world.wit"), join(wit, "world.wit"));
  for (const version of readdirSync(WASI)) {
    for (const file of readdirSync(join(WASI, version))) cpSync(join(WASI, version, file), join(deps, `${version}-${file}`));
  }
  return wit;
}

function buildC(folder, name, spec, work) {
  const wit = resolveWit(folder, work);
  const generated = join(work, "gen");
  const renames = Object.entries(PREFIXES).map(([from, to]) => `--rename=${from}=${to}`);
  run(witBindgen(), ["c", wit, "--world", "guest", "--out-dir", generated, ...renames, ...(spec.bindgen ?? [])]);
  const core = join(work, "core.wasm");
  const [command, ...prefix] = zig();
  run(command, [
    ...prefix,
    "cc",
    "-target",
    "wasm32-wasi",
    "-mexec-model=reactor",
    "-std=c23",
    spec.optimise ?? "-Os",
    "-s",
    "-Wall",
    "-Werror",
    `-I${generated}`,
    `-I${join(GUESTS, "shared")}`,
    "-Wl,-z,stack-size=65536",
    ...(spec.flags ?? []),
    join(folder, `${name}.c`),
    ...(spec.sources ?? []).map((file) => join(folder, file)),
    join(generated, "guest.c"),
    join(generated, "guest_component_type.o"),
    "-o",
    core,
  ]);
  jco("new", core, "--wasi-reactor", "-o", join(folder, `${name}.wasm`));
}

function buildWat(folder, name) {
  jco("parse", join(folder, `${name}.wat`), "-o", join(folder, `${name}.wasm`));
}

function buildRust(folder, name, spec) {
  const target = spec.target ?? "wasm32-unknown-unknown";
  const environment = { ...process.env, CARGO_TARGET_DIR: join(tmpdir(), "pilotlight-guests-target"), RUSTFLAGS: remappedPaths(folder) };
  let cargo = "cargo";
  const flags = [];
  const installed = spawnSync("rustup", ["target", "list", "--installed"], { encoding: "utf8" }).stdout ?? "";
  if (!installed.includes(target)) {
    if (spec.target) throw new BuildError(`no Rust for ${target}: \`rustup target add ${target}\``);
    // Debian's rustc-web has the sources of std, and a rustup toolchain the linker.
    const debian = ["/usr/bin/cargo", "/usr/bin/rustc"];
    if (!debian.every(existsSync))
      throw new BuildError(`no Rust for ${target}: \`rustup target add ${target}\`, or Debian's rustc-web, cargo-web and rust-web-src`);
    Object.assign(environment, { RUSTC: debian[1], RUSTC_BOOTSTRAP: "1", CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER: rustLld() });
    cargo = debian[0];
    flags.push("-Z", "build-std=std,panic_abort");
  }
  run(cargo, ["build", "--release", "--locked", "--target", target, ...flags], { cwd: folder, env: environment });
  const built = join(environment.CARGO_TARGET_DIR, target, "release", `${name.replaceAll("-", "_")}.wasm`);
  // For wasm32-wasip2 the linker makes the component.
  if (target === "wasm32-wasip2") cpSync(built, join(folder, `${name}.wasm`));
  else jco("new", built, "-o", join(folder, `${name}.wasm`));
}

/** Flags that keep this machine's paths out of panic messages, and so the digest the same elsewhere. */
function remappedPaths(folder) {
  const registry = join(process.env.CARGO_HOME ?? join(process.env.HOME ?? "", ".cargo"), "registry", "src");
  const places = existsSync(registry) ? readdirSync(registry).map((name) => [join(registry, name), "crates"]) : [];
  places.push(["/usr/lib/rustlib/src/rust", "rust"], [folder, "."]);
  return places.map(([from, to]) => `--remap-path-prefix=${from}=${to}`).join(" ");
}

function rustLld() {
  const sysroot = spawnSync("rustc", ["--print", "sysroot"], { encoding: "utf8" }).stdout?.trim();
  const host = /host: (.*)/.exec(spawnSync("rustc", ["-vV"], { encoding: "utf8" }).stdout ?? "")?.[1];
  const found = sysroot && host && join(sysroot, "lib", "rustlib", host, "bin", "rust-lld");
  if (!found || !existsSync(found))
    throw new BuildError("no rust-lld: add the wasm32-unknown-unknown target, or install a rustup toolchain");
  return found;
}

const BUILDERS = { c: buildC, wat: buildWat, rust: buildRust };

function guestFolders() {
  const folders = readdirSync(GUESTS).map((name) => join(GUESTS, name));
  folders.push(...EXAMPLES.map((name) => join(ROOT, "examples", name)));
  return folders.filter((folder) => existsSync(join(folder, "build.json")));
}

/** Makes `<folder>/<its name>.wasm`. */
function build(folder) {
  const name = basename(folder);
  const spec = JSON.parse(readFileSync(join(folder, "build.json"), "utf8"));
  const work = mkdtempSync(join(tmpdir(), "pilotlight-guest-"));
  try {
    BUILDERS[spec.language](folder, name, spec, work);
    if (spec.shrink) jco("opt", join(folder, `${name}.wasm`), "-o", join(folder, `${name}.wasm`));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function digestOf(folder) {
  const bytes = readFileSync(join(folder, `${basename(folder)}.wasm`));
  return {
    sha256: createHash("sha256").update(bytes).digest("hex"),
    bytes: bytes.length,
    command: `node guests/build.mjs ${basename(folder)}`,
  };
}

function writeDigests(folders) {
  const built = folders.filter((folder) => existsSync(join(folder, `${basename(folder)}.wasm`)));
  const write = (file, entries) => writeFileSync(file, `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`);
  const shipped = built.filter((folder) => dirname(folder) === GUESTS);
  write(
    join(GUESTS, "digests.json"),
    shipped.map((folder) => [basename(folder), digestOf(folder)]),
  );
  for (const folder of built) if (dirname(folder) !== GUESTS) write(join(folder, "digests.json"), [[basename(folder), digestOf(folder)]]);
}

/** The table between the markers of `guests/README.md`. */
function writeTable(folders) {
  const file = join(GUESTS, "README.md");
  if (!existsSync(file)) return;
  const rows = folders
    .filter((folder) => dirname(folder) === GUESTS)
    .map((folder) => {
      const { about, language } = JSON.parse(readFileSync(join(folder, "build.json"), "utf8"));
      return `| \`${basename(folder)}\` | ${about} | ${language} | \`node guests/build.mjs ${basename(folder)}\` |`;
    });
  const table = ["| guest | what it does | source | build |", "|---|---|---|---|", ...rows].join("\n");
  writeFileSync(
    file,
    readFileSync(file, "utf8").replace(/(<!-- guests -->\n)[^]*?(<!-- end -->)/, (_, start, end) => `${start}${table}\n${end}`),
  );
}

const arguments_ = process.argv.slice(2);
const folders = guestFolders();
const names = arguments_.filter((argument) => !argument.startsWith("-"));
try {
  const unknown = names.filter((name) => !folders.some((folder) => basename(folder) === name));
  if (unknown.length > 0)
    throw new BuildError(`no such guest: ${unknown.join(", ")}; there are ${folders.map((f) => basename(f)).join(", ")}`);
  if (!arguments_.includes("--digests")) {
    for (const folder of folders) {
      if (names.length > 0 && !names.includes(basename(folder))) continue;
      build(folder);
      console.log(`${relative(ROOT, folder)}  ${digestOf(folder).bytes} bytes`);
    }
  }
  writeDigests(folders);
  writeTable(folders);
} catch (error) {
  if (!(error instanceof BuildError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
