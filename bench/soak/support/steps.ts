/** Many steps, so many at once, and what went wrong with them. */

/** Something that must never happen did. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** A violation, and the step that shows it again with the same seed. */
export interface Found {
  readonly step: number;
  readonly what: string;
  readonly message: string;
}

/** Violations that are remembered; later ones are only counted. */
const REMEMBERED = 50;

export class Findings {
  readonly found: Found[] = [];
  count = 0;

  add(step: number, what: string, error: unknown): void {
    this.count++;
    if (this.found.length >= REMEMBERED) return;
    this.found.push({ step, what, message: error instanceof Violation ? error.message : String((error as Error).stack) });
  }
}

/** Calls `step` for each number from `first` on, `atOnce` at a time; stops early when `isOver` says so. */
export async function runSteps(
  first: number,
  count: number,
  atOnce: number,
  step: (n: number) => Promise<void>,
  isOver: () => boolean = () => false,
): Promise<void> {
  let next = first;
  const worker = async (): Promise<void> => {
    while (next < first + count && !isOver()) await step(next++);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker));
}
