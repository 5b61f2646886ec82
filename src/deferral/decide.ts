/**
 * Whether work that can wait is put off, and until when: two questions, one after the other.
 *
 * May it wait at all, and for how long? And is some later time better: is the demand that is forecast there, times what capacity
 * costs there, lower than now by a margin? Otherwise it starts at once. What was weighed is kept with the answer, for people.
 */

export interface DecideInput {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** What says that it can wait: the request, its task, the trigger that started it (by so much). */
  readonly insensitive: { readonly request?: boolean; readonly task?: boolean; readonly triggerMs?: number };
  /** It is to have started by then. */
  readonly notAfter?: number | undefined;
  /** What it usually takes, in milliseconds. */
  readonly runMs: number;
  /** How far ahead is looked where nothing says how long it may wait. */
  readonly horizonMs: number;
  /** What goes on now, in the forecast's unit. */
  readonly demandNow: number;
  /** What is forecast from one time to another; undefined: not known. */
  readonly demand: (from: number, to: number) => number | undefined;
  /** Of a GiB-second at that time. */
  readonly priceAt: (time: number) => number;
  /** Where in the quarter hour that is best it starts, 0 to 1: all that is put off to one should not start at its beginning. */
  readonly place?: number;
}

/** One time as it was weighed. */
export interface Weighed {
  readonly at: number;
  /** Undefined: not known. */
  readonly demand: number | undefined;
  readonly price: number;
  readonly cost: number;
}

export interface Decision {
  readonly start: "now" | { readonly at: number };
  /** In words. */
  readonly why: string;
  readonly now: Weighed;
  /** The best later time; undefined: there was none to look at. */
  readonly best: Weighed | undefined;
  /** The latest time at which it may start. */
  readonly latest: number;
}

const STEP = 15 * 60_000;
/** Nothing is put off for longer than this, whatever is said. */
const FARTHEST = 24 * 3_600_000;
/** What is gained has to be worth the wait. */
const MARGIN = 0.2;
/** Before its latest start, so that it does start by then. */
const SPARE_MS = 2000;
/** With nothing forecast, prices alone are compared. */
const EVEN = 1;

export function decide(input: DecideInput): Decision {
  const { now, insensitive, notAfter = Number.POSITIVE_INFINITY, runMs, horizonMs } = input;
  const mayWait = insensitive.request === true || insensitive.task === true || (insensitive.triggerMs ?? 0) > 0;
  // Who says by when it is to start gives it all the time until then.
  const said = insensitive.triggerMs ?? (notAfter === Number.POSITIVE_INFINITY ? horizonMs : FARTHEST);
  const longest = Math.min(FARTHEST, said);
  const latest = Math.max(now, Math.min(now + longest, notAfter - Math.min(runMs, STEP) - SPARE_MS));
  const known = input.demand(now, now + STEP);
  // What goes on now is known better than what usually does; a moment's pause is no quiet time.
  const demandNow = known === undefined ? undefined : Math.max(input.demandNow, known);
  const atOnce = (why: string, best?: Weighed): Decision => ({ start: "now", why, now: weigh(input, now, demandNow), best, latest });
  if (!mayWait) return atOnce("it cannot wait");
  if (latest - now < STEP) return atOnce(notAfter - now < STEP ? "it is to start soon in any case" : "it may not wait long enough");
  const isKnown = demandNow !== undefined && isForecast(input, latest);
  const here = weigh(input, now, isKnown ? demandNow : undefined);
  let best: Weighed | undefined;
  for (let at = next(now); at <= latest; at += STEP) {
    const there = weigh(input, at, isKnown ? input.demand(at, at + STEP) : undefined);
    // The earliest of equal ones.
    if (best === undefined || there.cost < best.cost) best = there;
  }
  if (best === undefined || here.cost === 0 || best.cost > here.cost * (1 - MARGIN))
    return { ...atOnce(whyNow(here, best), best), now: here };
  const share = Math.round((1 - best.cost / here.cost) * 100);
  const unit = isKnown ? "demand and price are" : "the price is";
  const at = best.at + Math.floor((input.place ?? 0) * Math.min(STEP, latest - best.at));
  return { start: { at }, why: `${unit} ${share} % lower then`, now: here, best, latest };
}

function whyNow(here: Weighed, best: Weighed | undefined): string {
  if (best === undefined) return "there is no later time to look at";
  if (here.cost === 0) return "nothing else goes on";
  return here.demand === undefined ? "nothing is forecast, and no later price is a fifth lower" : "no later time is a fifth better";
}

/** Whether all of the times to look at have a forecast. */
function isForecast({ now, demand }: DecideInput, latest: number): boolean {
  for (let at = next(now); at <= latest; at += STEP) if (demand(at, at + STEP) === undefined) return false;
  return true;
}

function weigh({ priceAt }: DecideInput, at: number, demand: number | undefined): Weighed {
  const price = Math.max(0, priceAt(at));
  return { at, demand, price, cost: price * (demand ?? EVEN) };
}

/** The quarter hour after this one. */
function next(now: number): number {
  return (Math.floor(now / STEP) + 1) * STEP;
}
