/** Whether the answers of a load are those that an alias led to while it was changed under them. */
import type { Sample } from "./load.js";

/** What an alias leads to after a change, and when. */
export interface Era {
  /** The change, for messages. */
  readonly what: string;
  /** Numbers and their weights. */
  readonly targets: ReadonlyMap<number, number>;
  readonly sticky: boolean;
  /** When the change was asked for, and answered. */
  readonly asked: number;
  readonly answered: number;
}

export interface Verdict {
  readonly failures: readonly { readonly at: number; readonly what: string; readonly message: string }[];
  /** Eras with several targets and enough answers to hold against the weights, and such with a sticky header. */
  readonly split: number;
  readonly sticky: number;
}

/** Chance alone goes so many standard deviations from the mean once in 26 million looks. */
const DEVIATIONS = 5.5;
/** Fewer answers, or users, say nothing about weights. */
const ENOUGH = 50;

/**
 * Each answer must be of a version that the alias led to at some moment between the request's start and its end. A
 * change happens somewhere between its question and its answer, so an era may begin with the one and has ended for
 * certain with the answer to the next one. Eras in their order; the last goes on.
 */
export function judge(samples: readonly Sample[], eras: readonly Era[]): Verdict {
  const failures: { at: number; what: string; message: string }[] = [];
  for (const sample of samples) {
    const during = eras.filter(({ asked }, i) => asked <= sample.ended && (eras[i + 1]?.answered ?? Infinity) >= sample.sent);
    const message = sample.failure ?? wrongVersion(sample, during);
    if (message !== undefined) failures.push({ at: sample.sent, what: during.at(-1)?.what ?? "before all", message });
  }
  const counts = { split: 0, sticky: 0 };
  eras.forEach((era, i) => {
    if (era.targets.size < 2) return;
    const until = eras[i + 1]?.asked ?? Infinity;
    const within = samples.filter(({ sent, ended, number }) => sent >= era.answered && ended <= until && number !== undefined);
    const looked = era.sticky ? byUser(within) : { numbers: within.map(({ number }) => number as number), moved: [] };
    for (const message of looked.moved) failures.push({ at: era.answered, what: era.what, message });
    if (looked.numbers.length < ENOUGH) return;
    counts[era.sticky ? "sticky" : "split"]++;
    for (const message of offWeights(looked.numbers, era)) failures.push({ at: era.answered, what: era.what, message });
  });
  return { failures, ...counts };
}

function wrongVersion({ number, sent, ended }: Sample, during: readonly Era[]): string | undefined {
  if (during.some(({ targets }) => targets.has(number as number))) return undefined;
  const led = [...new Set(during.flatMap(({ targets }) => [...targets.keys()]))];
  return `a request of ${(ended - sent).toFixed(1)} ms was answered by ${number}, and the alias led to ${led.join(" and ")} meanwhile`;
}

/** The number that each user got, and what is said of those who got several. */
function byUser(samples: readonly Sample[]): { readonly numbers: readonly number[]; readonly moved: readonly string[] } {
  const got = new Map<number, number>();
  const moved: string[] = [];
  for (const { user, number } of samples) {
    const before = got.get(user);
    if (before === undefined) got.set(user, number as number);
    else if (before !== number) moved.push(`user-${user} was answered by ${before} and by ${number} while the weights stayed`);
  }
  return { numbers: [...got.values()], moved };
}

function offWeights(numbers: readonly number[], { targets, sticky }: Era): string[] {
  const total = [...targets.values()].reduce((sum, weight) => sum + weight, 0);
  return [...targets].flatMap(([number, weight]) => {
    const share = weight / total;
    const expected = numbers.length * share;
    const found = numbers.filter((one) => one === number).length;
    const allowed = DEVIATIONS * Math.sqrt(expected * (1 - share)) + 1;
    if (Math.abs(found - expected) <= allowed) return [];
    const of = sticky ? "users" : "answers";
    return [
      `${found} of ${numbers.length} ${of} were ${number}'s, with a weight of ${weight} of ${total}: ${Math.round(expected)} were expected`,
    ];
  });
}
