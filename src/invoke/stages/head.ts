/** What crosses to the guest, and what of ours is added to its answer. */
import type { HeaderList } from "../../base/headers.js";
import { serverTiming } from "../explain.js";
import type { Run } from "../run.js";
import { bearerKey } from "./identify.js";

/** Fields that are about the call to us, not for the guest: a key must not reach it, and a lie in one must not help. */
const OURS: ReadonlySet<string> = new Set([
  "pilotlight-key",
  "pilotlight-explain",
  "pilotlight-debug",
  "pilotlight-prefer",
  "pilotlight-run",
  "pilotlight-not-after",
]);

/** The request's fields without ours. Hop-by-hop fields are out already. */
export function withoutOurs(headers: HeaderList): HeaderList {
  let clean = true;
  for (let i = 0; i < headers.length && clean; i += 2) clean = !isOurs(headers[i] as string, headers[i + 1] as string);
  if (clean) return headers;
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (!isOurs(headers[i] as string, headers[i + 1] as string)) kept.push(headers[i] as string, headers[i + 1] as string);
  }
  return kept;
}

function isOurs(name: string, value: string): boolean {
  if (name.length < 13 || name.length > 20) return false;
  const lower = name.toLowerCase();
  return lower === "authorization" ? bearerKey(value) !== undefined : OURS.has(lower);
}

/** The answer's fields with the run id, and with the timing if the caller asked for it. A run id of the guest's own is dropped. */
export function withOurs(headers: HeaderList, run: Run, explain: boolean): HeaderList {
  const out: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (name.length === 14 && name.toLowerCase() === "pilotlight-run") continue;
    out.push(name, headers[i + 1] as string);
  }
  out.push("Pilotlight-Run", run.id);
  if (explain) out.push("Server-Timing", serverTiming(run));
  return out;
}
