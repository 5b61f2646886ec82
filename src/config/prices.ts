/** What a GiB-second costs, by sub-pool and time of day: what usage is weighed by. Money has no unit here. */
import type { FieldError } from "../base/problem.js";
import type { SubPool } from "../pool/types.js";
import type { ConfigFile } from "./schema.js";

/** Minutes of the local day, the first included and the last not; `from` above `to` goes on past midnight. */
interface PriceWindow {
  readonly from: number;
  readonly to: number;
  readonly price: number;
}

export interface PriceList {
  /** No two have a minute in common. */
  readonly windows: readonly PriceWindow[];
  /** Outside of them. */
  readonly otherwise: number;
}

export type Prices = Readonly<Record<SubPool, PriceList>>;

const USUAL: PriceList = { windows: [], otherwise: 1 };
export const USUAL_PRICES: Prices = { shared: USUAL, dedicated: USUAL, variable: USUAL };

/** The price of a GiB-second at a time (milliseconds since 1970), by this machine's local time of day. */
export function priceAt(prices: Prices, pool: SubPool, time: number): number {
  const { windows, otherwise } = prices[pool];
  if (windows.length === 0) return otherwise;
  const local = new Date(time);
  const minute = local.getHours() * 60 + local.getMinutes();
  return windows.find((window) => holds(window, minute))?.price ?? otherwise;
}

function holds({ from, to }: PriceWindow, minute: number): boolean {
  return from < to ? minute >= from && minute < to : minute >= from || minute < to;
}

/** What the file says of prices. Adds what is wrong to `faults`. */
export function resolvePrices(said: ConfigFile["prices"], faults: FieldError[]): Prices {
  const list = (pool: SubPool): PriceList => {
    const price = said[pool];
    if (price === undefined) return USUAL;
    return typeof price === "number" ? { windows: [], otherwise: price } : resolveList(price, `prices.${pool}`, faults);
  };
  return { shared: list("shared"), dedicated: list("dedicated"), variable: list("variable") };
}

type Entry = Exclude<NonNullable<ConfigFile["prices"][SubPool]>, number>[number];

function resolveList(entries: readonly Entry[], at: string, faults: FieldError[]): PriceList {
  const windows: (PriceWindow & { readonly field: string })[] = [];
  let rest: { readonly price: number; readonly field: string } | undefined;
  for (const [i, { from, to, price }] of entries.entries()) {
    const field = `${at}[${i}]`;
    const fault = (message: string): void => void faults.push({ field, message });
    if (from === undefined && to === undefined) {
      if (rest !== undefined) fault(`${rest.field} says already what holds outside of the windows`);
      else rest = { price, field };
    } else if (from === undefined || to === undefined) fault('a window has "from" and "to"; leave both out for the rest of the day');
    else if (from === to) fault(`from ${from} to ${to} is no time at all; leave both out for the whole day`);
    else {
      const window = { from: minutes(from), to: minutes(to), price, field };
      const other = windows.find((known) => holds(known, window.from) || holds(window, known.from));
      if (other !== undefined) fault(`overlaps with ${other.field}; a minute has one price`);
      windows.push(window);
    }
  }
  return { windows: windows.map(({ from, to, price }) => ({ from, to, price })), otherwise: rest?.price ?? 1 };
}

/** Of the schema's HH:MM. */
function minutes(text: string): number {
  const [hours, rest] = text.split(":") as [string, string];
  return Number(hours) * 60 + Number(rest);
}
