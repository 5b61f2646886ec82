/** A bench that cannot go on; the message says why and what to do, and is all that its reader needs. */
export class BenchError extends Error {
  override readonly name = "BenchError";
}

/** Runs an entry: a `BenchError` is printed as its message alone, and anything thrown makes the exit status 1. */
export async function main(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    process.stderr.write(`${error instanceof BenchError ? error.message : String((error as Error).stack)}\n`);
    process.exitCode = 1;
  }
}
