/** pino, one line a run, and the guests' own lines beside it. */
import pino, { type DestinationStream, type Logger } from "pino";
import type { Problem } from "../base/problem.js";
import type { RefusedChange } from "../control/control.js";
import type { GuestLine } from "../engine/engine.js";
import type { Outcome, OutcomeKind } from "../engine/outcome.js";
import type { Incoming } from "../invoke/invocation.js";
import type { Memo } from "../invoke/memo.js";
import type { Run } from "../invoke/run.js";
import type { Task } from "../tasks/task.js";
import { LineSink } from "./line-sink.js";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** A logger to `destination`, or to stdout in batches: one write for many lines, at most 100 ms late. */
export function createLogger(level: LogLevel, destination?: DestinationStream): Logger {
  const options = { level, base: null };
  if (destination !== undefined) return pino(options, destination);
  return pino(options, new LineSink(1));
}

const LEVELS = {
  ok: "info",
  "guest-error": "warn",
  trap: "warn",
  limit: "warn",
  cancelled: "info",
  refused: "warn",
  platform: "error",
} as const satisfies Record<OutcomeKind, LogLevel>;

/** The line of a run that has settled. Durations are milliseconds. */
export function logRun(log: Logger, run: Run): void {
  const outcome = run.outcome;
  if (outcome === undefined) return;
  const level = LEVELS[outcome.kind];
  if (!log.isLevelEnabled(level)) return;
  if (outcome.kind === "ok" && outcome.exit === 0) writeOk(loggerOf(log, run.task), run);
  else writeOther(loggerOf(log, run.task), run, level, outcome);
}

/**
 * The line of nearly every run, put together by hand from the parts that pino prepared for the task: its own
 * serialiser takes as long as the rest of what TypeScript does for a run. A test holds it to pino's form.
 */
function writeOk(log: Logger, run: Run): void {
  const { origin, usage } = run;
  const insides = log as unknown as Insides;
  const granted = run.grantedAt ?? run.admittedAt;
  const { parent, pick } = run.descent;
  let line = `{"level":30,"time":${Date.now()}${insides[pino.symbols.chindingsSym]},"run":"${run.id}"`;
  if (parent !== undefined) line += `,"parent":"${parent.id}"`;
  if (run.identity !== undefined) line += `,"subject":${quote(run.identity.subject)}`;
  if (pick !== undefined) line += `,"pick":${quote(pick.why)}`;
  if (origin.method !== undefined) line += `,"method":${quote(origin.method)}`;
  if (origin.path !== undefined) line += `,"path":${quote(origin.path)}`;
  if (run.status !== undefined) line += `,"status":${run.status}`;
  line += `,"outcome":"ok"`;
  if (run.memo !== undefined) line += recordFields(run.memo);
  if (run.expected === true) line += `,"expected":true`;
  if (run.rung !== undefined) line += `,"capacity":"${run.rung}"`;
  if (!isUsual(run)) line += `,"pool":"${run.pool}"${isDirect(run) ? "" : `,"term":"${run.term}"`},"why":${JSON.stringify(run.why)}`;
  line += `,"queueMs":${round(granted - run.admittedAt)}`;
  if (usage.startNanoseconds !== 0) line += `,"startMs":${round(usage.startNanoseconds / 1e6)}`;
  line += `,"runMs":${round((run.settledAt ?? granted) - granted)},"cpuMs":${round(usage.cpuNanoseconds / 1e6)},"memory":${usage.memoryBytes}`;
  if (usage.requestBytes !== 0) line += `,"bytesIn":${usage.requestBytes}`;
  line += `,"bytesOut":${usage.responseBytes}`;
  if (usage.calls > 1) line += `,"calls":${usage.calls}`;
  if (usage.droppedLines !== 0) line += `,"droppedLines":${usage.droppedLines}`;
  if (origin.requestId !== undefined) line += `,"requestId":${quote(origin.requestId)}`;
  if (origin.traceparent !== undefined) line += `,"traceparent":${quote(origin.traceparent)}`;
  insides[pino.symbols.streamSym].write(`${line},"msg":"run"}\n`);
}

/** How it came by its answer, and what became of the record. */
function recordFields({ verdict, recorded }: Memo): string {
  let fields = `,"record":"${verdict.kind}"`;
  const why = verdict.what ?? verdict.reason;
  if (why !== undefined) fields += `,"recordWhy":${quote(why)}`;
  if (verdict.recalls !== undefined) fields += `,"recalls":"${verdict.recalls}"`;
  if (recorded !== undefined) fields += `,"recorded":${quote(recorded)}`;
  return fields;
}

/** pino's own fields of a logger, under its published symbols. */
interface Insides {
  /** The bindings of a child, serialised: `,"task":"hello"`. */
  readonly [pino.symbols.chindingsSym]: string;
  readonly [pino.symbols.streamSym]: DestinationStream;
}

/** A JSON string. Most need no escapes, and finding that out is quicker than escaping. */
function quote(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text);
}

const PLAIN = /^[ !#-[\]-~]*$/;

function writeOther(log: Logger, run: Run, level: LogLevel & keyof Logger, outcome: Outcome): void {
  const granted = run.grantedAt ?? run.settledAt ?? run.admittedAt;
  log[level](
    {
      run: run.id,
      parent: run.descent.parent?.id,
      subject: run.identity?.subject,
      pick: run.descent.pick?.why,
      method: run.origin.method,
      path: run.origin.path,
      status: run.status,
      outcome: outcome.kind,
      cause: causeOf(run),
      record: run.memo?.verdict.kind,
      recordWhy: run.memo?.verdict.what ?? run.memo?.verdict.reason,
      recorded: run.memo?.recorded,
      expected: run.expected === true ? true : undefined,
      capacity: run.rung,
      pool: isUsual(run) ? undefined : run.pool,
      term: isDirect(run) ? undefined : run.term,
      why: isUsual(run) ? undefined : run.why,
      queueMs: round(granted - run.admittedAt),
      startMs: run.usage.startNanoseconds === 0 ? undefined : round(run.usage.startNanoseconds / 1e6),
      runMs: round((run.settledAt ?? granted) - granted),
      cpuMs: round(run.usage.cpuNanoseconds / 1e6),
      memory: run.usage.memoryBytes,
      bytesIn: run.usage.requestBytes || undefined,
      bytesOut: run.usage.responseBytes,
      calls: run.usage.calls > 1 ? run.usage.calls : undefined,
      droppedLines: run.usage.droppedLines || undefined,
      requestId: run.origin.requestId,
      traceparent: run.origin.traceparent,
    },
    "run",
  );
}

/** The one reason that the usual run passes over a rung for, in the pool's words. */
const NONE_IDLE = "own/ready: none is idle";

/** At once and in a cell of its tenant, where nearly every run finds its place; only of the others it is told why. */
function isUsual(run: Run): boolean {
  const { rung, why } = run;
  if (rung === undefined) return true;
  if (!isDirect(run)) return false;
  return rung === "own/ready" || (rung === "own/linked" && (why.length === 0 || (why.length === 1 && why[0] === NONE_IDLE)));
}

function isDirect({ term }: Run): boolean {
  return term === "direct" || term === undefined;
}

/** What is the same for every run of a task is serialised once. */
const loggers = new WeakMap<Task, Logger>();

function loggerOf(log: Logger, task: Task): Logger {
  let logger = loggers.get(task);
  if (logger === undefined) {
    logger = log.child({ tenant: task.tenant, task: task.name, version: task.version.label });
    loggers.set(task, logger);
  }
  return logger;
}

/** For operators: what a client is not told. */
export function causeOf(run: Run): string | undefined {
  const outcome = run.outcome;
  if (outcome === undefined || outcome.kind === "ok" || outcome.kind === "cancelled") return undefined;
  if (outcome.kind === "limit") return `${outcome.limit}: ${outcome.used} of ${outcome.allowed}`;
  return outcome.message;
}

/** `who`: as in the audit log, where it is known. */
export function logRefusal(
  log: Logger,
  { method, target }: Pick<Incoming, "method" | "target">,
  run: string | undefined,
  problem: Problem,
  who?: string,
): void {
  log.info({ run, who, method, path: target, outcome: "refused", cause: problem.code }, "refused");
}

/** A change of the control plane that was asked for and not made; what was made is in the audit log. */
export function logRefusedChange(log: Logger, { who, method, path, cause, detail }: RefusedChange): void {
  log.info({ who, method, path, outcome: "refused", cause, detail }, "change");
}

/** `critical` is told by `guestLevel` alone: pino writes a `fatal` line through at once, and a guest must not have that at will. */
const GUEST_LEVELS = { trace: "trace", debug: "debug", info: "info", warn: "warn", error: "error", critical: "error" } as const;

/**
 * A guest's line. Its text is data: it is never used as a format, and pino escapes what could end the line. `main`: the run that
 * a sidecar wrote it for.
 */
export function logGuestLine(log: Logger, line: GuestLine, run: Run | undefined, main?: Run): void {
  const level = line.level === undefined ? "info" : GUEST_LEVELS[line.level];
  if (!log.isLevelEnabled(level)) return;
  log[level](
    {
      run: (main ?? run)?.id,
      tenant: run?.task.tenant,
      task: (main ?? run)?.task.name,
      sidecar: main === undefined ? undefined : run?.task.name,
      origin: line.origin,
      guestLevel: line.level,
      context: line.context,
      text: line.text,
    },
    "guest",
  );
}

function round(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}
