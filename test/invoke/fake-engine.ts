/** An engine of a few lines: commands are kept, and the test says what comes of them. */
import type { Command, Engine, EngineEvent, EngineStats } from "../../src/engine/engine.js";
import type { KeyValue } from "../../src/engine/kv.js";
import type { LinkReport } from "../../src/engine/program.js";
import { NO_USAGE, type Outcome, type Usage } from "../../src/engine/outcome.js";

type CommandOf<K extends Command["kind"]> = Extract<Command, { kind: K }>;

export class FakeEngine implements Engine {
  /** Without those about cells. */
  readonly sent: Command[] = [];
  readonly sentOfCells: Command[] = [];
  /** What `send` throws for the next run. */
  refuses: Error | undefined;
  readonly unlinked: number[] = [];
  #listener: (events: readonly EngineEvent[]) => void = () => {};

  send(command: Command): void {
    if (command.kind === "cell" || command.kind === "close-cell") {
      this.sentOfCells.push(command);
      return;
    }
    const { refuses } = this;
    if (command.kind === "run" && refuses !== undefined) {
      this.refuses = undefined;
      throw refuses;
    }
    this.sent.push(command);
  }

  listen(listener: (events: readonly EngineEvent[]) => void): void {
    this.#listener = listener;
  }

  /** There are no sidecars here. */
  consult(): readonly never[] {
    return [];
  }

  isPublic(): boolean {
    return true;
  }

  unlink(program: number): void {
    this.unlinked.push(program);
  }

  /** What the engine tells, in one batch. */
  emit(...events: EngineEvent[]): void {
    this.#listener(events);
  }

  settle(run: number, outcome: Outcome = { kind: "ok", exit: 0 }, usage: Partial<Usage> = {}, began = true): void {
    this.emit({ kind: "settled", run, outcome, began, usage: { ...NO_USAGE, ...usage } });
  }

  of<K extends Command["kind"]>(kind: K): CommandOf<K>[] {
    return this.sent.filter((command): command is CommandOf<K> => command.kind === kind);
  }

  /** The run command of that handle. */
  run(handle: number): CommandOf<"run"> {
    const found = this.of("run").findLast(({ run }) => run === handle);
    if (found === undefined) throw new Error(`run ${handle} was not sent; sent were ${JSON.stringify(this.sent.map(({ kind }) => kind))}`);
    return found;
  }

  load = unused;
  link = unused;
  check = (): LinkReport => ({ missing: [] });
  close = unused;
  cells = unused;
  footprint = unused;
  probe = unused;
  callArguments(): string | undefined {
    return undefined;
  }
  get kv(): KeyValue {
    return unused();
  }
  stats(): EngineStats {
    return unused();
  }
}

function unused(): never {
  throw new Error("the fake engine does not do this");
}
