/** Folders that go away with the test, and the paths of what this checkout holds. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { atEnd } from "./cleanup.js";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url)).replace(/\/$/, "");

/** A new folder with these files; objects are written as JSON. */
export function tempDir(files: Readonly<Record<string, string | Uint8Array | object>> = {}): string {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), "pilotlight-test-"));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, typeof content === "string" || content instanceof Uint8Array ? content : JSON.stringify(content));
  }
  return folder;
}
