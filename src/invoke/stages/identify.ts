/**
 * Stage 2: who asks, and whether they may.
 *
 * Ours is `Pilotlight-Key`, or a bearer token that begins as our keys do; any other `Authorization` is the guest's.
 * A task that a caller may not invoke and a path that no task has are one answer, and so are a key that was never
 * given out and one that has ended.
 */
import type { HeaderList } from "../../base/headers.js";
import type { Problem } from "../../base/problem.js";
import type { Task } from "../../tasks/task.js";
import { mayInvoke } from "../../tenants/access.js";
import { ANONYMOUS, type Caller } from "../../tenants/tenant.js";
import type { Incoming } from "../invocation.js";
import { pathOf } from "./resolve.js";

/** Whose key a text is. */
export type Identify = (key: string) => Caller | undefined;

/** The caller; `refused` when a key was shown that nobody has, or has any more. */
export interface Identified {
  readonly caller: Caller;
  readonly refused: boolean;
}

const NOBODY: Identified = { caller: ANONYMOUS, refused: false };
const WRONG_KEY: Identified = { caller: ANONYMOUS, refused: true };

export function identify(headers: HeaderList, whose: Identify): Identified {
  const text = keyOf(headers);
  if (text === undefined) return NOBODY;
  const caller = whose(text);
  return caller === undefined ? WRONG_KEY : { caller, refused: false };
}

/** The problem that keeps this caller from this task, or from a path that has none. */
export function authorize(incoming: Incoming, task: Task | undefined, { caller, refused }: Identified): Problem | undefined {
  if (task !== undefined && mayInvoke(caller, { tenant: task.tenant, access: task.version.manifest.access })) return undefined;
  if (refused) return { code: "request/unauthorized", detail: "The key is not known, or it has expired or been revoked." };
  return {
    code: "request/not-found",
    detail: `No task has a route for ${pathOf(incoming.target)} that this request may use; a task that is not public takes a key with the scope invoke.`,
  };
}

/** The key that a request shows. */
function keyOf(headers: HeaderList): string | undefined {
  let bearer: string | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (name.length === 14 && name.toLowerCase() === "pilotlight-key") return (headers[i + 1] as string).trim();
    if (name.length === 13 && name.toLowerCase() === "authorization") bearer ??= bearerKey(headers[i + 1] as string);
  }
  return bearer;
}

const BEARER = /^\s*bearer\s+(pl_\S*)\s*$/i;

/** The text of a key of ours in an `Authorization` value. */
export function bearerKey(value: string): string | undefined {
  return BEARER.exec(value)?.[1];
}
