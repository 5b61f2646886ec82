/** The interfaces of `pilotlight:sidecar`, and what of a sidecar's words may go out to a client. */
import type { HeaderList } from "../base/headers.js";
import { stripHopByHop } from "../base/hop-by-hop.js";
import type { Consulted } from "../engine/sidecars.js";

export const GUARD = "pilotlight:sidecar/guard@0.1.0";
export const TRANSFORM = "pilotlight:sidecar/transform@0.1.0";
export const RESPOND = "pilotlight:sidecar/respond@0.1.0";
export const TAP = "pilotlight:sidecar/tap@0.1.0";
export const OBSERVER = "pilotlight:sidecar/observer@0.1.0";
const LIFECYCLE = "pilotlight:sidecar/lifecycle@0.1.0";
/** Asked by sidecars, and answered by Pilotlight. */
export const JWKS = "pilotlight:sidecar/jwks@0.1.0";

/** By which a component is one without its manifest saying so. */
export const ATTACHMENTS: readonly string[] = [GUARD, TRANSFORM, RESPOND, TAP, OBSERVER, LIFECYCLE];

export interface AnswerHead {
  readonly status: number;
  readonly headers: HeaderList;
}

/** The head that is to go out. A status that no answer has leaves it as it was, and headers that none can have are left out. */
export function respondedOf({ status, headers }: Partial<AnswerHead>, before: AnswerHead): AnswerHead {
  if (status === undefined || headers === undefined) return before;
  return { status: status >= 200 && status <= 599 ? status : before.status, headers: sendable(headers, FRAMING) };
}

/** An answer instead of the task's. A status that is none of a refusal reads 403; headers that no answer can have are left out. */
export function refusalOf({ status, headers, reason }: NonNullable<Consulted["refusal"]>): AnswerHead & { readonly reason: string } {
  return { status: status >= 400 && status <= 599 ? status : 403, headers: sendable(headers, OF_THE_ANSWER), reason };
}

/** Headers of a request as a transform leaves them. */
export function requestHeadersOf(headers: HeaderList): HeaderList {
  return sendable(headers, OF_THE_REQUEST);
}

/** Fields of the answer itself, which a problem document has of its own. */
const OF_THE_ANSWER: ReadonlySet<string> = new Set(["content-length", "content-type", "pilotlight-run"]);
/** What is the transport's or ours, whoever says otherwise; the length of a body stays as it was said with it. */
const FRAMING: ReadonlySet<string> = new Set(["pilotlight-run"]);
/** The body may be another one. */
const OF_THE_REQUEST: ReadonlySet<string> = new Set(["content-length"]);
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// Visible characters, blanks and tabs, and what is beyond ASCII.
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

function sendable(headers: HeaderList, besides: ReadonlySet<string>): HeaderList {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const [name, value] = [headers[i] as string, headers[i + 1] as string];
    if (TOKEN.test(name) && VALUE.test(value) && !besides.has(name.toLowerCase())) kept.push(name, value);
  }
  return stripHopByHop(kept);
}
