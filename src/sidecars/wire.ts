/** Arguments and results of `pilotlight:sidecar`, in the JSON of the engine (`docs/values.md`). */
import type { HeaderList } from "../base/headers.js";
import { stripHopByHop } from "../base/hop-by-hop.js";
import type { OutcomeKind } from "../engine/outcome.js";

export const GUARD = "pilotlight:sidecar/guard@0.1.0";
export const RESPOND = "pilotlight:sidecar/respond@0.1.0";
export const OBSERVER = "pilotlight:sidecar/observer@0.1.0";
/** What a component has to export one of, to be a sidecar. */
export const ATTACHMENTS: readonly string[] = [GUARD, RESPOND, OBSERVER];

export interface Call {
  readonly run: string;
  readonly tenant: string;
  readonly task: string;
  readonly version: string;
}

export interface Head {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly pathWithQuery: string;
  readonly headers: HeaderList;
  readonly peer: string;
}

export interface Identity {
  readonly subject: string;
  readonly claims: readonly (readonly [string, string])[];
}

/** An answer instead of the task's. */
export interface Refusal {
  readonly status: number;
  readonly headers: HeaderList;
  readonly reason: string;
}

export type Verdict = { readonly identity: Identity | undefined; readonly refusal?: undefined } | { readonly refusal: Refusal };

export function guardArguments(call: Call, { headers, ...head }: Head): string {
  return JSON.stringify([call, { ...head, headers: pairsOf(headers) }]);
}

export interface AnswerHead {
  readonly status: number;
  readonly headers: HeaderList;
}

export function respondArguments(call: Call, { status, headers }: AnswerHead): string {
  return JSON.stringify([call, status, pairsOf(headers)]);
}

/** The head that is to go out. A status that no answer has leaves it as it was, and headers that none can have are left out. */
export function respondedOf(json: string, before: AnswerHead): AnswerHead {
  const [status, headers] = JSON.parse(json) as [number, [string, string][]];
  const kept = sendable(
    headers.flatMap(([name, value]) => [name, decoded(value)]),
    FRAMING,
  );
  return { status: status >= 200 && status <= 599 ? status : before.status, headers: kept };
}

export function observerArguments(call: Call, ending: OutcomeKind, status: number | undefined, milliseconds: number): string {
  return JSON.stringify([call, ending, status ?? null, Math.round(milliseconds * 1e6)]);
}

/** What a guard has said. A status that is none of a refusal reads 403; headers that no answer can have are left out. */
export function verdictOf(json: string): Verdict {
  const said = JSON.parse(json) as
    | { readonly tag: "ok"; readonly val: Identity | null }
    | {
        readonly tag: "err";
        readonly val: { readonly status: number; readonly headers: readonly [string, string][]; readonly reason: string };
      };
  if (said.tag === "ok") return { identity: said.val ?? undefined };
  const { status, headers, reason } = said.val;
  const told = headers.flatMap(([name, value]) => [name, decoded(value)]);
  return { refusal: { status: status >= 400 && status <= 599 ? status : 403, headers: sendable(told, OF_THE_ANSWER), reason } };
}

function decoded(value: string): string {
  return Buffer.from(value, "base64").toString("latin1");
}

function pairsOf(headers: HeaderList): [string, string][] {
  const pairs: [string, string][] = [];
  for (let i = 0; i < headers.length; i += 2)
    pairs.push([headers[i] as string, Buffer.from(headers[i + 1] as string, "latin1").toString("base64")]);
  return pairs;
}

/** Fields of the answer itself, which a problem document has of its own. */
const OF_THE_ANSWER: ReadonlySet<string> = new Set(["content-length", "content-type", "pilotlight-run"]);
/** What is the transport's or ours, whoever says otherwise; the length of a body stays as it was said with it. */
const FRAMING: ReadonlySet<string> = new Set(["pilotlight-run"]);
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
