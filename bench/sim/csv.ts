/** Traces of one's own: a plain CSV of `time,tenant,task,duration,bytes`, times in milliseconds, sizes in bytes. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { BenchError } from "../support/bench-error.js";
import { componentAt, TraceBuilder, type Trace, type TraceTask } from "./trace.js";

const COLUMNS = ["time", "tenant", "task", "duration", "bytes"] as const;
const HEADER = COLUMNS.join(",");

/** Reads a file; what is wrong with it is a `BenchError` that names the line and says what would be right. */
export function readTrace(file: string): Trace {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new BenchError(`${file} cannot be read: ${(error as Error).message}`);
  }
  return parseTrace(text, file);
}

/** The requests of a CSV, in whatever order they are; `file` is for messages. The first line may be the header. */
export function parseTrace(text: string, file: string): Trace {
  const requests = text.split(/\r?\n/).flatMap((line, n) => {
    const isHeader = n === 0 && line.replaceAll(" ", "").toLowerCase() === HEADER;
    return line.trim() === "" || isHeader ? [] : [parseLine(line, `${file}:${n + 1}`)];
  });
  if (requests.length === 0) throw new BenchError(`${file} has no requests; a line is ${HEADER}`);
  requests.sort((a, b) => a.time - b.time);
  const tasks = new Map<string, number>();
  const known: TraceTask[] = [];
  const builder = new TraceBuilder();
  for (const { time, tenant, task, duration, bytes } of requests) {
    const name = JSON.stringify([tenant, task]);
    let number = tasks.get(name);
    if (number === undefined) {
      number = known.push({ tenant, name: task, component: componentAt(placeOf(name)) }) - 1;
      tasks.set(name, number);
    }
    builder.add(time, number, duration, bytes);
  }
  return builder.build(known);
}

interface Request {
  readonly time: number;
  readonly tenant: string;
  readonly task: string;
  readonly duration: number;
  readonly bytes: number;
}

function parseLine(line: string, where: string): Request {
  const fields = line.split(",").map((field) => field.trim());
  if (fields.length !== COLUMNS.length) throw new BenchError(`${where} has ${fields.length} fields; a line is ${HEADER}`);
  const [time, tenant, task, duration, bytes] = fields as [string, string, string, string, string];
  return {
    time: amount(time, "time", "milliseconds from the beginning", where),
    tenant: name(tenant, "tenant", where),
    task: name(task, "task", where),
    duration: amount(duration, "duration", "milliseconds", where),
    bytes: amount(bytes, "bytes", "what the run holds", where),
  };
}

function amount(text: string, column: string, meaning: string, where: string): number {
  if (/^\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text)) return Number(text);
  throw new BenchError(`${where}: ${column} is ${JSON.stringify(text)}; it should be a number, 0 or more (${meaning})`);
}

function name(text: string, column: string, where: string): string {
  if (text !== "") return text;
  throw new BenchError(`${where}: ${column} is empty; it should be a name without commas`);
}

/** From 0 to 1, always the same for a name: a trace does not say what its tasks are written in. */
function placeOf(name: string): number {
  return createHash("sha256").update(name).digest().readUInt32BE() / 2 ** 32;
}
