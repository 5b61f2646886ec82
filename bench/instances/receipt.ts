/** How long after its receipt a request's guest begins, over HTTP to a real runtime: the rounds of `receipt-server.ts`. */
import { fileURLToPath } from "node:url";
import { loadClient } from "../support/load.js";
import { pinning } from "../support/machine.js";
import type { Flavour } from "../support/paths.js";
import { startServer } from "../support/server.js";
import type { Waited } from "./receipt-server.js";

const SERVER = fileURLToPath(new URL("receipt-server.ts", import.meta.url));
const BURST_SECONDS = 1;

export interface ReceiptPlan {
  readonly flavour: Flavour;
  /** Instances kept ready. */
  readonly ready: number;
  readonly connections: number;
  readonly requests: number;
  readonly rounds: number;
}

/** A result for each round of `requests` requests, with `connections` of them on their way at any time. */
export async function measureReceipt({ flavour, ready, connections, requests, rounds }: ReceiptPlan): Promise<Waited[]> {
  const pins = pinning();
  const command = [...pins.server, process.execPath, "--import", "tsx", SERVER, flavour, String(ready)] as unknown as [string, ...string[]];
  await using server = await startServer({ name: "receipt server", command, talks: true });
  const client = loadClient();
  const burst = (): Promise<unknown> => client.run(server.url, { connections, seconds: BURST_SECONDS, prefix: pins.client });
  await burst(); // warm-up
  const results: Waited[] = [];
  for (let round = 0; round < rounds; round++) {
    const answer = server.ask(String(requests));
    let waited: string | undefined;
    // Whole bursts: what comes after the last request that counts changes nothing.
    while (waited === undefined) {
      await burst();
      waited = await Promise.race([answer, Promise.resolve(undefined)]);
    }
    results.push(JSON.parse(waited) as Waited);
  }
  return results;
}
