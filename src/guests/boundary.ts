/**
 * What may cross into the host, and what comes back when it refuses. Part of `pilotlight/guest`.
 *
 * A value of another type than the interface has may end the instance instead of the call, so it is refused before.
 */

/** A case of the interface's error variant. */
export interface HostError {
  readonly tag: string;
  readonly val?: unknown;
}

/** The error of a `result`, which the engine throws inside an `Error`; undefined when this is another error. */
export function hostError(thrown: unknown): HostError | undefined {
  return (thrown as { readonly payload?: HostError } | undefined)?.payload;
}

/** Does the work; what the host refuses becomes the error that `told` makes of it, with what was thrown as its cause. */
export function asking<T>(work: () => T, told: (refused: HostError, because: ErrorOptions) => Error): T {
  try {
    return work();
  } catch (error) {
    const refused = hostError(error);
    throw refused === undefined ? error : told(refused, { cause: error });
  }
}

/** Throws a `TypeError` for anything but a text, and for one that UTF-8 cannot say. */
export function expectText(call: string, what: string, value: unknown): asserts value is string {
  if (typeof value !== "string") throw new TypeError(`${call}: the ${what} has to be a text, and is ${kindOf(value)}`);
  if (/\p{Cs}/u.test(value)) throw new TypeError(`${call}: the ${what} has half of a surrogate pair in it`);
}

export function kindOf(value: unknown): string {
  return value === null ? "null" : Array.isArray(value) ? "an array" : typeof value;
}
