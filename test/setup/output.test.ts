import { expect, test } from "vitest";
import { cargoProgress, createProgress, duration } from "../../scripts/lib/progress.mjs";
import { builtLibrary } from "../../scripts/lib/cargo.mjs";
import { cargoTally, closingLine, sum, vitestTally } from "../../scripts/lib/tally.mjs";

test("cargo's progress is read from its bar", () => {
  expect(cargoProgress("    Building [=====>       ] 213/412: wasmtime, cranelift-codegen")).toBe("213 of 412 crates, wasmtime");
  expect(cargoProgress("    Building [=====>       ] 213/412")).toBe("213 of 412 crates");
  expect(cargoProgress("    Blocking waiting for file lock on build directory")).toBe("waiting for another cargo");
  expect(cargoProgress("   Compiling wasmtime v48.0.8")).toBeUndefined();
});

test("the library is found wherever cargo put it", () => {
  const artifact = (name: string, filenames: string[]) => JSON.stringify({ reason: "compiler-artifact", target: { name }, filenames });
  const messages = [artifact("pilotlight_core", ["/t/core.rlib"]), artifact("pilotlight_native", ["/t/libpilotlight_native.so"]), ""].join(
    "\n",
  );
  expect(builtLibrary(messages)).toBe("/t/libpilotlight_native.so");
  expect(() => builtLibrary("")).toThrow("cargo built no pilotlight_native library");
});

test("a log gets a line when a step begins and ends, and one every half minute between", () => {
  let now = 0;
  let text = "";
  const progress = createProgress({ write: (more) => (text += more) }, "setup", () => now);
  progress.begin("addon", "building");
  for (const at of [1, 29, 31, 40, 62]) {
    now = at * 1000;
    progress.update(`${at} of 100 crates`);
  }
  progress.finish("built");
  expect(text).toBe(
    [
      "setup: addon: building",
      "setup: addon: 31 of 100 crates, after 31 s",
      "setup: addon: 62 of 100 crates, after 1 min 2 s",
      "setup: addon: built in 1 min 2 s",
      "",
    ].join("\n"),
  );
});

test("a terminal gets one line a step", () => {
  let text = "";
  const progress = createProgress({ isTTY: true, columns: 40, write: (more) => (text += more) }, "setup", () => 0);
  progress.begin("addon", "building for a long time in a narrow terminal");
  progress.finish("built");
  expect(text.split("\n")).toHaveLength(2);
  const lines = text.split("\r").map((line) => line.replace("\u001b[K", ""));
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(41);
  expect(lines.at(-1)).toBe("✔ addon          built in 0.0 s\n");
});

test("durations are short", () => {
  expect([40, 1_240, 9_960, 61_000, 3_600_000].map(duration)).toEqual(["0.0 s", "1.2 s", "10 s", "1 min 1 s", "60 min 0 s"]);
});

test("the closing line sums cargo's and vitest's tests", () => {
  const output =
    "running 3 tests\ntest result: ok. 3 passed; 0 failed; 1 ignored; …\ntest result: FAILED. 4 passed; 2 failed; 0 ignored; …\n";
  const report = { numPassedTests: 10, numFailedTests: 1, testResults: [] };
  expect(closingLine(sum([cargoTally(output, 101), vitestTally(report, 1)]))).toBe("17 passed, 3 failed");
});

test("a part that failed without a failed test counts as one failure", () => {
  expect(cargoTally("error: could not compile", 101)).toEqual({ passed: 0, failed: 1 });
  expect(vitestTally(undefined, 0)).toEqual({ passed: 0, failed: 1 });
  expect(vitestTally({ numPassedTests: 5, numFailedTests: 0, testResults: [] }, 1)).toEqual({ passed: 5, failed: 1 });
  const unloaded = { status: "failed", assertionResults: [] };
  expect(vitestTally({ numPassedTests: 5, numFailedTests: 0, testResults: [unloaded, unloaded] }, 1)).toEqual({ passed: 5, failed: 2 });
});
