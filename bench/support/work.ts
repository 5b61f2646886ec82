/** The guest `work`: so many rounds of computing for each request, and what it answers. */
import { BenchError } from "./bench-error.js";
import { guestFile } from "./paths.js";

export const WORK_FILE = guestFile("work-p2");

/** What a request of it is. */
export interface Work {
  readonly query: string;
  readonly expected: string;
  readonly rounds: number;
}

const FIRST_ROUNDS = 5_000_000;
const LEAST_ROUNDS = 1000;
const TRIED = 15;

/** As many rounds as take so many milliseconds here; `url` is the task's. */
export async function workOf(url: string, milliseconds: number): Promise<Work> {
  const none = await timeOf(`${url}?rounds=0`);
  const some = await timeOf(`${url}?rounds=${FIRST_ROUNDS}`);
  const rounds = Math.max(LEAST_ROUNDS, Math.round((milliseconds / Math.max(1, some - none)) * FIRST_ROUNDS));
  return { query: `?rounds=${rounds}`, expected: `${worked(rounds)}\n`, rounds };
}

/** The shortest of some tries: others at work on the machine only ever make it longer. */
async function timeOf(url: string): Promise<number> {
  let shortest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < TRIED; i++) {
    const begin = performance.now();
    const answer = await fetch(url);
    const text = await answer.text();
    if (answer.status !== 200) throw new BenchError(`${url} was answered ${answer.status}: ${text}`);
    shortest = Math.min(shortest, performance.now() - begin);
  }
  return shortest;
}

/** What guests/work-p2 answers after so many rounds. */
export function worked(rounds: number): number {
  let x = 1;
  for (let i = 0; i < rounds; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
  }
  return x >>> 0;
}
