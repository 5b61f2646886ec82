/**
 * A node whose policy says, each time a run ends, how long program and instance stay and when to fetch the program again;
 * and lets go of what was used least recently when its bytes run out. Everything that others do is a rule for it.
 */
import { Agenda } from "./agenda.js";
import type { Steps } from "./costs.js";
import { Ledger, type Outcome } from "./ledger.js";
import type { Policy, Scene } from "./policy.js";
import type { Component } from "./trace.js";

/** What becomes of a task's program when a run of it has ended. Times in milliseconds of the trace. */
export interface Plan {
  /** It stays until then, and the instance with it where the rule keeps instances. */
  readonly until: number;
  /** Then it is fetched, unless a run came before; Infinity: never. */
  readonly again: number;
  /** What was fetched stays until then. */
  readonly againUntil: number;
}

/**
 * The instance of a run: made when the run comes, the one of an earlier run, or made unseen just before. One that is kept
 * holds what its runs have come to, as a linear memory never shrinks; one that is `emptied` what an unused one does, which
 * nobody offers and which shows how much that is.
 */
export type Instances = "made" | "kept" | "emptied" | "foreseen";

export interface Rule {
  readonly instances: Instances;
  /** A run of the task has come; `idle`: how long after the end of the last one, undefined while one goes on. */
  arrived?(task: number, now: number, idle: number | undefined): void;
  /** A run of the task has ended; `request`: the last one of it that has come so far. */
  ended(task: number, now: number, request: number): Plan;
  /** Before the task's first run. */
  first?(task: number): Plan | undefined;
}

export const NEVER = Number.POSITIVE_INFINITY;

/** A policy that follows a rule, with a limit to programs and instances of all tasks together. */
export function keeping(name: string, budgetBytes: number, ruleFor: (scene: Scene) => Rule): Policy {
  return { name, replay: (scene) => new KeepingNode(scene, budgetBytes, ruleFor(scene)).replay(name) };
}

interface Idle {
  readonly until: number;
  readonly bytes: number;
}

interface TaskState {
  readonly task: number;
  readonly component: Component;
  readonly steps: Steps;
  /** When its program is, or was, linked; undefined: it is not there. */
  linkedAt: number | undefined;
  /** Instances that wait for a run; the last one is taken first. */
  idle: Idle[];
  /** Runs that have come and not ended. */
  running: number;
  plan: Plan;
  /** Counts plans, so that a later one overrides what was put on the agenda for it. */
  plans: number;
  lastEnd: number | undefined;
  lastRequest: number;
}

type Entry =
  /** `bytes`: what the instance holds. */
  | { readonly kind: "begin" | "end"; readonly request: number; readonly bytes: number }
  | { readonly kind: "expire"; readonly state: TaskState }
  | { readonly kind: "fetch" | "fetched"; readonly state: TaskState; readonly plans: number };

const NO_PLAN: Plan = { until: -NEVER, again: NEVER, againUntil: -NEVER };

class KeepingNode {
  readonly #scene: Scene;
  readonly #budget: number;
  readonly #rule: Rule;
  readonly #ledger: Ledger;
  readonly #agenda = new Agenda<Entry>();
  readonly #states: TaskState[];
  /** Tasks that hold something and run nothing, the one used least recently first. */
  readonly #idle = new Set<TaskState>();

  constructor(scene: Scene, budgetBytes: number, rule: Rule) {
    this.#scene = scene;
    this.#budget = budgetBytes;
    this.#rule = rule;
    this.#ledger = new Ledger(scene.window);
    this.#states = scene.trace.tasks.map(({ component }, task) => ({
      task,
      component,
      steps: scene.costs[component],
      linkedAt: undefined,
      idle: [],
      running: 0,
      plan: NO_PLAN,
      plans: 0,
      lastEnd: undefined,
      lastRequest: -1,
    }));
  }

  replay(name: string): Outcome {
    const { trace, window } = this.#scene;
    for (const state of this.#states) {
      const plan = this.#rule.first?.(state.task);
      if (plan !== undefined) this.#adopt(state, plan);
    }
    for (let request = 0; request < trace.length; request++) {
      const now = trace.time[request] as number;
      if (now >= window.until) break;
      this.#passTo(now);
      this.#arrive(now, request);
    }
    this.#passTo(window.until);
    return this.#ledger.outcome(name);
  }

  #passTo(time: number): void {
    while (this.#agenda.next <= time) {
      const now = this.#agenda.next;
      const entry = this.#agenda.pop();
      switch (entry.kind) {
        case "begin":
          this.#begin(now, entry.bytes);
          break;
        case "end":
          this.#end(now, entry.request, entry.bytes);
          break;
        case "expire":
          this.#expire(now, entry.state);
          break;
        case "fetch":
          this.#fetch(now, entry.state, entry.plans);
          break;
        case "fetched":
          this.#fetched(now, entry.state, entry.plans);
          break;
      }
    }
  }

  #stateOf(request: number): TaskState {
    return this.#states[this.#scene.trace.task[request] as number] as TaskState;
  }

  #arrive(now: number, request: number): void {
    const state = this.#stateOf(request);
    const { steps } = state;
    const idle = state.running > 0 || state.lastEnd === undefined ? undefined : now - state.lastEnd;
    this.#rule.arrived?.(state.task, now, idle);
    state.running++;
    state.lastRequest = request;
    state.plans++; // what was planned for idleness is void
    this.#idle.delete(state);
    const instance = state.idle.pop();
    const isReady = instance !== undefined;
    if (isReady) this.#ledger.change(now, -instance.bytes);
    else if (state.linkedAt === undefined) {
      this.#link(now, state);
      this.#fit(now);
    }
    const raise = isReady ? 0 : Math.max(0, (state.linkedAt as number) - now);
    const make = isReady || this.#rule.instances === "foreseen" ? 0 : steps.instantiateMs;
    this.#ledger.started(now, state.component, { raise, make, other: 0 });
    const bytes = Math.max(this.#scene.trace.bytes[request] as number, instance?.bytes ?? steps.readyBytes);
    if (raise > 0) this.#agenda.push(now + raise, { kind: "begin", request, bytes });
    else this.#begin(now, bytes);
    this.#agenda.push(now + raise + make + (this.#scene.trace.duration[request] as number), { kind: "end", request, bytes });
  }

  /** The run's instance is there, or being made. */
  #begin(now: number, bytes: number): void {
    this.#ledger.change(now, bytes);
    this.#fit(now);
  }

  #end(now: number, request: number, bytes: number): void {
    const state = this.#stateOf(request);
    state.running--;
    state.lastEnd = now;
    this.#ledger.change(now, -bytes);
    const plan = this.#rule.ended(state.task, now, state.lastRequest);
    if (this.#keeps && plan.until > now)
      this.#putIdle(now, state, plan.until, this.#rule.instances === "kept" ? bytes : state.steps.readyBytes);
    if (state.running === 0) this.#idle.add(state);
    this.#adopt(state, plan);
    this.#fit(now);
  }

  #adopt(state: TaskState, plan: Plan): void {
    state.plan = plan;
    state.plans++;
    if (state.linkedAt !== undefined) this.#agenda.push(plan.until, { kind: "expire", state });
    this.#agenda.push(plan.again, { kind: "fetch", state, plans: state.plans });
  }

  /** Lets go what nothing holds any longer. */
  #expire(now: number, state: TaskState): void {
    for (const { until, bytes } of state.idle) if (until <= now) this.#ledger.change(now, -bytes);
    state.idle = state.idle.filter(({ until }) => until > now);
    if (state.running === 0 && state.idle.length === 0 && state.plan.until <= now) this.#drop(now, state);
  }

  /** The run that was foreseen is near. */
  #fetch(now: number, state: TaskState, plans: number): void {
    if (state.plans !== plans || state.running > 0) return;
    state.plan = { ...state.plan, until: state.plan.againUntil };
    if (state.linkedAt === undefined) this.#link(now, state);
    this.#idle.delete(state);
    this.#idle.add(state);
    if (this.#keeps && state.idle.length === 0) {
      const ready = Math.max(now, state.linkedAt as number) + state.steps.instantiateMs;
      this.#agenda.push(ready, { kind: "fetched", state, plans });
    }
    this.#agenda.push(state.plan.until, { kind: "expire", state });
    this.#fit(now);
  }

  #fetched(now: number, state: TaskState, plans: number): void {
    if (state.plans !== plans || state.linkedAt === undefined || state.plan.until <= now) return;
    this.#putIdle(now, state, state.plan.until, state.steps.readyBytes);
    this.#fit(now);
  }

  #putIdle(now: number, state: TaskState, until: number, bytes: number): void {
    state.idle.push({ until, bytes });
    this.#ledger.change(now, bytes);
  }

  get #keeps(): boolean {
    return this.#rule.instances === "kept" || this.#rule.instances === "emptied";
  }

  #link(now: number, state: TaskState): void {
    state.linkedAt = now + state.steps.raiseMs;
    this.#ledger.change(now, state.steps.programBytes);
  }

  #drop(now: number, state: TaskState): void {
    for (const { bytes } of state.idle) this.#ledger.change(now, -bytes);
    state.idle = [];
    if (state.linkedAt !== undefined) this.#ledger.change(now, -state.steps.programBytes);
    state.linkedAt = undefined;
    this.#idle.delete(state);
  }

  /** Lets go of tasks that run nothing until everything fits. What runs is never touched, so it may not. */
  #fit(now: number): void {
    if (this.#ledger.bytes <= this.#budget) return;
    for (const state of this.#idle) {
      this.#drop(now, state);
      if (this.#ledger.bytes <= this.#budget) return;
    }
  }
}
