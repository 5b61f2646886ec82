/**
 * The gate of a tenant: how many requests a second, how many runs at once, how much memory they may hold.
 *
 * Every request passes here, so a gate is a few numbers: nothing is allocated on the way in and out, and there is
 * nothing to wait for. Quotas are read at each entry; a change of them holds from the next request on. Runs that are
 * in stay in.
 */
import { ProblemError, type Problem } from "../base/problem.js";
import type { Quotas } from "./tenant.js";

/** What a request is told that does not get in. */
export interface Refused {
  readonly refused: Problem;
}

/** Whoever gets these need not be of the tenant: they name the quota, and no figures. */
const CONCURRENCY: Refused = {
  refused: { code: "quota/concurrency", detail: "The quota concurrency of the tenant is used up.", retryAfter: 1 },
};
const MEMORY: Refused = { refused: { code: "quota/memory", detail: "The quota memory of the tenant is used up.", retryAfter: 1 } };
/** Waiting does not help: the run alone is too large. */
const NEVER_FITS: Refused = {
  refused: { code: "quota/memory", detail: "The task's limits.memory is above the quota memory of the tenant." },
};
/** Tokens are sums of fractions; without this, one who comes back on time might find 0.999… of one. */
const ALMOST = 1 - 1e-6;
const REQUESTS = "The quota requestsPerSecond of the tenant is used up.";

/** What whoever is in holds, until it leaves with exactly what it came with. */
export interface Entered {
  readonly refused: undefined;
  leave(memoryBytes: number): void;
}

/** A run that is in holds its tenant's gate, and gives back by `leave` exactly what it entered with, once. */
export class TenantGate {
  /** Tells a gate from a refusal. */
  readonly refused = undefined;
  #runs = 0;
  #memory = 0;
  /** The rate that the tokens were counted under; 0: there was none. */
  #rate = 0;
  #tokens = 0;
  #countedAt = 0;

  /** Runs that are in. */
  get concurrency(): number {
    return this.#runs;
  }

  /** The sum of their memory limits, in bytes. */
  get memory(): number {
    return this.#memory;
  }

  /** Lets a run in, or says why not. `now` in milliseconds of a monotonic clock. A refused run takes no token. */
  enter(quotas: Quotas, memoryBytes: number, now: number): this | Refused {
    const { requestsPerSecond: rate, concurrency, memory } = quotas;
    if (rate === undefined) this.#rate = 0;
    else {
      this.#count(rate, now);
      if (this.#tokens < ALMOST) return outOfTokens(1 - this.#tokens, rate);
    }
    if (concurrency !== undefined && this.#runs >= concurrency) return CONCURRENCY;
    if (memory !== undefined && this.#memory + memoryBytes > memory) return memoryBytes > memory ? NEVER_FITS : MEMORY;
    if (rate !== undefined) this.#tokens -= 1;
    this.#runs += 1;
    this.#memory += memoryBytes;
    return this;
  }

  /** Lets in what stands beside runs: it is no request and no run of its own, but what it may hold counts. */
  stand({ memory }: Quotas, memoryBytes: number): Entered | Refused {
    if (memory !== undefined && this.#memory + memoryBytes > memory) return memoryBytes > memory ? NEVER_FITS : MEMORY;
    this.#memory += memoryBytes;
    return { refused: undefined, leave: (bytes) => void (this.#memory -= bytes) };
  }

  leave(memoryBytes: number): void {
    if (this.#runs === 0 || this.#memory < memoryBytes) throw new Error("a run left a tenant's gate that it had not entered");
    this.#runs -= 1;
    this.#memory -= memoryBytes;
  }

  /** Brings the tokens up to now: one second's worth at most, and at least room for one. */
  #count(rate: number, now: number): void {
    const full = rate < 1 ? 1 : rate;
    // Time until now was worth the old rate's tokens; a tenant that had no rate begins with all of them.
    const passed = Math.max(0, now - this.#countedAt);
    const tokens = this.#rate === 0 ? full : this.#tokens + (passed * this.#rate) / 1000;
    this.#tokens = tokens < full ? tokens : full;
    this.#countedAt += passed;
    this.#rate = rate;
  }
}

function outOfTokens(missing: number, rate: number): Refused {
  return { refused: { code: "quota/requests", detail: REQUESTS, retryAfter: Math.max(1, Math.ceil(missing / rate)) } };
}

export class TenantGates {
  readonly #quotasOf: (tenant: string) => Quotas;
  readonly #gates = new Map<string, TenantGate>();

  /** `quotasOf` is asked at each entry. */
  constructor(quotasOf: (tenant: string) => Quotas) {
    this.#quotasOf = quotasOf;
  }

  enter(tenant: string, memoryBytes: number, now: number): TenantGate | Refused {
    return this.of(tenant).enter(this.#quotasOf(tenant), memoryBytes, now);
  }

  stand(tenant: string, memoryBytes: number): Entered | Refused {
    return this.of(tenant).stand(this.#quotasOf(tenant), memoryBytes);
  }

  of(tenant: string): TenantGate {
    const gate = this.#gates.get(tenant);
    if (gate !== undefined) return gate;
    const fresh = new TenantGate();
    this.#gates.set(tenant, fresh);
    return fresh;
  }

  /** When a tenant goes. Its runs leave the gate that they hold; one of the same name later has a new one. */
  forget(tenant: string): void {
    this.#gates.delete(tenant);
  }
}

const ROOM = {
  tasks: { code: "quota/tasks", unit: "tasks" },
  storedBytes: { code: "quota/stored-bytes", unit: "bytes" },
} as const;

/**
 * Passes if the tenant may have so many more tasks, or bytes, beside those it has; throws the quota's problem. With
 * figures: only those who may change the tenant's things get here.
 */
export function requireRoom(quotas: Quotas, quota: keyof typeof ROOM, used: number, more: number): void {
  const allowed = quotas[quota];
  if (allowed === undefined || more <= 0 || used + more <= allowed) return;
  const { code, unit } = ROOM[quota];
  throw new ProblemError(code, `The quota ${quota} allows ${allowed} ${unit}; ${used} are used, and this takes ${more} more.`);
}
