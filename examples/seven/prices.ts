/** What both providers agree on: where prices are, and what many pieces are worth. */
import { open } from "wasi:keyvalue/store@0.2.0-draft2";

/** An order has no more pieces than this. */
export const MOST = 50_000;

/** Cents for one piece. */
export function priceOf(item: string): number {
  const digits = open("prices").get(item);
  if (!digits) throw wrong(`there is no price for ${item}`);
  return Number(String.fromCharCode(...digits));
}

/** Each piece of an order is a little cheaper than the one before, down to half of the price. */
export function worth(piece: number): number {
  return Math.max(0.5, 0.9999 ** piece);
}

/** What a function of WIT throws is its error value. */
export function wrong(message: string): unknown {
  return message;
}
