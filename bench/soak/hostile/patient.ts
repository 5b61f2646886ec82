/**
 * A client that does as it is told: where the node has more to do than its processors can, it says so and when to try
 * again, and that is the right answer among guests that loop. Whoever asks again is served in the end.
 */
import { Client, type Answer, type Asked } from "../support/client.js";

/** Sooner than the node says, so that it is pressed all the time. */
const AGAIN_MS = 100;
/** A request that is refused for so long is not served at all. */
const TIMES = 300;

export class PatientClient extends Client {
  override async ask(port: number, asked: Asked): Promise<Answer> {
    return untilServed(() => super.ask(port, asked), isOverloaded);
  }
}

/** Asks again as long as the answer is that there is too much to do; the last answer. */
export async function untilServed<T>(ask: () => Promise<T>, isPutOff: (answer: T) => boolean): Promise<T> {
  for (let time = 1; ; time++) {
    const answer = await ask();
    if (time >= TIMES || !isPutOff(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

/** The answer to a HEAD request has no body to tell by. */
function isOverloaded({ status, headers, body }: Answer): boolean {
  if (status !== 503 || headers["content-type"] !== "application/problem+json" || headers["retry-after"] === undefined) return false;
  return body.length === 0 || body.includes("capacity/overloaded");
}
