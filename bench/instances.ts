/**
 * What an instance costs: to make, to keep idle, to have a thousand programs back after a restart, and from a request to its guest; workerd beside it.
 *
 * Each question is put in a process of its own, for 0.2 and 0.3; the figure is the worse of the two. A percentile is
 * the median over the rounds of each round's percentile.
 *
 * `--operations N` instances made a round, `--rounds N`, `--idle N` instances kept, `--runs N` on them, `--programs N`,
 * `--requests N` a round, `--connections N`, `--json FILE`.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withSection } from "./instances/components.js";
import type { Weighed } from "./instances/idle.js";
import type { Instantiated } from "./instances/instantiate.js";
import { measureIsolates } from "./instances/isolates.js";
import { measureReceipt } from "./instances/receipt.js";
import type { Restarted } from "./instances/restart.js";
import { readFlags } from "./support/arguments.js";
import { BenchError, main } from "./support/bench-error.js";
import { describeMachine } from "./support/machine.js";
import { runPart } from "./support/part.js";
import { FLAVOURS, guestFile, type Flavour } from "./support/paths.js";
import { publish, type Row } from "./support/report.js";
import { requireRivals } from "./support/rivals.js";
import { median } from "./support/statistics.js";

const GIB = 2 ** 30;
const KIB = 2 ** 10;
const DEFAULTS = { operations: 20_000, rounds: 5, idle: 2000, runs: 10_000, programs: 1000, requests: 20_000, connections: 4 };
type Plan = typeof DEFAULTS;

const rows: Row[] = [];
const figures: Record<string, number> = {};

await main(async () => {
  const { numbers: plan, json } = readFlags(DEFAULTS);
  requireRivals(["workerd"]);
  const machine = describeMachine();
  for (const flavour of FLAVOURS) await instantiation(flavour, plan);
  for (const flavour of FLAVOURS) await idleWeight(flavour, plan);
  for (const flavour of FLAVOURS) await receipt(flavour, plan);
  await restarts(plan);
  await isolates(plan);
  publish({ question: "what an instance costs", machine, rows, ratios: {}, figures }, json);
});

async function instantiation(flavour: Flavour, { operations, rounds }: Plan): Promise<void> {
  note(`making ${operations} instances, ${rounds} times, WASI ${versionOf(flavour)}`);
  const { value } = await runPart<Instantiated>(part("instantiate"), [flavour, operations, rounds]);
  const how = `hello ${versionOf(flavour)}, one at a time, host state and store included; ${rounds} rounds of ${operations}`;
  row("instantiate, p50", median(value.p50), "µs", how);
  row("instantiate, p99", median(value.p99), "µs", how);
  worst("instantiate_p50_us", median(value.p50));
  worst("instantiate_p99_us", median(value.p99));
}

async function idleWeight(flavour: Flavour, { idle, runs }: Plan): Promise<void> {
  note(`weighing ${idle} idle instances, WASI ${versionOf(flavour)}`);
  const { value } = await runPart<Weighed>(part("idle"), [flavour, idle, runs]);
  const hello = `hello ${versionOf(flavour)}, PSS, ${idle} at once`;
  row("idle instance, ready", value.ready / KIB, "KiB", hello);
  row("idle instance, again after runs", value.afterRuns / KIB, "KiB", `${hello}, after ${runs} runs on them`);
  row("its slot, once it is gone", value.left / KIB, "KiB", "kept resident by the allocator");
  worst("idle_instances_per_gib", Math.floor(GIB / Math.max(value.ready, value.afterRuns)), Math.min);
}

async function receipt(flavour: Flavour, { connections, requests, rounds }: Plan): Promise<void> {
  const plan = { flavour, connections, requests, rounds };
  for (const ready of [32, 0]) {
    note(`${requests} requests, ${rounds} times, ${ready === 0 ? "nothing" : `${ready} instances`} ready, WASI ${versionOf(flavour)}`);
    const results = await measureReceipt({ ...plan, ready });
    const share = Math.round(100 * median(results.map((result) => result.ready)));
    const how = `hello ${versionOf(flavour)} over HTTP, ${connections} at a time: admission to lease, and in the engine until the guest begins; ${share} % found one ready`;
    row(`request to guest, p50, ${ready === 0 ? "made for it" : "ready"}`, median(results.map(({ p50 }) => p50)), "ms", how);
    const p99 = median(results.map((result) => result.p99));
    row(`request to guest, p99, ${ready === 0 ? "made for it" : "ready"}`, p99, "ms", how);
    worst(ready === 0 ? "receipt_to_made_guest_p99_ms" : "receipt_to_guest_p99_ms", p99);
  }
}

async function restarts({ programs, rounds }: Plan): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "pilotlight-programs-"));
  try {
    const hello = readFileSync(guestFile("hello-p2"));
    mkdirSync(join(folder, "compiled"));
    for (let n = 0; n < programs; n++) writeFileSync(join(folder, `${n}.wasm`), withSection(hello, `program ${n}`));
    note(`compiling ${programs} programs`);
    const compiled = (await runPart<Restarted>(part("restart"), [folder])).value;
    const results: { readonly seconds: number; readonly value: Restarted }[] = [];
    for (let round = 0; round < rounds; round++) {
      note(`restart ${round + 1}/${rounds}`);
      const result = await runPart<Restarted>(part("restart"), [folder]);
      if (result.value.cached !== programs)
        throw new BenchError(`of ${programs} compiled programs only ${result.value.cached} were found again in ${folder}`);
      results.push(result);
    }
    const seconds = median(results.map(({ value }) => value.seconds));
    row(`${programs} programs, compile and link`, compiled.seconds, "s", "the first time, hello 0.2, distinct digests");
    row(
      `${programs} programs, load and link`,
      seconds,
      "s",
      "a new process, compiled forms on disk and in the page cache, component bytes read too",
    );
    row(
      `${programs} programs, the whole process`,
      median(results.map((result) => result.seconds)),
      "s",
      "Node's start and end and TypeScript's loader included",
    );
    row("a program, linked", median(results.map(({ value }) => value.pss)) / programs / KIB, "KiB", "PSS, what they added ÷ programs");
    figures[`restart_${programs}_programs_s`] = seconds;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function isolates({ programs }: Plan): Promise<void> {
  note(`workerd with 1 and with ${programs} workers`);
  const one = await measureIsolates(1);
  const many = await measureIsolates(programs);
  const each = (many.pss - one.pss) / (programs - 1);
  row("workerd: an isolate", each / KIB, "KiB", `PSS, ${programs} workers less one worker, each of one line of JavaScript`);
  row(`workerd: start with ${programs} workers`, many.seconds, "s", "from the start of the process to the first answer");
  row("workerd: start with 1 worker", one.seconds, "s", "the same");
  figures["workerd_isolates_per_gib"] = Math.floor(GIB / each);
  figures[`workerd_start_${programs}_workers_s`] = many.seconds;
}

function part(name: string): URL {
  return new URL(`instances/${name}.ts`, import.meta.url);
}

function versionOf(flavour: Flavour): string {
  return flavour === "p2" ? "0.2" : "0.3";
}

function row(what: string, value: number, unit: string, how: string): void {
  rows.push({ what, value, unit, how });
}

/** A figure of several kinds of guest is that of the worst. */
function worst(name: string, value: number, pick: (a: number, b: number) => number = Math.max): void {
  const before = figures[name];
  figures[name] = before === undefined ? value : pick(before, value);
}

function note(text: string): void {
  process.stderr.write(`instances: ${text}\n`);
}
