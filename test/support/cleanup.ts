/** What a helper has started ends with the test that asked for it, or with the file when no test did. */
import { afterAll, onTestFinished } from "vitest";

type End = () => unknown;

const ofFile: End[] = [];

afterAll(async () => {
  for (const end of ofFile.splice(0).reverse()) await end();
});

/** Runs `end` when it is time, the last registered first. */
export function atEnd(end: End): void {
  try {
    onTestFinished(async () => void (await end()));
  } catch {
    ofFile.push(end); // no test is running: a hook, or the file itself
  }
}
