import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { UserError } from "../../src/base/errors.js";
import { loadTask, readComponentFile } from "../../src/tasks/load.js";

function folder(files: Readonly<Record<string, string>>): string {
  const path = realpathSync(mkdtempSync(join(tmpdir(), "pilotlight-task-")));
  onTestFinished(() => rmSync(path, { recursive: true }));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(path, name, ".."), { recursive: true });
    writeFileSync(join(path, name), content);
  }
  return path;
}

/** The message, with the folder's name taken out. */
function refusal(path: string, make: () => unknown): string {
  try {
    make();
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    return (error as Error).message.replaceAll(path, "DIR");
  }
  throw new Error("accepted");
}

const MANIFEST = JSON.stringify({ name: "a", component: "build/a.wasm" });

describe("a task on disk", () => {
  it("is loaded by its folder or by its manifest, the component from where the manifest is", () => {
    const path = folder({ "pilotlight.json": MANIFEST, "build/a.wasm": "bytes" });
    for (const each of [path, join(path, "pilotlight.json")]) {
      const { manifest, component, path: source } = loadTask(each);
      expect(manifest).toEqual({ name: "a", component: "build/a.wasm" });
      expect(Buffer.from(component).toString()).toBe("bytes");
      expect(source).toBe(join(path, "build/a.wasm"));
    }
  });

  it("is loaded from a manifest of another name", () => {
    const path = folder({ "other.json": MANIFEST, "build/a.wasm": "bytes" });
    expect(loadTask(join(path, "other.json")).manifest.name).toBe("a");
  });

  it("without a manifest is refused with the file that is missing", () => {
    const path = folder({ file: "" });
    expect(refusal(path, () => loadTask(path))).toBe("the manifest DIR/pilotlight.json cannot be read: there is no such file");
    expect(refusal(path, () => loadTask(join(path, "none")))).toBe("the manifest DIR/none cannot be read: there is no such file");
  });

  it("with a manifest that is not JSON is refused with the place", () => {
    const path = folder({ "pilotlight.json": "{ name: 'a' }" });
    expect(refusal(path, () => loadTask(path))).toMatch(/^DIR\/pilotlight\.json is not valid JSON: .*position 2/);
  });

  it("with a manifest that is wrong is refused with the fields", () => {
    const path = folder({ "pilotlight.json": JSON.stringify({ name: "a", component: "a.wasm", colour: 1 }) });
    expect(refusal(path, () => loadTask(path))).toBe("DIR/pilotlight.json is not a valid manifest:\n  colour: unknown field");
  });

  it("without its component is refused with the file, and told how to build it when it can be", () => {
    const path = folder({
      "pilotlight.json": MANIFEST,
      "build.json": JSON.stringify({ name: "a", component: "a.wasm", build: { source: "a.ts" } }),
    });
    expect(refusal(path, () => loadTask(path))).toBe("the component DIR/build/a.wasm cannot be read: there is no such file");
    expect(refusal(path, () => loadTask(join(path, "build.json")))).toBe(
      "the component DIR/a.wasm cannot be read: there is no such file; build it first: pilotlight build DIR",
    );
  });

  it("whose component is a folder is refused with the reason", () => {
    const path = folder({ "pilotlight.json": MANIFEST, "build/a.wasm/x": "" });
    expect(refusal(path, () => loadTask(path))).toMatch(/^the component DIR\/build\/a\.wasm cannot be read: EISDIR/);
  });
});

describe("a component's file", () => {
  it("is read whole", () => {
    const path = folder({ "a.wasm": "bytes" });
    expect(Buffer.from(readComponentFile(join(path, "a.wasm"))).toString()).toBe("bytes");
  });

  it("that is missing is named", () => {
    const path = folder({});
    expect(refusal(path, () => readComponentFile(join(path, "a.wasm")))).toBe(
      "the component DIR/a.wasm cannot be read: there is no such file",
    );
  });
});
