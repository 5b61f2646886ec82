/** Answers a guest that asks who is calling: `pilotlight:task/identity` (`wit/pilotlight`). */
import type { Engine } from "../engine/engine.js";
import { identityOf } from "./chain.js";
import type { GuestAsk } from "./executor.js";
import type { Run } from "./run.js";

export const IDENTITY = "pilotlight:task/identity@0.1.0";

/** `caller` is undefined where it cannot be told who asks: then nobody is known to be calling. */
export function tellIdentity(engine: Pick<Engine, "send">, { ask }: GuestAsk, caller: Run | undefined): void {
  const identity = caller && identityOf(caller);
  engine.send({ kind: "answer", ask, ok: JSON.stringify([identity ?? null]), error: undefined });
}
