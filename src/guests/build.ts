/**
 * Builds a function's source into the component that its manifest names.
 *
 * TypeScript and JavaScript are bundled by rolldown, which strips the types, and turned into a component by
 * componentize-qjs, the QuickJS half of jco. Nothing but npm packages is needed, and nothing is fetched. A
 * manifest may name a command instead, for every other language. Deploying is somebody else's.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, extname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export interface BuildOptions {
  /** Where a build command's output goes; left out, it is kept for the error message only. */
  readonly output?: (text: string) => void;
}

export interface BuiltGuest {
  /** Absolute path of the component. */
  readonly component: string;
  readonly bytes: number;
  readonly milliseconds: number;
}

/** A build that cannot work or did not; the message says what is wrong, where, and what would be right. */
class BuildError extends Error {
  override readonly name = "BuildError";
}

/** `build` of a manifest: one of the two. */
type Recipe =
  /** `wit`: a file or folder with the world; left out, it is one of ours. */
  | { readonly kind: "source"; readonly source: string; readonly world: string; readonly wit: string | undefined }
  | { readonly kind: "command"; readonly command: string };

interface Plan {
  readonly directory: string;
  readonly component: string;
  readonly recipe: Recipe;
}

/** The worlds of `wit/pilotlight` that a manifest can name, and what the source has to export for each. */
const WORLDS: Readonly<Record<string, string>> = { http: "handler" };
/**
 * What a function can import beside its world. A component gets those that its bundle imports and no other, so that it
 * asks a host for nothing that it does not use.
 */
const CAPABILITIES: readonly string[] = [
  "wasi:config/store@0.2.0-rc.1",
  "wasi:keyvalue/store@0.2.0-draft2",
  "wasi:keyvalue/atomics@0.2.0-draft2",
  "wasi:keyvalue/batch@0.2.0-draft2",
  "wasi:logging/logging@0.1.0-draft",
  "pilotlight:triggers/announce@0.1.0",
  "pilotlight:triggers/queue@0.1.0",
];
/** Our WIT packages beside WASI's, for worlds that import them. */
const PACKAGES: readonly string[] = ["dispatch.wit", "memo.wit", "sidecar.wit", "task.wit", "triggers.wit"];
/** `acme:image/resize@1.2.0` */
const INTERFACE = /^[a-z][a-z0-9-]*:[a-z][a-z0-9-]*\//;
const SOURCES: readonly string[] = [".ts", ".mts", ".js", ".mjs"];

/** Builds the function in `directory`, where its `pilotlight.json` is. */
export async function buildGuest(directory: string, options: BuildOptions = {}): Promise<BuiltGuest> {
  const started = performance.now();
  const plan = await readPlan(resolve(directory));
  if (plan.recipe.kind === "command") await runCommand(plan, plan.recipe.command, options);
  else await componentize(plan, plan.recipe);
  const { size } = await stat(plan.component);
  return { component: plan.component, bytes: size, milliseconds: performance.now() - started };
}

async function readPlan(directory: string): Promise<Plan> {
  const file = join(directory, "pilotlight.json");
  const manifest = record(await readJson(file), file);
  const component = text(manifest["component"], file, "component", 'the path of the component to write, like "hello.wasm"');
  const build = manifest["build"];
  const example = '{ "source": "index.ts", "world": "http", "engine": "quickjs" } or { "command": "make" }';
  if (build === undefined) throw new BuildError(`${file}: there is no "build"; it says how, for example ${example}`);
  const recipe = readRecipe(record(build, `${file}: build`, example), file);
  if (recipe.kind === "source" && !existsSync(join(directory, recipe.source))) {
    throw new BuildError(`${file}: build.source names ${recipe.source}, which is not in ${directory}`);
  }
  if (recipe.kind === "source" && recipe.wit !== undefined && !existsSync(join(directory, recipe.wit))) {
    throw new BuildError(`${file}: build.wit names ${recipe.wit}, which is not in ${directory}`);
  }
  return { directory, component: resolve(directory, component), recipe };
}

function readRecipe(build: Readonly<Record<string, unknown>>, file: string): Recipe {
  const fields = ["source", "world", "wit", "engine", "command"];
  const unknown = Object.keys(build).find((field) => !fields.includes(field));
  if (unknown !== undefined) throw new BuildError(`${file}: build.${unknown} is not a field; there are ${fields.join(", ")}`);
  if (build["command"] !== undefined) {
    if (Object.keys(build).length > 1)
      throw new BuildError(`${file}: build has a "command" and other fields; it is either a command or a source with world and engine`);
    return { kind: "command", command: text(build["command"], file, "build.command", 'a shell command, like "make"') };
  }
  const source = text(build["source"], file, "build.source", "the path of a TypeScript or JavaScript file");
  if (!SOURCES.includes(extname(source)))
    throw new BuildError(`${file}: build.source is ${source}; it has to end in ${SOURCES.join(", ")}`);
  const engine = build["engine"] ?? "quickjs";
  if (engine !== "quickjs")
    throw new BuildError(`${file}: build.engine ${JSON.stringify(engine)} is not supported by this version; it has to be "quickjs"`);
  if (build["wit"] !== undefined) {
    const wit = text(build["wit"], file, "build.wit", 'a WIT file or a folder of them, like "world.wit"');
    return { kind: "source", source, wit, world: text(build["world"], file, "build.world", `the name of a world in ${wit}`) };
  }
  const world = text(build["world"] ?? "http", file, "build.world", `one of ${Object.keys(WORLDS).join(", ")}`);
  if (!Object.hasOwn(WORLDS, world))
    throw new BuildError(
      `${file}: build.world ${JSON.stringify(world)} is none of ours; there is ${Object.keys(WORLDS)
        .map((name) => `"${name}"`)
        .join(", ")}, and one of your own takes "wit", the file that it is in`,
    );
  return { kind: "source", source, world, wit: undefined };
}

async function readJson(file: string): Promise<unknown> {
  let content: string;
  try {
    content = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new BuildError(`${file}: there is no such file; a function's folder has a pilotlight.json`, { cause: error });
  }
  try {
    return JSON.parse(content);
  } catch (error) {
    throw new BuildError(`${file}: not valid JSON: ${(error as Error).message}`, { cause: error });
  }
}

function record(value: unknown, where: string, right = "an object"): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new BuildError(`${where}: expected ${right}, found ${JSON.stringify(value)}`);
}

function text(value: unknown, file: string, field: string, right: string): string {
  if (typeof value === "string" && value !== "") return value;
  throw new BuildError(`${file}: ${field} is ${value === undefined ? "missing" : JSON.stringify(value)}; it has to be ${right}`);
}

async function componentize(plan: Plan, recipe: Extract<Recipe, { kind: "source" }>): Promise<void> {
  const entry = join(plan.directory, recipe.source);
  const { source, imports, exports } = await bundle(entry, recipe.wit === undefined ? WORLDS[recipe.world] : undefined);
  const work = await mkdtemp(join(tmpdir(), "pilotlight-build-"));
  try {
    const world = await resolveWit(
      work,
      recipe.wit === undefined ? undefined : join(plan.directory, recipe.wit),
      recipe.world,
      CAPABILITIES.filter((id) => imports.includes(id)),
    );
    const { componentize: toComponent } = await import("componentize-qjs");
    // The bundle is self-contained: the engine gets an empty folder to resolve modules in, not the user's.
    const jsPath = join(work, `${basename(entry, extname(entry))}.js`);
    await writeFile(jsPath, source);
    const { component } = await toComponent({
      witPath: work,
      jsSource: source,
      jsPath,
      moduleRoot: work,
      world,
      optSize: false,
    }).catch((error: unknown) => {
      throw new BuildError(`${entry}: ${explain(error, recipe)}`, { cause: error });
    });
    if (recipe.wit !== undefined) await checkExports(component, exports, entry, recipe.world);
    await replace(plan.component, component);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/**
 * One module without types; `pilotlight/guest` is bundled in, imports of interfaces stay for the engine. `needed`: what has to
 * be exported, where that is known; of a world of one's own the engine says what is missing.
 */
async function bundle(
  entry: string,
  needed: string | undefined,
): Promise<{ readonly source: string; readonly imports: readonly string[]; readonly exports: readonly string[] }> {
  const { rolldown } = await import("rolldown");
  const guest = ["./guest.js", "./guest.ts"].map((file) => fileURLToPath(new URL(file, import.meta.url))).find((file) => existsSync(file));
  const isBuiltIn = (id: string): boolean => (needed === undefined ? INTERFACE : /^(?:wasi|pilotlight):/).test(id);
  const warnings: string[] = [];
  try {
    await using build = await rolldown({
      input: entry,
      cwd: dirname(entry),
      platform: "neutral",
      tsconfig: false,
      external: isBuiltIn,
      // What is not used of the host is not imported from it either.
      treeshake: { moduleSideEffects: [{ test: INTERFACE, external: true, sideEffects: false }] },
      resolve: { alias: { "pilotlight/guest": guest as string }, mainFields: ["module", "main"], conditionNames: ["import", "default"] },
      experimental: { attachDebugInfo: "none" },
      onLog: (_level, log) => warnings.push(log.message),
    });
    const { output } = await build.generate({ format: "esm", codeSplitting: false, comments: false });
    const unresolved = output[0].imports.filter((id) => !isBuiltIn(id));
    if (unresolved.length > 0)
      throw new BuildError(
        `${entry}: nothing provides ${unresolved.join(", ")}; a function can import its own files, npm packages and wasi: interfaces of its world${warnings.map((warning) => `\n${warning}`).join("")}`,
      );
    if (needed !== undefined && !output[0].exports.includes(needed))
      throw new BuildError(
        `${entry}: there is no export named ${needed}; a function that answers HTTP has \`export const handler = serve(…)\``,
      );
    return { source: output[0].code, imports: output[0].imports, exports: output[0].exports };
  } catch (error) {
    if (error instanceof BuildError) throw error;
    throw new BuildError(`${entry}: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Our worlds, or those of the function's own, with every WASI package beside them, as the WIT parser wants it. Gives the name
 * of `world`, of ours with `capabilities` added.
 */
async function resolveWit(to: string, own: string | undefined, world: string, capabilities: readonly string[]): Promise<string> {
  const wit = fileURLToPath(new URL("../../wit/", import.meta.url));
  const deps = join(to, "deps");
  const ours = own ?? join(wit, "pilotlight", "worlds.wit");
  if ((await stat(ours)).isDirectory()) await cp(ours, to, { recursive: true });
  else await cp(ours, join(to, basename(ours)));
  // A folder that brings its dependencies brings all of them.
  if (existsSync(deps)) return world;
  await mkdir(deps);
  for (const file of PACKAGES) await cp(join(wit, "pilotlight", file), join(deps, file));
  for (const version of await readdir(join(wit, "wasi"))) {
    for (const file of await readdir(join(wit, "wasi", version)))
      await cp(join(wit, "wasi", version, file), join(deps, `${version}-${file}`));
  }
  if (own !== undefined || capabilities.length === 0) return world;
  const imports = capabilities.map((id) => `  import ${id};\n`).join("");
  await writeFile(join(to, "built.wit"), `package pilotlight:guest@0.1.0;\n\nworld built {\n  include ${world};\n${imports}}\n`);
  return "built";
}

/** componentize-qjs makes a component of a module that lacks what the world exports; then its calls fail, and nobody is told why. */
async function checkExports(component: Uint8Array, exports: readonly string[], entry: string, world: string): Promise<void> {
  const { componentWit } = await import("@bytecodealliance/jco");
  const wit = await componentWit(component);
  const lines = [...wit.matchAll(/^ {2}export (\S+?)(?:;|: )/gm)];
  for (const [, id = ""] of lines) {
    // The engine's own.
    if (id === "init") continue;
    const name = camelCase(id.replace(/^.*\//, "").replace(/@.*$/, ""));
    if (exports.includes(name) || exports.includes(id)) continue;
    const what = id.includes("/") ? `\`export const ${name} = { … }\` with the functions of ${id}` : `\`export function ${name}(…)\``;
    throw new BuildError(`${entry}: there is no export named ${name}; the world ${world} needs ${what}`);
  }
}

function camelCase(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** What componentize-qjs said, without the empty parts of its chain of causes; in our words where it speaks of its own parts. */
function explain(error: unknown, { world, wit }: Extract<Recipe, { kind: "source" }>): string {
  const message = error instanceof Error ? error.message : String(error);
  const called = /!adapter (\S+)/.exec(message)?.[1];
  if (called !== undefined)
    return `the module's top level calls the host (${called}); it runs once, while the component is built, where there is no host: call it inside the handler`;
  const unknown = /failed to resolve JavaScript import "([^"]+)"/.exec(message)?.[1];
  if (unknown !== undefined && wit !== undefined) return `the world ${world} of ${wit} does not import ${unknown}`;
  if (unknown !== undefined)
    return `the world ${world} does not have ${unknown}; beside its own interfaces a function can import ${CAPABILITIES.join(", ")}`;
  return message.replace(/^[\s:]+/, "").trimEnd();
}

/** A build that dies half-way leaves the old component as it was. */
async function replace(file: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const partial = `${file}.${process.pid}.partial`;
  await writeFile(partial, bytes);
  await rename(partial, file);
}

async function runCommand(plan: Plan, command: string, options: BuildOptions): Promise<void> {
  const child = spawn(command, { cwd: plan.directory, shell: true, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  const hear = (chunk: Buffer): void => {
    said = (said + chunk.toString()).slice(-8192);
    options.output?.(chunk.toString());
  };
  child.stdout.on("data", hear);
  child.stderr.on("data", hear);
  const status = await new Promise<string>((done, failed) => {
    child.on("error", failed);
    child.on("close", (code, signal) => done(signal ?? String(code)));
  });
  const where = join(plan.directory, "pilotlight.json");
  if (status !== "0")
    throw new BuildError(`${where}: build.command \`${command}\` ended with ${status}${options.output ? "" : `:\n${said.trim()}`}`);
  if (!existsSync(plan.component))
    throw new BuildError(`${where}: build.command \`${command}\` worked but did not write ${plan.component}`);
}
