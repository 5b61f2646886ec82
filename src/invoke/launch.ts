/**
 * From an admitted run to the executor, past its sidecars, and after its end.
 *
 * Sidecars stand before the run's first call; guards and transforms decide on its request before it takes any capacity;
 * those that respond see the head of its answer, taps its lines, observers its end; then its own sidecars stop. What it means
 * that one fails is the manifest's to say: `closed`, and the run does not go on; `open`, and it does. Runs that guests start
 * have none but those that serve their imports: whoever began the chain was let in.
 */
import type { Clock } from "../base/clock.js";
import type { Engine, GuestLine, RunHandle } from "../engine/engine.js";
import type { Outcome } from "../engine/outcome.js";
import type { Consulted } from "../engine/sidecars.js";
import { UseHistory } from "../sidecars/history.js";
import { planOf, type SidecarEntry } from "../sidecars/plan.js";
import { GUARD, OBSERVER, RESPOND, TAP, TRANSFORM, refusalOf, requestHeadersOf, respondedOf, type AnswerHead } from "../sidecars/wire.js";
import type { Task } from "../tasks/task.js";
import { Beside, isUp, type BesideOne, type BesideRequest, type Move } from "./beside.js";
import type { Executor, GuestCall } from "./executor.js";
import type { Recalls } from "./recalls.js";
import { SidecarRuns } from "./sidecar-runs.js";
import type { Refusal, Run } from "./run.js";

/** The most of a body that transforms get to see. */
const TRANSFORM_BYTES = 1024 * 1024;
/** Runs that lines of sidecars are still told of. */
const MOST_MAINS = 4096;
/** Moves of a run that its record keeps. */
const MOST_MOVES = 200;

/** An import of a task that a sidecar serves. */
export interface Binding {
  readonly import: string;
  readonly use: string;
  /** As the sidecar exports it. */
  readonly export: string;
}

export interface LaunchPorts {
  readonly executor: Pick<Executor, "newHandle" | "hold" | "cancel" | "endUnstarted">;
  readonly engine: Pick<Engine, "send">;
  readonly recalls: Pick<Recalls, "start" | "attached" | "cancel" | "ended" | "taken" | "unread">;
  readonly runs: SidecarRuns;
  readonly clock: Clock;
  /** The version of a sidecar that runs of the tenant get now: a task of its own, or one that Pilotlight ships. */
  sidecar(tenant: string, name: string): Task | undefined;
  /** Those that every run of the tenant's tasks has. */
  required(tenant: string): readonly SidecarEntry[];
  /** What of a version's imports its sidecars serve. */
  bindings(task: Task): readonly Binding[];
  /** A run that a client, a guest or a trigger has started is on its way. `request`: it has just come. */
  arrived(run: Run, request: Pick<BesideRequest, "header"> | undefined): void;
  /** Told of sidecars that failed where the main goes on. */
  failed(run: Run, sidecar: string, reason: string): void;
}

const NONE: readonly BesideOne[] = Object.freeze([]);
const FAILED: Refusal = { code: "sidecar/failed", detail: undefined, retryAfter: 1 };

const NOBODY: Pick<BesideRequest, "header"> = { header: () => undefined };

export class Launcher {
  readonly #ports: LaunchPorts;
  readonly #history = new UseHistory();
  /** The last ones, by what is left of their number: what sidecars write is about one of these. */
  readonly #mains: (Run | undefined)[] = Array.from({ length: MOST_MAINS });

  constructor(ports: LaunchPorts) {
    this.#ports = ports;
  }

  /** Has the run start, when its sidecars allow; its listener hears of everything. */
  launch(run: Run, request: BesideRequest): void {
    this.#ports.arrived(run, request);
    const entries = this.#planOf(run, request);
    if (entries.length === 0) return this.#ports.recalls.start(run, request);
    const beside = this.#beside(run, entries);
    if (!this.#attach(run, beside)) return;
    this.#whenStarted(run, beside, () => this.#guard(run, beside, request));
  }

  /** A run whose request was let in some time ago: guards and transforms have had their say. */
  launchLater(run: Run, request: BesideRequest): void {
    this.#ports.arrived(run, undefined);
    const entries = this.#planOf(run, request);
    if (entries.length === 0) return this.#ports.recalls.start(run, request);
    const beside = this.#beside(run, entries);
    if (!this.#attach(run, beside)) return;
    this.#whenStarted(run, beside, () => this.#submit(run, beside, request));
  }

  /** A run that a guest has called: of its sidecars it has those that serve its imports. */
  launchCalled(run: Run): void {
    this.#ports.arrived(run, undefined);
    const bindings = this.#ports.bindings(run.task);
    if (bindings.length === 0) return this.#ports.recalls.start(run, undefined);
    const entries = this.#planOf(run, NOBODY).filter(({ use }) => bindings.some((binding) => binding.use === use));
    const beside = this.#beside(run, entries);
    if (!this.#attach(run, beside)) return;
    this.#whenStarted(run, beside, () => this.#submit(run, beside, undefined));
  }

  /** Ends a run, whether its sidecars still decide or it goes on. */
  cancel(run: Run): void {
    const { beside } = run;
    if (beside === undefined || !beside.isDeciding) {
      if (!this.#ports.recalls.cancel(run)) this.#ports.executor.cancel(run);
      return;
    }
    if (beside.cancelled) return;
    beside.cancelled = true;
    this.#end(run, beside, { kind: "cancelled" });
  }

  /** The client has taken so much of the answer; gives how much of that is for the engine to know. */
  taken(run: Run, bytes: number): number {
    return this.#ports.recalls.taken(run, bytes);
  }

  /** The client wants no more of the answer, which is recorded all the same. */
  unread(run: Run): void {
    this.#ports.recalls.unread(run);
  }

  /** Whether some sidecar has to see the heads of the run's answers. */
  responds({ beside }: Run): boolean {
    return beside !== undefined && beside.has(RESPOND);
  }

  /** Gives what goes out in place of the head of an answer; a problem where a sidecar that has to see it failed. */
  respond(run: Run, head: AnswerHead, told: (head: AnswerHead | Refusal) => void): void {
    const beside = run.beside as Beside;
    this.#having(run, beside, RESPOND, (ones, missing) => {
      const isShort = missing.some(({ entry }) => entry.onFailure === "closed");
      if (isShort || ones.length === 0) {
        told(isShort ? FAILED : head);
        return this.#settle(run, beside);
      }
      this.#ports.runs.consult(run, beside, ones, { kind: "head", ...head }, (answer) => {
        this.#report(run, ones, answer);
        told(answer.stopped === undefined ? respondedOf(answer.head ?? {}, head) : FAILED);
        this.#settle(run, beside);
      });
    });
  }

  /** Shows lines of the run's guest to its taps; true where nobody else is to see them. */
  tap(run: Run, lines: readonly GuestLine[]): boolean {
    const { beside } = run;
    if (beside === undefined || !beside.has(TAP)) return false;
    const taps = beside.having(TAP);
    const hidden = taps.some(hides);
    const ones = taps.filter(isUp);
    if (ones.length === 0) return hidden;
    const shown = lines.map(({ origin, level, text }) => ({ origin, level: level ?? null, text }));
    this.#ports.runs.consult(run, beside, ones, { kind: "lines", lines: shown }, (answer) => {
      this.#report(run, ones, answer);
      this.#settle(run, beside);
    });
    return hidden;
  }

  /** The run has ended, however: those that observe it are told, and its own sidecars stop. */
  ended(run: Run): void {
    const { beside, outcome } = run;
    this.#ports.recalls.ended(run);
    if (beside === undefined || outcome === undefined) return;
    if (beside.isBound && !run.began) this.#ports.engine.send({ kind: "unbind", run: run.handle });
    this.#noteUse(run, beside);
    this.#noteMain(run);
    beside.isOver = true;
    this.#settle(run, beside);
  }

  /** A sidecar is to serve what the run's guest calls, started for it if need be; false: none is to. */
  called(call: GuestCall, run: Run): boolean {
    const binding = this.#ports.bindings(run.task).find((each) => each.import === call.target);
    if (binding === undefined) return false;
    const beside = run.beside ?? this.#beside(run, []);
    let one = beside.ones.find(({ entry }) => entry.use === binding.use);
    if (one === undefined) {
      const entry = run.task.version.manifest.sidecars.find(({ use }) => use === binding.use);
      if (entry === undefined) return false;
      beside.ones.push((one = { entry, unit: undefined, used: false }));
    }
    const found = one;
    if (found.unit === undefined || found.unit.state === "gone") {
      const failure = this.#attachOne(run, found);
      if (failure !== undefined) {
        this.#refuseCall(run, call, found, failure);
        return true;
      }
    }
    found.used = true;
    this.#ports.recalls.attached(run);
    const { unit } = found;
    const attach = (): void => {
      if (run.state === "settled") return;
      if (unit?.isUp !== true) return this.#refuseCall(run, call, found, unit?.reason ?? "it has stopped");
      const { task, run: standing } = unit.of;
      const { engine } = this.#ports;
      const serving = {
        sidecar: (standing as Run).handle,
        export: binding.export,
        limitMs: SidecarRuns.callMs(task),
        open: found.entry.onFailure === "open",
      };
      engine.send({ kind: "attach", call: call.call, ...serving });
    };
    unit?.whenStarted(attach);
    return true;
  }

  /** The run's guest goes no further, and its sidecars with it; false: there is no such run that could. */
  pause(run: Run): boolean {
    if (run.state !== "running" || run.paused) return false;
    run.paused = true;
    const done = this.#moves(run, "main", "pause");
    this.#ports.engine.send({ kind: "pause", run: run.handle, paused: true });
    done();
    for (const unit of this.#ports.runs.keeper.pause(run.handle)) this.#moves(run, unit.of.task.name, "pause")();
    return true;
  }

  resume(run: Run): boolean {
    if (run.state !== "running" || !run.paused) return false;
    run.paused = false;
    for (const unit of this.#ports.runs.keeper.resume(run.handle)) this.#moves(run, unit.of.task.name, "resume")();
    const done = this.#moves(run, "main", "resume");
    this.#ports.engine.send({ kind: "pause", run: run.handle, paused: false });
    done();
    return true;
  }

  /** A run that sidecars stand beside, or stood not long ago. */
  mainOf(handle: RunHandle): Run | undefined {
    const run = this.#mains[handle % MOST_MAINS];
    return run?.handle === handle ? run : undefined;
  }

  #beside(run: Run, entries: readonly SidecarEntry[]): Beside {
    this.#mains[run.handle % MOST_MAINS] = run;
    this.#ports.executor.hold(run);
    return (run.beside = new Beside(entries));
  }

  #planOf(run: Run, request: Pick<BesideRequest, "header">): readonly SidecarEntry[] {
    const { manifest } = run.task.version;
    const { task } = run;
    const planned = planOf({ manifest, required: this.#ports.required(task.tenant), header: (name) => request.header(name, task) });
    if (planned.length === 0) return planned;
    return planned.filter((entry) => entry.when !== "used" || this.#history.isExpected(useName(run, entry)));
  }

  /** Has the run have each of them; false when that has ended it. */
  #attach(run: Run, beside: Beside): boolean {
    for (const one of beside.ones) {
      const failure = this.#attachOne(run, one);
      if (failure !== undefined && !this.#passOver(run, one, failure)) return false;
    }
    return true;
  }

  /** What is wrong, where the run cannot have it. */
  #attachOne(run: Run, one: BesideOne): string | undefined {
    const { use } = one.entry;
    const task = this.#ports.sidecar(run.task.tenant, use);
    if (task === undefined) return `there is no task ${use}`;
    const unit = this.#ports.runs.attach(run, one.entry, task);
    if ("unavailable" in unit) return unit.unavailable;
    one.unit = unit;
    if (unit.state === "starting") {
      const done = this.#moves(run, use, "start");
      unit.whenStarted(() => done(unit.isUp ? undefined : (unit.reason ?? "it has stopped")));
    }
    return undefined;
  }

  #whenStarted(run: Run, beside: Beside, then: () => void): void {
    // Shared ones usually stand already.
    if (beside.ones.every(isUp)) return then();
    let left = 1;
    const started = (): void => {
      if (--left > 0 || beside.cancelled) return;
      for (const one of beside.ones) {
        const { unit } = one;
        if (unit === undefined || unit.isUp) continue;
        if (!this.#passOver(run, one, unit.reason ?? "it has stopped")) return;
      }
      then();
    };
    for (const { unit } of beside.ones) {
      if (unit?.state !== "starting") continue;
      left++;
      unit.whenStarted(started);
    }
    started();
  }

  #guard(run: Run, beside: Beside, request: BesideRequest): void {
    const ones = beside.has(GUARD) ? beside.having(GUARD).filter(isUp) : NONE;
    if (ones.length === 0) return this.#transform(run, beside, request);
    this.#ports.runs.consult(run, beside, ones, { kind: "check", head: request.head() }, (answer) => {
      if (this.#decided(run, beside, ones, answer)) this.#transform(run, beside, request);
    });
  }

  #transform(run: Run, beside: Beside, request: BesideRequest): void {
    const ones = beside.has(TRANSFORM) ? beside.having(TRANSFORM).filter(isUp) : NONE;
    if (ones.length === 0) return this.#submit(run, beside, request);
    request.body(TRANSFORM_BYTES, ones.some(hides), (body) => {
      if (beside.cancelled) return;
      if (body === "too-long") {
        run.refusal = {
          code: "request/body-too-large",
          detail: `A sidecar works on the body of each request to ${run.task.name} first, which may come to ${TRANSFORM_BYTES} bytes.`,
        };
        return this.#end(run, beside, { kind: "refused", code: "sidecar", message: "the body is too long for a transform" });
      }
      const bytes = body === "long" ? new Uint8Array() : body;
      this.#ports.runs.consult(run, beside, ones, { kind: "request", head: request.head(), body: bytes }, (answer) => {
        if (!this.#decided(run, beside, ones, answer)) return;
        const { head } = answer;
        if (head !== undefined) {
          const { body: text, headers, ...rest } = head as Required<typeof head>;
          beside.transformed = {
            head: { ...rest, headers: requestHeadersOf(headers) },
            body: body === "long" ? undefined : Buffer.from(text, "base64"),
          };
        } else if (body !== "long") beside.transformed = { head: request.head(), body };
        this.#submit(run, beside, request);
      });
    });
  }

  /** Whether the run goes on, by what guards or transforms have said. */
  #decided(run: Run, beside: Beside, ones: readonly BesideOne[], answer: Consulted): boolean {
    if (beside.cancelled) {
      this.#settle(run, beside);
      return false;
    }
    const times = answer.times.map((nanoseconds, i): [string, number] => [(ones[i] as BesideOne).entry.use, nanoseconds / 1e6]);
    run.sidecarTimes = run.sidecarTimes.length === 0 ? times : [...run.sidecarTimes, ...times];
    run.identity ??= answer.identity;
    const { failed = [], refusal, stopped } = answer;
    for (const [i, reason] of failed) {
      const one = ones[i] as BesideOne;
      if (!this.#passOver(run, one, reason)) return false;
    }
    if (refusal === undefined) return true;
    const { status, headers, reason } = refusalOf(refusal);
    const { use } = (ones[stopped ?? 0] as BesideOne).entry;
    run.refusal = { code: "sidecar/refused", detail: reason === "" ? undefined : reason, status, headers };
    this.#end(run, beside, { kind: "refused", code: "sidecar", message: `the sidecar ${use} refused it: ${reason}` });
    return false;
  }

  #submit(run: Run, beside: Beside, request: BesideRequest | undefined): void {
    const { engine, recalls } = this.#ports;
    beside.isDeciding = false;
    for (const binding of this.#ports.bindings(run.task)) {
      const one = beside.ones.find(({ entry }) => entry.use === binding.use);
      if (one?.unit?.isUp !== true) continue;
      const { task, run: standing } = one.unit.of;
      const serving = {
        sidecar: (standing as Run).handle,
        export: binding.export,
        limitMs: SidecarRuns.callMs(task),
        open: one.entry.onFailure === "open",
      };
      beside.isBound = true;
      engine.send({ kind: "bind", run: run.handle, import: binding.import, ...serving });
    }
    recalls.start(run, request);
  }

  /** One has failed: the run goes on without it, or ends. True: it goes on. */
  #passOver(run: Run, one: BesideOne, reason: string): boolean {
    const { entry } = one;
    // What it was to hide is not shown because it fails.
    if (entry.onFailure === "open" && !hides(one)) {
      this.#ports.failed(run, entry.use, reason);
      return true;
    }
    // Which one, and why, is for the log.
    run.refusal = FAILED;
    this.#end(run, run.beside as Beside, { kind: "refused", code: "sidecar", message: `the sidecar ${entry.use} failed: ${reason}` });
    return false;
  }

  /** It ends before it was ordered. */
  #end(run: Run, beside: Beside, outcome: Outcome): void {
    beside.isDeciding = false;
    beside.cancelled = true;
    this.#ports.executor.endUnstarted(run, outcome);
  }

  #report(run: Run, ones: readonly BesideOne[], { failed = [] }: Consulted): void {
    for (const [i, reason] of failed) this.#ports.failed(run, (ones[i] as BesideOne).entry.use, reason);
  }

  /** Once the run is over and nothing is being asked, observers are told, and it lets its sidecars go. */
  #settle(run: Run, beside: Beside): void {
    if (!beside.isOver || beside.asking > 0 || beside.isReleased) return;
    beside.isReleased = true;
    // What has become a job has not ended yet.
    if (!beside.has(OBSERVER) || run.later?.job !== undefined) return this.#release(run, beside);
    this.#having(run, beside, OBSERVER, (ones) => {
      if (ones.length === 0) return this.#release(run, beside);
      const { outcome, status } = run;
      const nanoseconds = Math.round(((run.settledAt ?? run.admittedAt) - run.admittedAt) * 1e6);
      const ending = run.memo?.isRecalled === true ? "recalled" : (outcome as Outcome).kind;
      const question = { kind: "ended", ending, status, nanoseconds } as const;
      // Shared ones go on: nothing of them is lost when nobody waits.
      const [first] = ones;
      if (ones.length === 1 && first?.unit?.want.scope !== "request" && first?.unit?.outdated === false) {
        this.#ports.runs.consult(run, beside, ones, question, undefined);
        return this.#release(run, beside);
      }
      this.#ports.runs.consult(run, beside, ones, question, (answer) => {
        this.#report(run, ones, answer);
        this.#release(run, beside);
      });
    });
  }

  /** Those that export the interface and stand; one that has ended meanwhile is started once more. `missing`: those that are not. */
  #having(run: Run, beside: Beside, iface: string, then: (ones: readonly BesideOne[], missing: readonly BesideOne[]) => void): void {
    const all = beside.having(iface);
    let left = 1;
    const started = (): void => {
      if (--left > 0) return;
      beside.asking--;
      const missing = all.filter((one) => !isUp(one));
      for (const { entry, unit } of missing) this.#ports.failed(run, entry.use, unit?.reason ?? "it has stopped");
      then(missing.length === 0 ? all : all.filter(isUp), missing);
    };
    beside.asking++;
    for (const one of all) {
      if (isUp(one)) continue;
      if (this.#attachOne(run, one) !== undefined) continue;
      left++;
      one.unit?.whenStarted(started);
    }
    started();
  }

  #release(run: Run, beside: Beside): void {
    for (const { entry, unit } of beside.ones.toReversed()) {
      if (unit === undefined || unit.want.scope !== "request" || !unit.isUp) continue;
      const done = this.#moves(run, entry.use, "stop");
      unit.whenGone((reason) => done(reason));
    }
    this.#ports.runs.release(run);
  }

  /** When it ran itself, among the moves of its sidecars. */
  #noteMain({ moves, grantedAt, settledAt, outcome, admittedAt, startedAtWall }: Run): void {
    // Nothing was started or stopped for it alone.
    if (moves === undefined) return;
    const at = (time: number): string => wallTime(startedAtWall + (time - admittedAt));
    if (grantedAt === undefined || settledAt === undefined) return;
    const started: Move = { of: "main", move: "start", at: at(grantedAt), ms: 0, failed: undefined };
    // After the sidecars that it waited for, and before what it did while it ran.
    const place = moves.findIndex((move) => move.at > started.at);
    moves.splice(place < 0 ? moves.length : place, 0, started);
    const failed = outcome === undefined || outcome.kind === "ok" ? undefined : outcome.kind;
    moves.push({ of: "main", move: "stop", at: at(settledAt), ms: 0, failed });
  }

  /** How often what is started on its first call was used of late decides whether it is ready beforehand. */
  #noteUse(run: Run, beside: Beside): void {
    for (const entry of run.task.version.manifest.sidecars) {
      if (entry.when !== "used") continue;
      this.#history.note(
        useName(run, entry),
        beside.ones.some((one) => one.entry.use === entry.use && one.used),
      );
    }
  }

  #refuseCall(run: Run, call: GuestCall, { entry }: BesideOne, reason: string): void {
    this.#ports.failed(run, entry.use, reason);
    run.callProblem = FAILED;
    this.#ports.engine.send({ kind: "refuse-call", call: call.call, message: `the sidecar ${entry.use} failed: ${reason}` });
  }

  /** Notes a move; what it gives back says that it is done. */
  #moves(run: Run, of: string, move: Move["move"]): (failed?: string) => void {
    const began = this.#ports.clock.now();
    const noted: Move = {
      of,
      move,
      at: wallTime(run.startedAtWall + (began - run.admittedAt)),
      ms: undefined,
      failed: undefined,
    };
    const moves = (run.moves ??= []);
    if (moves.length < MOST_MOVES) moves.push(noted);
    return (failed) => {
      noted.ms = this.#ports.clock.now() - began;
      noted.failed = failed;
    };
  }
}

/** ISO 8601, with microseconds: moves are closer than milliseconds. */
function wallTime(milliseconds: number): string {
  const micros = Math.floor((milliseconds - Math.floor(milliseconds)) * 1000);
  return new Date(Math.floor(milliseconds)).toISOString().replace("Z", `${String(micros).padStart(3, "0")}Z`);
}

/** The main is not to see what it is given, or pino what it was. */
function hides({ entry, unit }: BesideOne): boolean {
  return entry.hideRaw ?? unit?.of.task.version.manifest.sidecar?.hideRaw ?? false;
}

function useName({ task }: Run, { use }: SidecarEntry): string {
  return `${task.key} ${task.version.label} ${use}`;
}
