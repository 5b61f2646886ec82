/** The same questions asked of workerd, whose unit is an isolate: what one weighs, and how long a thousand take to start. */
import { pssOf } from "../support/memory.js";
import { expectAnswer } from "../support/server.js";
import { startWorkerd } from "../support/workerd.js";

const TEXT = "Hello, WASI!\n";

export interface Isolates {
  /** From the start of the process until the last worker has answered. */
  readonly seconds: number;
  readonly pss: number;
}

/** Starts workerd with so many workers, has one answer, and ends it. */
export async function measureIsolates(workers: number): Promise<Isolates> {
  const begin = performance.now();
  await using server = await startWorkerd(TEXT, workers);
  await expectAnswer(server, TEXT);
  return { seconds: (performance.now() - begin) / 1000, pss: pssOf(server.pid) };
}
