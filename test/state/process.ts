/**
 * A process that has a data folder, for tests of what only another process can show. The first argument is the folder,
 * the second what to do; each line on stdout is an answer as JSON.
 */
import { openState } from "../../src/state/lmdb.js";
import { put, remove, table } from "../../src/state/store.js";

const THINGS = table<{ readonly n: number; readonly text: string }>("things");
const [folder = "", what] = process.argv.slice(2);
const say = (answer: unknown): void => void process.stdout.write(`${JSON.stringify(answer)}\n`);

// With a handler, a write past the limit on file sizes fails as one on a full disk does, and ends nothing.
process.on("SIGXFSZ", () => {});

try {
  const store = openState(folder);
  say({ opened: process.pid });
  if (what === "hold") setInterval(() => {}, 1000);
  else await fillUp();
  async function fillUp(): Promise<void> {
    const text = "x".repeat(20_000);
    let written = 0;
    let refused = 0;
    for (let n = 0; n < 40; n++) {
      try {
        await store.commit([put(THINGS, `${n} a`, { n, text }), put(THINGS, `${n} b`, { n, text })]);
        written++;
      } catch (error) {
        if (refused++ === 0) say({ name: (error as Error).name, message: (error as Error).message });
      }
    }
    say({ written, refused, entries: store.list(THINGS).length });
    await store.commit(Array.from({ length: 4 }, (_, n) => ["a", "b"].map((half) => remove(THINGS, `${n} ${half}`))).flat());
    // What one commit frees is used again from the second one after it on.
    for (let n = 0; n < 2; n++) await store.commit([put(THINGS, "small", { n, text: "" })]);
    await store.commit([put(THINGS, "later", { n: 0, text })]);
    say({ later: store.get(THINGS, "later")?.text === text, entries: store.list(THINGS).length });
    await store.close();
  }
} catch (error) {
  say({ refused: (error as Error).message });
}
