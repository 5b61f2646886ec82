/** What must hold of a run and its sidecars, told from the run's record and from what the sidecars have noted themselves. */
import type { Move } from "../../../src/invoke/beside.js";
import { Violation } from "../support/steps.js";

/** A call that a bystander has noted: of which function, on which instance, for which run, in the order in which they came. */
export interface Note {
  readonly func: string;
  readonly instance: string;
  readonly about: string;
}

export interface Judged {
  readonly lifecycle: readonly Move[];
  /** In the order of the manifest. */
  readonly sidecars: readonly string[];
  /** What one call may take, and a stop until it is ended, in milliseconds. */
  readonly callMs: number;
  readonly stopMs: number;
}

/** Milliseconds that the machine may keep a move from being done. */
const SLACK_MS = 3000;

/** Throws a `Violation` unless the moves are all done, in order and in time. */
export function judgeMoves({ lifecycle, sidecars, callMs, stopMs }: Judged): void {
  const said = (): string =>
    lifecycle.map(({ of, move, at, ms, failed }) => `${at.slice(17)} ${of} ${move} ${ms?.toFixed(2)} ${failed ?? ""}`).join("; ");
  const fail = (what: string): never => {
    throw new Violation(`${what}: ${said()}`);
  };
  const end = ({ at, ms = 0 }: Move): number => timeOf(at) + ms;
  const main = (move: Move["move"]): number => lifecycle.findIndex((each) => each.of === "main" && each.move === move);
  const [began, over] = [main("start"), main("stop")];
  for (const [i, move] of lifecycle.entries()) {
    if (move.ms === undefined) fail(`${move.of} never came to the end of its ${move.move}`);
    const most = move.of === "main" ? 0 : move.move === "stop" ? stopMs : callMs;
    if ((move.ms ?? 0) > most + SLACK_MS) fail(`${move.of} took ${move.ms} ms to ${move.move}`);
    if (move.of === "main") continue;
    if (move.move === "start" && began >= 0 && i < began && end(move) > timeOf((lifecycle[began] as Move).at) + 0.01)
      fail(`the main began before ${move.of} stood`);
    if (move.move === "stop" && over >= 0 && i < over) fail(`${move.of} stopped before the main`);
  }
  const of = (move: Move["move"]): string[] => lifecycle.filter((each) => each.move === move).map((each) => each.of);
  const first = of("start").filter((name, i, all) => all.indexOf(name) === i && name !== "main");
  if (began >= 0 && first.join() !== sidecars.filter((name) => first.includes(name)).join()) fail("they started out of order");
  const stops = of("stop").filter((name) => name !== "main");
  const expected = sidecars.filter((name) => stops.includes(name)).toReversed();
  if (stops.join() !== expected.join()) fail("they stopped out of order");
  const pauses = of("pause");
  if (pauses.length > 0 && pauses[0] !== "main") fail("a sidecar paused before the main");
  if (
    pauses.length > 1 &&
    pauses.slice(1).join() !==
      sidecars
        .filter((name) => pauses.includes(name))
        .toReversed()
        .join()
  )
    fail("they paused out of order");
  const resumes = of("resume");
  if (resumes.length > 0 && resumes.at(-1) !== "main") fail("a sidecar resumed after the main");
}

/** Throws unless each instance was started first and stopped last, and was given the last line of its main before it was told of the end. */
export function judgeNotes(notes: readonly Note[], lastLine: string | undefined): void {
  const byInstance = new Map<string, Note[]>();
  for (const note of notes) byInstance.set(note.instance, [...(byInstance.get(note.instance) ?? []), note]);
  for (const [instance, own] of byInstance) {
    const funcs = own.map(({ func }) => func);
    const said = `${instance}: ${funcs.join(" ")}`;
    if (funcs[0] !== "start") throw new Violation(`called before it was started: ${said}`);
    if (funcs.includes("stop") && funcs.indexOf("stop") !== funcs.length - 1) throw new Violation(`called after its stop: ${said}`);
    const ended = funcs.indexOf("ended");
    if (ended >= 0 && funcs.lastIndexOf("lines") > ended) throw new Violation(`given a line after the end: ${said}`);
    if (
      lastLine !== undefined &&
      ended >= 0 &&
      funcs.includes("check") &&
      !own.some(({ func, about }) => func === "lines" && about.endsWith(lastLine))
    )
      throw new Violation(`never given the last line: ${said}`);
  }
}

function timeOf(at: string): number {
  // With microseconds, which `Date` does not read.
  const [, micros = "0"] = /\.\d{3}(\d{3})Z$/.exec(at) ?? [];
  return Date.parse(at.replace(/\d{3}Z$/, "Z")) + Number(micros) / 1000;
}
