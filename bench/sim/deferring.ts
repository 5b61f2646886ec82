/**
 * The product's deferral over the simulated clock: requests that can wait are weighed, kept, queued and started by src/deferral and
 * src/forecast as they are, joined as src/schedule.ts joins them on a node.
 *
 * Demand has the shape of a day. Every run takes one instance while it goes on, and there is one for each: what is asked is how many
 * that makes at once.
 */
import { decide } from "../../src/deferral/decide.js";
import { Deferral, type Ending } from "../../src/deferral/deferral.js";
import { Jobs } from "../../src/deferral/jobs.js";
import type { Job } from "../../src/deferral/job.js";
import { Planned } from "../../src/deferral/planned.js";
import { RunTimes } from "../../src/forecast/run-times.js";
import { WeekProfile } from "../../src/forecast/week-profile.js";
import { HORIZON_MS, LIMITS, LOAD_EVERY_MS, QUIET_SHARE } from "../../src/schedule.js";
import { memoryState } from "../../src/state/memory.js";
import { Agenda } from "./agenda.js";
import type { DayRequest } from "./day.js";
import { Usage } from "./in-use.js";

export interface Deferred {
  readonly usage: Usage;
  /** Jobs: accepted, put off, started after their bound, and not over at the end though they were to have started. */
  readonly accepted: number;
  readonly putOff: number;
  readonly broken: number;
  /** Milliseconds from acceptance to start, on average. */
  readonly waitedMs: number;
}

type Event =
  | { readonly kind: "asked"; readonly request: DayRequest }
  | { readonly kind: "over"; readonly done: (() => void) | undefined }
  | { readonly kind: "load" }
  | { readonly kind: "wake" };

/** A Monday. */
const EPOCH = 1_767_571_200_000;
const DONE: Ending = { kind: "done", began: true };
const NO_MANIFEST = { repeat: false, retries: { max: 0, delay: 1000, longest: 1000 }, keepResults: 1 };

/** Runs all of them, those that can wait by the product's deferral. What counts of the use begins at `from`. */
export async function deferring(requests: readonly DayRequest[], from: number, random: () => number): Promise<Deferred> {
  const node = new DeferringNode(requests, from, random);
  return node.run();
}

class DeferringNode {
  readonly #requests: readonly DayRequest[];
  readonly #agenda = new Agenda<Event>();
  readonly #usage: Usage;
  readonly #profile = new WeekProfile();
  readonly #planned = new Planned();
  readonly #runTimes = new RunTimes();
  readonly #deferral: Deferral;
  readonly #random: () => number;
  /** By job. */
  readonly #durations = new Map<string, number>();
  #wake = Number.POSITIVE_INFINITY;
  #now = 0;
  #live = 0;
  /** Of those, the ones that were put off. */
  #later = 0;
  #accepted = 0;
  #putOff = 0;
  #broken = 0;
  #waited = 0;
  #errors: unknown[] = [];

  constructor(requests: readonly DayRequest[], from: number, random: () => number) {
    this.#requests = requests;
    this.#random = random;
    this.#usage = new Usage(from);
    this.#deferral = new Deferral(
      {
        jobs: new Jobs(memoryState()),
        wall: () => EPOCH + this.#now,
        random,
        run: (job) => this.#begin(job),
        cancel: () => {},
        manifestOf: () => NO_MANIFEST,
        isQuiet: () => this.#isQuiet(),
        wakeAt: (time) => this.#wakeAt(Math.max(this.#now, time - EPOCH)),
        told: (job) => {
          if (job.state === "waiting") this.#planned.set(job.id, job.dueAt, this.#runTimes.of(job.task ?? ""));
          else this.#planned.delete(job.id);
        },
        report: (error) => void this.#errors.push(error),
      },
      LIMITS,
    );
  }

  async run(): Promise<Deferred> {
    const last = this.#requests.at(-1)?.time ?? 0;
    for (let time = 0; time <= last; time += LOAD_EVERY_MS) this.#agenda.push(time, { kind: "load" });
    for (const request of this.#requests) this.#agenda.push(request.time, { kind: "asked", request });
    while (this.#agenda.length > 0) {
      this.#now = this.#agenda.next;
      if (this.#now > last) this.#usage.end(last);
      if (this.#happen(this.#agenda.pop())) await quiet();
      if (this.#errors.length > 0) throw this.#errors[0];
    }
    // What never started is told from what started late by nothing: both broke their promise.
    const stuck = [...this.#deferral.jobs.all()].filter(({ state }) => state !== "done").length;
    return {
      usage: this.#usage,
      accepted: this.#accepted,
      putOff: this.#putOff,
      broken: this.#broken + stuck,
      waitedMs: this.#waited / Math.max(1, this.#accepted),
    };
  }

  /** True: others may have something to do because of that. */
  #happen(event: Event): boolean {
    switch (event.kind) {
      case "load":
        this.#profile.note(EPOCH + this.#now, this.#live - this.#later);
        return false;
      case "wake":
        if (this.#now < this.#wake) return false;
        this.#wake = Number.POSITIVE_INFINITY;
        this.#deferral.pump();
        return true;
      case "over":
        this.#count(-1);
        event.done?.();
        return event.done !== undefined;
      case "asked":
        if (event.request.notAfter !== undefined) this.#accept(event.request);
        else this.#start(event.request.duration);
        return event.request.notAfter !== undefined;
    }
  }

  /** One timer, for the earliest. */
  #wakeAt(time: number): void {
    if (time >= this.#wake) return;
    this.#wake = time;
    this.#agenda.push(time, { kind: "wake" });
  }

  #start(duration: number, done?: () => void): void {
    this.#count(1);
    this.#agenda.push(this.#now + duration, { kind: "over", done });
  }

  #count(by: number): void {
    this.#live += by;
    this.#usage.change(this.#now, by);
  }

  /** As src/invoke/later.ts and src/schedule.ts do. */
  #accept({ id, tenant, duration, notAfter }: DayRequest): void {
    const now = EPOCH + this.#now;
    const bound = EPOCH + (notAfter as number);
    const decision = decide({
      now,
      insensitive: { request: true },
      notAfter: bound,
      runMs: this.#runTimes.of(tenant),
      horizonMs: HORIZON_MS,
      demandNow: this.#live,
      demand: (from, to) => {
        const usual = this.#profile.expected(from, to);
        return usual === undefined ? undefined : usual + this.#planned.demand(from, to);
      },
      priceAt: () => 1,
      place: this.#random(),
    });
    this.#accepted++;
    if (decision.start !== "now") this.#putOff++;
    this.#durations.set(id, duration);
    const job = {
      id,
      tenant,
      task: tenant,
      origin: { kind: "request" },
      work: { kind: "command" },
      caller: { kind: "anonymous" },
      notAfter: bound,
      decision,
      input: {},
      dueAt: decision.start === "now" ? now : decision.start.at,
    } as const;
    this.#deferral.accept([job]).catch((error: unknown) => this.#errors.push(error));
  }

  #begin({ id, task, acceptedAt, notAfter, decision }: Job): Promise<Ending> {
    const wasPutOff = decision !== undefined && decision.start !== "now" ? 1 : 0;
    this.#later += wasPutOff;
    const now = EPOCH + this.#now;
    if (now > (notAfter ?? now)) this.#broken++;
    this.#waited += now - acceptedAt;
    const duration = this.#durations.get(id) as number;
    this.#durations.delete(id);
    return new Promise((resolve) =>
      this.#start(duration, () => {
        this.#later -= wasPutOff;
        this.#runTimes.note(task ?? "", duration);
        resolve(DONE);
      }),
    );
  }

  #isQuiet(): boolean {
    const now = EPOCH + this.#now;
    const usual = this.#profile.expected(now, now + 60_000);
    return usual !== undefined && this.#live < usual * QUIET_SHARE;
  }
}

/** All that follows from what has just happened is done. */
function quiet(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
