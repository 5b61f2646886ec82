/** Quotes by a table of all sums. The top level runs while the component is built, so the table is there when an instance is made. */
import { MOST, priceOf, worth, wrong } from "../prices.js";

const sums = new Float64Array(MOST + 1);
for (let piece = 0; piece < MOST; piece++) sums[piece + 1] = (sums[piece] as number) + worth(piece);

export const quote = {
  total(item: string, pieces: number): number {
    const sum = sums[pieces];
    if (sum === undefined) throw wrong(`an order has at most ${MOST} pieces`);
    return Math.round(priceOf(item) * sum);
  },
};
