/** Demand in the shape of a day, a part of which can wait: what is in use at once without deferral, and with it. */
import { generateDays } from "../sim/day.js";
import { deferring, type Deferred } from "../sim/deferring.js";
import { Usage } from "../sim/in-use.js";
import { Random } from "../soak/support/random.js";
import { uniform } from "../sim/chance.js";

const DAY = 86_400_000;
/** Of the load, what can wait. */
const DEFERRABLE = 0.3;

export interface ComparedDays {
  readonly plain: Usage;
  readonly deferred: Deferred;
}

/** The first half of the days is for learning what a day is like. */
export async function compareDays({
  seed,
  days,
  load,
}: {
  readonly seed: number;
  readonly days: number;
  readonly load: number;
}): Promise<ComparedDays> {
  const from = (days / 2) * DAY;
  const requests = generateDays({ seed, days, load, deferrable: DEFERRABLE });
  const plain = new Usage(from);
  plain.end(requests.at(-1)?.time ?? 0);
  const changes = requests.flatMap(({ time, duration }) => [
    { time, by: 1 },
    { time: time + duration, by: -1 },
  ]);
  for (const { time, by } of changes.sort((a, b) => a.time - b.time)) plain.change(time, by);
  const random = new Random(seed, 2_000_002);
  return { plain, deferred: await deferring(requests, from, () => uniform(random)) };
}
