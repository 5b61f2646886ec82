/**
 * What running a function takes, from its history: time in service, never time in line, and memory held over that time.
 *
 * A decayed mean for each version and function, and one for each order of magnitude of its input, which is used where it
 * has predicted better. What is not observed any more is trusted less and less, and drifts back to what is usual for
 * the function, so that whoever was slow gets another chance. No clock: times are milliseconds that the caller gives.
 */

export interface Observed {
  /** The size of the input, in bytes. */
  readonly bytes: number;
  readonly serviceMs: number;
  /** MiB times milliseconds. */
  readonly memoryMibMs: number;
}

export interface Estimate {
  readonly serviceMs: number;
  readonly memoryMibMs: number;
  /** How many observations of inputs of that size it rests on, decayed; 0: nothing is known of them. */
  readonly observed: number;
}

/** What is assumed of a function of which nobody has run anything. */
const PRIOR: Estimate = { serviceMs: 1, memoryMibMs: 1, observed: 0 };

/** The newest observation counts at least this share: the mean is that of about eight. */
const MOST_WEIGHT = 8;
/** What an observation weighs halves in this time, in milliseconds. */
const HALF_LIFE = 10_000;
/** What the prior weighs beside observations. */
const PRIOR_WEIGHT = 0.25;
/** A bucket's mean counts from so many observations on. */
const LEAST_IN_BUCKET = 3;
/** An observation counts as so many times the mean of its bucket at the most, once that is certain. */
const OUTLIER = 3;
/** From here on the prior is left out. */
const CERTAIN = 4;
/** Functions that are remembered, and versions that serve each; the oldest goes first. */
const MOST_FUNCTIONS = 10_000;
const MOST_PROGRAMS = 2000;

class Mean {
  #weight = 0;
  #at = 0;
  serviceMs = 0;
  memoryMibMs = 0;

  weight(now: number): number {
    return this.#weight * 2 ** (-Math.max(0, now - this.#at) / HALF_LIFE);
  }

  add({ serviceMs, memoryMibMs }: Observed, now: number): void {
    const weight = Math.min(MOST_WEIGHT, this.weight(now) + 1);
    this.serviceMs += (serviceMs - this.serviceMs) / weight;
    this.memoryMibMs += (memoryMibMs - this.memoryMibMs) / weight;
    this.#weight = weight;
    this.#at = now;
  }
}

class History {
  readonly whole = new Mean();
  readonly buckets = new Map<number, Mean>();
  /** Decayed absolute errors of both in predicting service times. */
  wholeError = 0;
  bucketError = 0;

  add(seen: Observed, now: number): void {
    const bucket = bucketOf(seen.bytes);
    let own = this.buckets.get(bucket);
    if (own === undefined) this.buckets.set(bucket, (own = new Mean()));
    if (own.weight(now) >= LEAST_IN_BUCKET) {
      this.wholeError += (Math.abs(seen.serviceMs - this.whole.serviceMs) - this.wholeError) / MOST_WEIGHT;
      this.bucketError += (Math.abs(seen.serviceMs - own.serviceMs) - this.bucketError) / MOST_WEIGHT;
    }
    own.add(own.weight(now) >= CERTAIN ? within(seen, own) : seen, now);
    this.whole.add(seen, now);
  }

  /** How much is known of inputs of this size; those of others say little. */
  known(bytes: number | undefined, now: number): number {
    if (bytes === undefined) return this.whole.weight(now);
    return this.buckets.get(bucketOf(bytes))?.weight(now) ?? 0;
  }

  /** The mean that has predicted better for inputs of this size. */
  best(bytes: number | undefined, now: number): Mean {
    const own = bytes === undefined ? undefined : this.buckets.get(bucketOf(bytes));
    return own !== undefined && own.weight(now) >= LEAST_IN_BUCKET && this.bucketError <= this.wholeError ? own : this.whole;
  }
}

/** One function of a capability, over all who provide it. */
interface Kind {
  /** What is usual, whoever serves it. */
  readonly usual: Mean;
  /** By program, the one observed last at the end. */
  readonly histories: Map<number, History>;
}

export class Costs {
  readonly #kinds = new Map<string, Kind>();

  /** A run of `func` (of a capability, over all who provide it) by the version `program` has ended well. */
  observe(program: number, func: string, seen: Observed, now: number): void {
    let kind = this.#kinds.get(func);
    if (kind === undefined) {
      this.#kinds.set(func, (kind = { usual: new Mean(), histories: new Map() }));
      drop(this.#kinds, MOST_FUNCTIONS);
    }
    const { usual, histories } = kind;
    const history = histories.get(program) ?? new History();
    histories.delete(program);
    histories.set(program, history);
    history.add(seen, now);
    usual.add(seen, now);
    drop(histories, MOST_PROGRAMS);
  }

  /** `bytes`: the size of the input; undefined: of any. */
  estimate(program: number, func: string, bytes: number | undefined, now: number): Estimate {
    const kind = this.#kinds.get(func);
    if (kind === undefined) return PRIOR;
    const history = kind.histories.get(program);
    if (history === undefined) return { ...blend(kind.usual, PRIOR, now), observed: 0 };
    const mean = history.best(bytes, now);
    // What was just observed needs no prior.
    const estimate = blend(mean, mean.weight(now) >= CERTAIN ? mean : blend(kind.usual, PRIOR, now), now);
    return { ...estimate, observed: history.known(bytes, now) };
  }
}

function blend(mean: Mean, prior: Pick<Estimate, "serviceMs" | "memoryMibMs">, now: number): Estimate {
  const weight = mean.weight(now);
  const mix = (own: number, other: number): number => (own * weight + other * PRIOR_WEIGHT) / (weight + PRIOR_WEIGHT);
  return {
    serviceMs: mix(mean.serviceMs, prior.serviceMs),
    memoryMibMs: mix(mean.memoryMibMs, prior.memoryMibMs),
    observed: weight,
  };
}

/** One run that something held up says little of the next; a provider that has become slow soon says so again. */
function within(seen: Observed, { serviceMs, memoryMibMs }: Mean): Observed {
  return {
    ...seen,
    serviceMs: Math.min(seen.serviceMs, OUTLIER * serviceMs),
    memoryMibMs: Math.min(seen.memoryMibMs, OUTLIER * memoryMibMs),
  };
}

/** Orders of magnitude, by two. */
function bucketOf(bytes: number): number {
  return Math.ceil(Math.log2(Math.max(1, bytes)));
}

function drop(map: Map<unknown, unknown>, most: number): void {
  if (map.size <= most) return;
  for (const key of map.keys()) {
    map.delete(key);
    return;
  }
}
