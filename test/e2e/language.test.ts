/** The example of two implementations in two languages: which one is called depends on the text, and on what else runs. */
import { cp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { buildGuest } from "../../src/guests/build.js";
import type { ManifestInput } from "../../src/tasks/manifest.js";
import { tempDir } from "../support/files.js";
import { startRuntime, type StartedRuntime } from "../support/runtime.js";

const EXAMPLE = fileURLToPath(new URL("../../examples/language/", import.meta.url));
const LANGUAGE = "example:text/language@1.0.0";
const SHORT = "The cat is on the table.";
const SENTENCE = "Alle Menschen sind frei und gleich an Würde und Rechten geboren. ";
const MIDDLING = SENTENCE.repeat(100);
const LONG = SENTENCE.repeat(1500);

async function startExample(): Promise<StartedRuntime> {
  const folder = tempDir();
  await cp(EXAMPLE, folder, { recursive: true });
  await buildGuest(join(folder, "words"));
  const task = async (name: string) => ({
    manifest: JSON.parse(await readFile(join(folder, name, "pilotlight.json"), "utf8")) as ManifestInput,
    component: await readFile(join(folder, name, `${name}.wasm`)),
  });
  return startRuntime([await task("words"), await task("letters")]);
}

/** Who took the call: the task that the explanation names. */
async function detect(node: StartedRuntime, text: string): Promise<{ readonly guess: string; readonly by: string; readonly why: string }> {
  const response = await node.get(`/-/call/${LANGUAGE}/detect`, {
    method: "POST",
    headers: { "content-type": "application/json", "pilotlight-explain": "1" },
    body: JSON.stringify([text]),
  });
  expect(response.status).toBe(200);
  const { language } = (await response.json()) as { readonly language: string };
  const why = /pick;desc="([^"]+)"/.exec(response.headers.get("server-timing") ?? "")?.[1] ?? "";
  return { guess: language, by: why.split(" ")[0] as string, why };
}

async function times(node: StartedRuntime, count: number, text: string): Promise<string[]> {
  const takers: string[] = [];
  for (let i = 0; i < count; i++) {
    const { guess, by } = await detect(node, text);
    expect(guess).toBe(text === SHORT ? "en" : "de");
    takers.push(by);
  }
  return takers;
}

const share = (takers: readonly string[], name: string): number => takers.filter((taker) => taker === name).length / takers.length;

describe("the language example", { timeout: 60_000 }, () => {
  it("calls the one that is slow to start for long texts, once it is known what those take", async () => {
    const node = await startExample();
    const { why } = await detect(node, SHORT);
    expect(why).toMatch(/^(words|letters) exec=[\d.]+ms start=[\d.]+ms; (cheapest of 2|a look at one that is little known)$/);
    await times(node, 10, LONG);
    expect(share(await times(node, 20, LONG), "letters")).toBeGreaterThan(0.7);
  });

  it("calls it for others too while an instance of it is ready, and the other one where there are many at once", async () => {
    const node = await startExample();
    const alone: string[] = [];
    for (let i = 0; i < 40; i++) {
      await sleep(60);
      alone.push((await detect(node, MIDDLING)).by);
    }
    expect(share(alone.slice(20), "letters")).toBeGreaterThan(0.5);
    const together = await Promise.all(Array.from({ length: 24 }, () => detect(node, MIDDLING)));
    expect(together.map(({ guess }) => guess)).toEqual(Array.from({ length: 24 }, () => "de"));
    const takers = together.map(({ by }) => by);
    expect(share(takers, "words")).toBeGreaterThan(0.5);
  });
});
