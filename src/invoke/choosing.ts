/**
 * Calls by capability: which tasks may take one, in which order they are asked, and what was learnt of those that did.
 */
import type { Problem } from "../base/problem.js";
import type { Clock } from "../base/clock.js";
import type { Costs, Estimate } from "../dispatch/costs.js";
import { PREFER_HELP, parsePreference } from "../base/preference.js";
import { pickServing, type Provider, type Registry, type ServingChoice } from "../dispatch/registry.js";
import { choose, type Contender, type Decision, type Outlook } from "../dispatch/select.js";
import type { Task } from "../tasks/task.js";
import { mayInvoke, mayReach } from "../tenants/access.js";
import type { Caller } from "../tenants/tenant.js";
import { parseInterfaceName } from "../wit/capability.js";
import type { Run } from "./run.js";

/** By whose rights a call is made: a client's own, or those of the tenant whose run began a chain of guests. */
export type Authority = { readonly kind: "caller"; readonly caller: Caller } | { readonly kind: "tenant"; readonly tenant: string };

export interface Wanted {
  readonly capability: string;
  /** Undefined: nothing is called yet. */
  readonly function: string | undefined;
  /** The size of the arguments; undefined: nothing is called yet. */
  readonly bytes: number | undefined;
  /** As the call or the calling task says it; undefined: as the tenant does. */
  readonly prefer: string | undefined;
  readonly authority: Authority;
  /** Keys of the tasks that wait for the call: none of them may take it. */
  readonly chain: ReadonlySet<string>;
  /** The same in words. */
  readonly chainText: () => string;
}

export interface Choices {
  /** In the order to ask them; each once. */
  readonly candidates: readonly Taker[];
  readonly pick: Decision;
}

/** A version that can take the call, by the interface that it exports. */
export interface Taker {
  readonly task: Task;
  readonly provided: string;
}

export interface ChoosingPorts {
  readonly registry: Registry;
  readonly costs: Costs;
  readonly clock: Clock;
  readonly random: () => number;
  /** What a tenant prefers, where it says. */
  readonly preferOf: (tenant: string | undefined) => string | undefined;
  /** What starting a run of a program takes now. */
  readonly outlook: (program: number) => Outlook | undefined;
}

/** Of a program that the pool does not know any more. */
const GONE: Outlook = { rung: "gone", startMs: 1e6, refillMs: 0, queueMs: 0, running: 0, waiting: 0, concurrency: 1, pressure: 1 };

export class Choosing {
  readonly #ports: ChoosingPorts;

  constructor(ports: ChoosingPorts) {
    this.#ports = ports;
  }

  /** Who is to be asked, or why nobody can be. */
  choose(wanted: Wanted): Choices | Problem {
    const { registry, random } = this.#ports;
    const name = parseInterfaceName(wanted.capability);
    if (name === undefined) {
      const detail = `${JSON.stringify(wanted.capability)} is no capability; one is written as acme:image/resize@1.2.0.`;
      return { code: "request/invalid-argument", detail };
    }
    const prefer = wanted.prefer ?? this.#ports.preferOf(tenantOf(wanted.authority)) ?? "time";
    const preference = parsePreference(prefer);
    if (preference === undefined)
      return { code: "request/invalid-argument", detail: `${JSON.stringify(prefer)} is no preference; expected ${PREFER_HELP}.` };
    const may = registry.serving(name).flatMap((provider) => permitted(provider, wanted.authority));
    const free = may.filter(({ key }) => !wanted.chain.has(key));
    if (free.length === 0) return may.length === 0 ? this.#nobody(name.base, wanted) : circle(may, wanted);
    const takers = new Map<Provider, ServingChoice>();
    const { order, decision } = choose(
      free,
      (provider) => {
        const choice = pickServing(provider, random);
        takers.set(provider, choice);
        return this.#contender(provider, choice, wanted);
      },
      preference,
      random,
    );
    const candidates = order.map((provider): Taker => {
      const { choice, provided } = takers.get(provider) as ServingChoice;
      return { task: choice.task, provided };
    });
    return { candidates, pick: decision };
  }

  /** A run that was called is over: its time in service is remembered for the next choice. */
  settled(run: Run, func: string): void {
    if (run.outcome?.kind !== "ok" || run.memo?.isRecalled === true) return;
    const { usage } = run;
    // A session takes several calls, and its time between them says nothing.
    const serviceMs = (usage.calls === 0 ? usage.runNanoseconds : usage.serviceNanoseconds / usage.calls) / 1e6;
    const seen = { bytes: run.argumentBytes, serviceMs, memoryMibMs: (usage.memoryBytes / 2 ** 20) * serviceMs };
    const { costs, clock } = this.#ports;
    const { program } = run.task.version;
    costs.observe(program, func, seen, clock.now());
    // Over all of its functions, for those who ask what there is.
    costs.observe(program, func.split("#")[0] as string, seen, clock.now());
  }

  /** What a call of a version would take now, whichever function. */
  costOf(program: number, capability: string): { readonly estimate: Estimate; readonly outlook: Outlook } {
    const { costs, clock, outlook } = this.#ports;
    return {
      estimate: costs.estimate(program, functionKey(capability, undefined), undefined, clock.now()),
      outlook: outlook(program) ?? GONE,
    };
  }

  #contender({ name }: Provider, { choice, provided }: ServingChoice, { function: func, bytes }: Wanted): Contender {
    const { costs, clock, outlook } = this.#ports;
    const { label, program } = choice.task.version;
    return {
      provider: name,
      version: label,
      estimate: costs.estimate(program, functionKey(provided, func), bytes, clock.now()),
      outlook: outlook(program) ?? GONE,
    };
  }

  /** Nobody learns of what others have and do not open to them. */
  #nobody(base: string, { capability, authority }: Wanted): Problem {
    const known = this.#ports.registry
      .versions(base)
      .filter((text) =>
        this.#ports.registry.serving(parseInterfaceName(text) as never).some((each) => permitted(each, authority).length > 0),
      );
    const others = known.length === 0 ? "" : `; provided are ${known.join(", ")}`;
    return { code: "call/no-provider", detail: `No task that this call may reach provides ${capability}${others}.` };
  }
}

function tenantOf(authority: Authority): string | undefined {
  if (authority.kind === "tenant") return authority.tenant;
  return authority.caller.kind === "key" ? authority.caller.key.tenant : undefined;
}

/** Over all versions of one capability: they are taken for one another. */
export function functionKey(capability: string, func: string | undefined): string {
  const base = capability.split("@")[0] as string;
  return func === undefined ? base : `${base}#${func}`;
}

/** Those of its versions that may be reached. */
function permitted(provider: Provider, authority: Authority): Provider[] {
  const choices = provider.choices.filter(({ choice }) => {
    const { tenant, version } = choice.task;
    const callable = { tenant, access: version.manifest.access };
    return authority.kind === "caller" ? mayInvoke(authority.caller, callable) : mayReach(authority.tenant, callable);
  });
  return choices.length === 0 ? [] : [choices.length === provider.choices.length ? provider : { ...provider, choices }];
}

function circle(may: readonly Provider[], { capability, chainText }: Wanted): Problem {
  const names = may.map(({ name }) => name).join(", ");
  return { code: "call/cycle", detail: `${capability} is provided by ${names} alone, which waits for this call: ${chainText()}.` };
}
