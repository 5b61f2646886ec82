/** A Node front over a guest and raw connections to it, all ended after each test. */
import { afterEach } from "vitest";
import type { NodeFrontOptions } from "../../src/http/node-front.js";
import type { Script } from "./http-fake-invoke.js";
import type { GuestName } from "./http-guests.js";
import { startNodeFront, type StartedNodeFront } from "./http-subjects.js";
import { Wire } from "./http-wire.js";

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const thing of open.splice(0)) await thing[Symbol.asyncDispose]();
});

/** A front over a guest and one connection to it. */
export async function startWire(
  guest: GuestName | Script,
  options: Partial<NodeFrontOptions> = {},
): Promise<{ front: StartedNodeFront; wire: Wire; another(): Promise<Wire> }> {
  const front = await startNodeFront(guest, options);
  open.push({ [Symbol.asyncDispose]: () => front.stop() });
  const another = async (): Promise<Wire> => {
    const wire = await Wire.open(front.at.port);
    open.unshift(wire);
    return wire;
  };
  return { front, wire: await another(), another };
}
