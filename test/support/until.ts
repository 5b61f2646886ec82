/** Waiting for something to become so, never for time to pass. */

/** Resolves with the first value that is neither false nor undefined; rejects, saying what was wanted, when none comes in time. */
export async function until<T>(
  what: string | (() => string),
  value: () => T | Promise<T>,
  limitMs = 10_000,
): Promise<Exclude<T, false | undefined>> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const found = await value();
    if (found !== false && found !== undefined) return found as Exclude<T, false | undefined>;
    if (performance.now() > deadline)
      throw new Error(`in ${limitMs} ms it did not come about that ${typeof what === "string" ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** `promise`, or a rejection that says what did not come in time; `more` adds to it. */
export async function within<T>(promise: Promise<T>, limitMs: number, what: string, more: () => string = () => ""): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come in ${limitMs} ms${more()}`)), limitMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
