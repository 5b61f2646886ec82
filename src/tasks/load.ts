/** Reads a task from disk: its manifest and its component's bytes. */
import { readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { UserError } from "../base/errors.js";
import { parseJson } from "../base/json.js";
import { readManifest, type Manifest, type ManifestInput } from "./manifest.js";

export interface TaskFiles {
  /** Checked, as it was written. */
  readonly manifest: ManifestInput;
  readonly component: Uint8Array;
  /** Absolute path of the component, for messages. */
  readonly path: string;
}

const MANIFEST_FILE = "pilotlight.json";

/** Loads the task whose manifest, or whose folder, is at `path`. Throws a `UserError` that names the file. */
export function loadTask(path: string): TaskFiles {
  const file = isFolder(path) ? join(path, MANIFEST_FILE) : path;
  const document = parseJson(read(file, "manifest").toString("utf8"), file);
  const manifest = readManifest(document, file);
  const component = resolve(dirname(file), manifest.component);
  return { manifest: document as ManifestInput, component: readComponent(component, manifest), path: component };
}

/** The bytes of a component file. */
export function readComponentFile(path: string): Uint8Array {
  return read(resolve(path), "component");
}

function readComponent(path: string, manifest: Manifest): Uint8Array {
  try {
    return readComponentFile(path);
  } catch (error) {
    if (manifest.build === undefined || !(error instanceof UserError)) throw error;
    throw new UserError(`${error.message}; build it first: pilotlight build ${dirname(path)}`, { cause: error });
  }
}

function read(path: string, what: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code === "ENOENT" ? "there is no such file" : (error as Error).message;
    throw new UserError(`the ${what} ${path} cannot be read: ${reason}`, { cause: error });
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
