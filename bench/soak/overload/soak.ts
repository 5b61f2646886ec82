/** The overload soak itself: latency without load, what the node can, then more than that for some seconds. */
import { availableParallelism } from "node:os";
import { runPart } from "../../support/part.js";
import type { Pace, Stream, Streamed } from "../../support/streams.js";
import { Findings, Violation, type Found } from "../support/steps.js";
import { codesText, figuresOf, judge, ms, percentText, wrongAnswers, type Bounds, type Figures, type Measured } from "./judge.js";
import type { Target } from "./target.js";

export interface OverloadOptions {
  /** Seconds of too much load, and of one request at a time before. */
  readonly seconds: number;
  readonly unloadedSeconds: number;
  /** Seconds of each window in which it is found out what the node can; one window for each number of connections. */
  readonly windowSeconds: number;
  readonly windows: readonly number[];
  readonly seed: number;
  /** The load, in times of what the node can. */
  readonly over: number;
  readonly bounds: Bounds;
  readonly start: () => Promise<Target>;
  /** Sends requests; a process of its own unless said otherwise. */
  readonly drive?: (streams: readonly Stream[], seconds: number) => Promise<Streamed[]>;
  readonly progress?: (line: string) => void;
}

export interface OverloadResult extends Measured {
  /** Requests a second that were asked for. */
  readonly rate: number;
  readonly figures: Figures;
  readonly violations: number;
  readonly found: readonly Found[];
}

/** What the issue asks for. */
export const BOUNDS: Bounds = { latency: 3, refusalMs: 50, goodput: 0.6 };

/** Milliseconds between two requests when there is no load, in the mean. */
const GAP_MS = 5;
/** How long a client that waits for answers stays away after a refusal, in milliseconds. */
const PAUSE_MS = 20;
const LEAST_CONNECTIONS = 256;
/** As many connections as are due in so many seconds: more than wait at once if refusals come in time. */
const CONNECTED_SECONDS = 0.25;

/** Enough connections that every processor always has one more to do, and not so many that the node calls it too much. */
export function windowsOf(guest: "work" | "hello"): number[] {
  const cores = availableParallelism();
  const numbers = guest === "work" ? [cores, 2 * cores, 3 * cores] : [16 * cores, 32 * cores];
  return [...numbers, ...numbers];
}

export async function runOverload(options: OverloadOptions): Promise<OverloadResult> {
  const { seconds, unloadedSeconds, windowSeconds, windows, seed, over, bounds, start, drive = inProcess, progress = () => {} } = options;
  await using target = await start();
  progress(target.about);
  const send = async (name: string, pace: Pace, connections: number, lasts: number): Promise<Streamed> => {
    const { url, expected } = target;
    return (await drive([{ name, url, expected, pace, connections, seed }], lasts))[0] as Streamed;
  };
  const findings = new Findings();
  await send("warm-up", { kind: "closed", atOnce: 2, pause: PAUSE_MS }, 2, Math.min(1, windowSeconds));
  const unloaded = await send("one at a time", { kind: "single", gap: GAP_MS }, 1, unloadedSeconds);
  const tried: Streamed[] = [];
  for (const atOnce of windows) tried.push(await send("capacity", { kind: "closed", atOnce, pause: PAUSE_MS }, atOnce, windowSeconds));
  for (const window of tried)
    for (const what of wrongAnswers("as fast as it can", window)) findings.add(0, "capacity", new Violation(what));
  const capacity = Math.max(...tried.map(({ served, seconds: lasted }) => served.length / lasted));
  progress(`${Math.round(capacity)} a second; windows: ${tried.map((window, i) => windowText(windows[i] as number, window)).join(", ")}`);
  const rate = over * capacity;
  const connections = Math.max(LEAST_CONNECTIONS, Math.ceil(rate * CONNECTED_SECONDS));
  progress(`${Math.round(rate)} a second for ${seconds} s on ${connections} connections`);
  const loaded = await send("overload", { kind: "open", rate }, connections, seconds);
  const measured = { unloaded, capacity, loaded };
  for (const what of judge(measured, bounds)) findings.add(0, "overload", new Violation(what));
  for (const what of await target.finish()) findings.add(0, "the node", new Violation(what));
  return { ...measured, rate, figures: figuresOf(measured), violations: findings.count, found: findings.found };
}

async function inProcess(streams: readonly Stream[], seconds: number): Promise<Streamed[]> {
  const { value } = await runPart<Streamed[]>(new URL("../../support/streams-process.ts", import.meta.url), [
    seconds,
    JSON.stringify(streams),
  ]);
  return value;
}

function windowText(atOnce: number, { served, refused, seconds }: Streamed): string {
  return `${Math.round(served.length / seconds)} with ${atOnce}${refused.length > 0 ? ` (${refused.length} refused)` : ""}`;
}

/** What came out, for people: the last line has counts, ratios and the seed. */
export function resultLines(
  { unloaded, capacity, loaded, rate, figures, violations }: OverloadResult,
  over: number,
  seed: number,
): string[] {
  const { unloadedP50, unloadedP99, servedP50, servedP99, refusedP50, refusedP99, goodput, refusedShare, clientP99 } = figures;
  return [
    `one at a time: p50 ${ms(unloadedP50)}, p99 ${ms(unloadedP99)} (${unloaded.served.length} requests)`,
    `served: ${loaded.served.length}, p50 ${ms(servedP50)}, p99 ${ms(servedP99)}`,
    `refused: ${loaded.refused.length}, p50 ${ms(refusedP50)}, p99 ${ms(refusedP99)} (${codesText(loaded) || "none"}); the client itself was late by ${ms(clientP99)} (p99)`,
    `${loaded.requests} requests, ${Math.round(rate)} a second (${over} of ${Math.round(capacity)}) for ${Math.round(loaded.seconds)} s: ` +
      `${percentText(refusedShare)} refused, ${loaded.wrong} wrong; served p99 ${figures.served_p99_over_unloaded.toFixed(2)} of unloaded, ` +
      `goodput ${goodput.toFixed(2)}: ${violations} violations, seed ${seed}`,
  ];
}
