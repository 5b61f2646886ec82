/**
 * Runs the steps that must run, one set-up at a time. When nothing must be done it takes no lock and says
 * nothing.
 */
import { join } from "node:path";
import { ChildFailure, endChildren } from "./child.mjs";
import { withLock } from "./lock.mjs";
import { createProgress } from "./progress.mjs";
import { setupSteps } from "./steps.mjs";

/** @typedef {import("./steps.mjs").Step} Step */

/** A set-up that could not be finished; the message is for the user as it is. */
export class SetupFailure extends Error {}

/**
 * @param {string} root
 * @param {{ only?: string[] }} [options] `only`: the names of the steps to look at
 */
export async function setup(root, { only } = {}) {
  const steps = setupSteps(root).filter(({ name }) => only === undefined || only.includes(name));
  if (steps.every((step) => step.reason() === undefined)) return;
  await refuseWhatLacks(steps);
  const progress = createProgress(process.stdout, "setup");
  const stopListening = passSignalsOn();
  try {
    await withLock(
      join(root, ".cache/setup.lock"),
      () => runAll(steps, progress),
      (holder) => {
        progress.note(`waiting for the set-up that runs in this checkout already${holder === undefined ? "" : ` (process ${holder.pid})`}`);
      },
    );
  } finally {
    stopListening();
  }
}

/**
 * What a set-up would do now, and why.
 * @param {string} root
 */
export function setupPlan(root) {
  return setupSteps(root).map(({ name, reason }) => ({ name, reason: reason() }));
}

/** @param {Step[]} steps */
async function refuseWhatLacks(steps) {
  for (const step of steps) {
    const problem = step.reason() === undefined ? undefined : await step.lacks?.();
    if (problem !== undefined) throw new SetupFailure(problem);
  }
}

/**
 * @param {Step[]} steps
 * @param {import("./progress.mjs").Progress} progress
 */
async function runAll(steps, progress) {
  for (const step of steps) {
    if (step.reason() === undefined) continue; // also when another set-up did it while we waited
    progress.begin(step.title, step.doing);
    try {
      await step.run(progress.update);
    } catch (error) {
      progress.fail();
      throw new SetupFailure(failureReport(step, error));
    }
    progress.finish(step.done);
  }
}

/**
 * @param {Step} step
 * @param {unknown} error
 */
function failureReport(step, error) {
  if (!(error instanceof ChildFailure)) return `set-up failed at "${step.title}": ${error instanceof Error ? error.stack : error}`;
  return `${error.output.trimEnd()}\n\nset-up failed at "${step.title}": ${error.message}\nthe command was: ${error.command}`;
}

/** Ends the children with us; the lock goes with the process. */
function passSignalsOn() {
  /** @type {NodeJS.Signals[]} */
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  /** @param {NodeJS.Signals} signal */
  const end = (signal) => {
    void endChildren(signal).then(() => process.exit(signal === "SIGINT" ? 130 : signal === "SIGTERM" ? 143 : 129));
  };
  for (const signal of signals) process.on(signal, end);
  return () => signals.forEach((signal) => process.off(signal, end));
}
