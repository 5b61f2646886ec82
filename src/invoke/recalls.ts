/**
 * Stage recall: a run of an idempotent task whose record still holds is answered from it and takes no capacity; one that is equal
 * to a run under way waits for that; any other runs and is recorded.
 *
 * A record is looked up by all that its run saw (src/memo/key.ts) and holds while all that it read is as it was: what costs nothing
 * to look at first, what others have to be asked last. Whoever waited looks again when the run is over, so that nobody is given
 * what has changed meanwhile; and when that run came to nothing, one of those who waited runs, and the others wait for it.
 */
import type { Readable } from "node:stream";
import { messageOf } from "../base/errors.js";
import type { HeaderList } from "../base/headers.js";
import type { CallFrame, Engine, Frame, HttpFrame, LinkedFrame } from "../engine/engine.js";
import type { KeyValue } from "../engine/kv.js";
import { NO_USAGE, type Outcome } from "../engine/outcome.js";
import { directivesOf, type Directives } from "../memo/conditional.js";
import { prefixDep } from "../memo/deps.js";
import { recordKey } from "../memo/key.js";
import type { Idempotent } from "../memo/policy.js";
import { isLocal, type HttpAnswer, type MemoRecord } from "../memo/record.js";
import type { Held, RecordStore } from "../memo/store.js";
import type { Task } from "../tasks/task.js";
import type { BesideRequest } from "./beside.js";
import type { Executor } from "./executor.js";
import { identityOf, rootOf } from "./chain.js";
import { Looks, type Found, type LookPorts } from "./looks.js";
import { LONG_BODY, Making } from "./making.js";
import { Memo } from "./memo.js";
import { Recording } from "./recording.js";
import { Room } from "./room.js";
import type { Refusal, Run } from "./run.js";

export interface RecallPorts extends LookPorts {
  readonly executor: Pick<Executor, "hold" | "submit" | "cancel" | "endUnstarted">;
  readonly engine: Pick<Engine, "send" | "probe" | "callArguments"> & { readonly kv: Pick<KeyValue, "check" | "revisionUnder"> };
  readonly store: RecordStore;
  /** Whether one of the texts has a secret of the tenant in it. */
  hasSecret(tenant: string, texts: readonly (() => string)[]): boolean;
  /** Whether requests get this version of a task now. */
  isCurrent(task: Task): boolean;
  /** Takes over a run whose answer may come later; false: it runs now. */
  defers(run: Run): boolean;
  /** Told what has become of a run's record, where that was not clear yet when the run settled. */
  concluded(run: Run, recorded: string): void;
}

/** The longest body of a request that records are looked up by. */
const BODY_BYTES = 1024 * 1024;
/** What answers may hold in memory until they are records, all together; what comes beyond that is not recorded. */
const MOST_RECORDING = 64 * 1024 * 1024;
/** What may be made, because others wait for it, before its own client takes it; then they run for themselves. */
const MOST_AHEAD = 64 * 1024 * 1024;
/** As many as may wait for capacity. */
const MOST_WAITING = 10_000;
/** Equal requests wait for so many runs of others, one after the other; then each runs for itself. */
const ROUNDS = 2;
/** A run ends by its own limits before those who wait for it are told that it was too late. Milliseconds. */
const PATIENCE_MS = 1000;
/** Tasks whose runs leave no records are not waited for; after this long it is seen whether they do now. Milliseconds. */
const FRUITLESS_MS = 10_000;
const MOST_FRUITLESS = 10_000;
/** Where looking takes longer than running, the record is left alone for so long. Milliseconds. */
const COSTLY_MS = 10_000;
/** So many looks tell what one takes. */
const LOOKS = 8;

/** A run under way that equal requests wait for. */
interface Flight {
  readonly recording: Recording;
  readonly waiting: Set<Waiter>;
}

interface Waiter {
  readonly run: Run;
  readonly asked: Asked;
  readonly memo: Memo;
  timer: NodeJS.Timeout | undefined;
}

/** What a run asks of records. */
interface Asked {
  readonly key: string;
  readonly print: string;
  readonly frame: HttpFrame | CallFrame;
  readonly policy: Idempotent;
  readonly directives: Directives;
}

const NO_BYTES = new Uint8Array();
const OK: Outcome = { kind: "ok", exit: 0 };

export class Recalls {
  readonly #ports: RecallPorts;
  readonly #looks: Looks;
  readonly #making: Making;
  readonly #flights = new Map<string, Flight>();
  /** Keys whose last run left no record, and will hardly leave one the next time; with when that was. */
  readonly #fruitless = new Map<string, number>();
  /** Records that take longer to look at than to make again; with when that was found. */
  readonly #costly = new Map<string, number>();
  readonly #answers: (() => void)[] = [];
  /** All that wait for runs of others, and what all recordings hold. */
  #waiting = 0;
  readonly #rooms = { answers: new Room(MOST_RECORDING), ahead: new Room(MOST_AHEAD) };
  #closed = false;

  constructor(ports: RecallPorts) {
    this.#ports = ports;
    this.#looks = new Looks(ports);
    this.#making = new Making({ ...ports, looks: this.#looks });
  }

  /** Has a run that may start be answered, or started. `request`: undefined where no client's request began it. */
  start(run: Run, request: BesideRequest | undefined): void {
    const policy = run.task.version.manifest.idempotent;
    const parent = run.descent.parent?.recording;
    if (policy === undefined) return this.#submit(run, parent);
    this.#read(run, request, (frame) => {
      if (run.state === "settled") return;
      if (this.#closed) return this.#ports.executor.endUnstarted(run, { kind: "cancelled" });
      const asked = frame?.kind === "linked" ? this.#linked(frame) : frame;
      if (frame === undefined) this.#bypass(run, parent, "body");
      // What it waited for may have taken until its program, or a sidecar of its, was replaced.
      else if (this.#isReplaced(run)) this.#bypass(run, parent, "replaced");
      else if (asked?.kind !== "http" && asked?.kind !== "call") this.#submit(run, parent);
      else this.#recall(run, this.#asked(run, asked, policy, request), parent);
    });
  }

  /** Whether a record would answer the call, as far as can be told here and now. */
  holds(task: Task, frame: CallFrame, from: Run | undefined): boolean {
    const policy = task.version.manifest.idempotent;
    if (policy === undefined || task.version.manifest.sidecars.length > 0) return false;
    const held = this.#ports.store.get(
      recordKey(
        {
          task: task.key,
          print: this.#ports.print(task),
          identity: undefined,
          authority: from === undefined ? task.tenant : rootOf(from).task.tenant,
          beside: "",
        },
        frame,
      ),
    );
    return held !== undefined && isLocal(held.record.trace) && this.#looks.near(held, task, policy).holds;
  }

  /** The run has settled: what was kept of it becomes a record, or not. */
  ended(run: Run): void {
    const { recording } = run;
    if (recording === undefined || recording.isConcluded) return;
    if (recording.settled(run, run.trace)) void this.#conclude(recording);
    // Its line is written now; what becomes of the record is told by one of its own.
    if (run === recording.root && run.memo?.recorded === undefined) recording.isLate = true;
  }

  /** Its client has taken so much of the answer; gives how much of that is for the engine to know. */
  taken(run: Run, bytes: number): number {
    if (run.state === "settled") {
      if (run.recording?.root === run) run.recording.taken(bytes);
      return 0;
    }
    if (run.memo?.taken !== undefined) {
      run.memo.taken(bytes);
      return 0;
    }
    return run.recording !== undefined && run.recording.root === run ? run.recording.taken(bytes) : bytes;
  }

  /** Its client wants no more of the answer: what comes is for the record alone. */
  unread(run: Run): void {
    if (run.memo?.enough !== undefined) return run.memo.enough();
    const { recording } = run;
    if (recording?.root !== run || recording.obstacle !== undefined) return this.#ports.executor.cancel(run);
    recording.isUnread = true;
    recording.gone();
    this.#hurry(recording);
  }

  /** Something of the answer has come that nobody takes, or that others wait for. */
  #came(recording: Recording): void {
    if (recording.obstacle === undefined) return this.#hurry(recording);
    // There is nothing to wait for any more.
    this.#note(this.#fruitless, recording.key);
    this.#land(recording);
    if (recording.isUnread) this.#ports.executor.cancel(recording.root);
  }

  /** Its client has gone. True: it is ended here, or goes on for others. */
  cancel(run: Run): boolean {
    const { memo, recording } = run;
    if (run.state === "settled") {
      // Its answer may still have been on the way.
      if (recording?.root === run) recording.gone();
      return true;
    }
    if (memo?.leave !== undefined) {
      memo.leave();
      return true;
    }
    if (recording === undefined || recording.root !== run) return false;
    const flight = this.#flights.get(recording.key);
    if (flight?.recording !== recording || flight.waiting.size === 0 || recording.obstacle !== undefined) return false;
    this.unread(run);
    return true;
  }

  /** Nothing is looked up any more; what waits is for whoever started it to call off. */
  close(): void {
    this.#closed = true;
  }

  /** The frame, with the whole body; undefined: that is too long. */
  #read(run: Run, request: BesideRequest | undefined, told: (frame: Frame | undefined) => void): void {
    if (request === undefined || run.beside?.transformed !== undefined) {
      const frame = run.frame(run);
      return told(frame.kind === "http" && (frame.more || (frame.body?.byteLength ?? 0) > BODY_BYTES) ? undefined : frame);
    }
    const memo = (run.memo = new Memo({ kind: "miss" }));
    this.#ports.executor.hold(run);
    const { timeout } = run.task.version.manifest.limits;
    const late = setTimeout(() => {
      memo.leave = undefined;
      this.#ports.executor.endUnstarted(run, { kind: "limit", limit: "head-time", used: timeout, allowed: timeout });
    }, timeout).unref();
    memo.leave = () => {
      clearTimeout(late);
      this.#leaves(run, memo);
    };
    request.body(BODY_BYTES, false, (body) => {
      clearTimeout(late);
      if (run.state === "settled") return;
      memo.leave = undefined;
      told(typeof body === "string" ? undefined : run.frame(run));
    });
  }

  /** Whether its program, or a sidecar that serves its imports, is none that requests get now: what it sees is not what its key says. */
  #isReplaced({ memo, beside, task }: Run): boolean {
    if (memo === undefined && beside === undefined) return false;
    if (!this.#ports.isCurrent(task)) return true;
    return beside?.isBound === true && beside.ones.some(({ unit }) => unit?.isUp === true && !this.#ports.isCurrent(unit.of.task));
  }

  /** A sidecar has come to stand beside a run that is under way. */
  attached(run: Run): void {
    const { recording, beside } = run;
    if (recording === undefined || beside === undefined) return;
    if (!beside.ones.every(({ unit }) => unit === undefined || this.#ports.isCurrent(unit.of.task)) || !this.#isPrinted(run, recording))
      recording.fails("changed meanwhile");
  }

  /** It is made of what its recording says that it is. */
  #isPrinted({ task }: Run, { root, print, tasks }: Recording): boolean {
    const now = this.#ports.print(task);
    return task === root.task ? now === print : tasks.some(([key, made]) => key === task.key && made === now);
  }

  /** A call of another guest's as it would be from outside: the two have records in common. */
  #linked({ call, interface: iface, function: func }: LinkedFrame): CallFrame | undefined {
    const args = this.#ports.engine.callArguments(call);
    return args === undefined ? undefined : { kind: "call", interface: iface, function: func, arguments: args };
  }

  #asked(run: Run, frame: HttpFrame | CallFrame, policy: Idempotent, request: BesideRequest | undefined): Asked {
    const print = this.#ports.print(run.task);
    const key = recordKey(
      { task: run.task.key, print, identity: identityOf(run), authority: rootOf(run).task.tenant, beside: asksFor(run) },
      frame,
    );
    return { key, print, frame, policy, directives: directivesOf(request?.header("cache-control", run.task)) };
  }

  #bypass(run: Run, parent: Recording | undefined, reason: string): void {
    run.memo ??= new Memo({ kind: "bypass" });
    run.memo.verdict = { kind: "bypass", reason };
    this.#submit(run, parent);
  }

  /** Runs it. What it reads its caller has read. */
  #submit(run: Run, parent: Recording | undefined): void {
    if (parent !== undefined) {
      const { files, idempotent } = run.task.version.manifest;
      run.recording = parent;
      parent.joins();
      parent.calls(run.task.key, this.#ports.print(run.task));
      // What it says that it reads is looked at before the run of a record's own alone.
      if (files.length > 0 || idempotent?.reads.some(isAddress)) parent.fails("callee reads files or addresses");
      if (idempotent !== undefined) this.#declare(parent, idempotent.reads, run.task);
      if (this.#isReplaced(run)) parent.fails("changed meanwhile");
    }
    if (run.later === undefined || !this.#ports.defers(run)) this.#ports.executor.submit(run);
  }

  #recall(run: Run, asked: Asked, parent: Recording | undefined): void {
    const { store } = this.#ports;
    const { key, directives } = asked;
    const memo = (run.memo ??= new Memo({ kind: "miss" }));
    memo.key = key;
    store.asked(key);
    if (directives.noCache) {
      memo.verdict = { kind: "forced" };
      // Nobody is given what was there before once this answer is out, nor what is being made of that.
      if (run.later !== undefined && this.#ports.defers(run)) return;
      store.remove(key);
      store.floors.raise(run.task.tenant, key);
      return this.#run(run, asked, memo, parent);
    }
    const held = store.get(key);
    if (held === undefined) return this.#missed(run, asked, memo, parent, { kind: "miss" });
    const { trace } = held.record;
    const since = this.#costly.get(key);
    if (since !== undefined && this.#ports.clock.now() - since < COSTLY_MS && !directives.onlyIfCached)
      return this.#bypass(run, parent, "cheaper to run");
    const near = this.#looks.near(held, run.task, asked.policy);
    const isFresh = isLocal(trace) || this.#ports.wall() - held.lookedAt < asked.policy.maxStale;
    if (!near.holds || isFresh) return this.#decided(run, asked, memo, parent, held, near);
    this.#later(run, memo, this.#far(held, run.task), (far) =>
      // What is here may have changed while others were asked.
      this.#decided(run, asked, memo, parent, held, far.holds ? this.#looks.near(held, run.task, asked.policy) : far),
    );
  }

  #decided(run: Run, asked: Asked, memo: Memo, parent: Recording | undefined, held: Held, found: Found): void {
    // Another has taken its place while others were asked.
    if (this.#ports.store.get(asked.key)?.record.run !== held.record.run) return this.#recall(run, asked, parent);
    if (found.holds) return this.#whenKept(run, asked, memo, parent, held);
    // What cannot be looked at may be as it was; all else is as good as gone.
    if (found.reason !== "unreachable") this.#ports.store.remove(asked.key);
    this.#missed(run, asked, memo, parent, { kind: "stale", reason: found.reason, what: found.what });
  }

  /** An answer that was given from a record is there again after a crash. */
  #whenKept(run: Run, asked: Asked, memo: Memo, parent: Recording | undefined, held: Held): void {
    const keeping = this.#ports.store.keeping(asked.key);
    if (keeping === undefined) return this.#hit(run, asked, memo, parent, held);
    this.#later(run, memo, keeping, () => this.#recall(run, asked, parent));
  }

  #hit(run: Run, asked: Asked, memo: Memo, parent: Recording | undefined, held: Held): void {
    const { answer } = held.record;
    if (answer.kind === "http" && answer.body === undefined && !held.isWhole) {
      return this.#makeSure(run, asked, memo, parent, held, answer);
    }
    if (answer.kind !== "http" || answer.body !== undefined) return this.#give(run, asked, memo, parent, held, undefined);
    // Once it is open it can be read to its end, whatever has to make room meanwhile.
    const open = (body: Readable | undefined): void => {
      if (this.#ports.store.get(asked.key)?.record.run !== held.record.run) {
        body?.destroy();
        return this.#recall(run, asked, parent);
      }
      if (body !== undefined) return this.#give(run, asked, memo, parent, held, body);
      this.#ports.store.remove(asked.key);
      this.#recall(run, asked, parent);
    };
    this.#later(run, memo, this.#open(asked.key), open, (body) => body?.destroy());
  }

  async #open(key: string): Promise<Readable | undefined> {
    const { store } = this.#ports;
    const file = store.fileOf(key);
    try {
      return file === undefined ? undefined : await store.bodies.read(file);
    } catch {
      return undefined;
    }
  }

  #give(run: Run, asked: Asked, memo: Memo, parent: Recording | undefined, { record }: Held, body: Readable | undefined): void {
    this.#ports.store.used(asked.key);
    if (parent !== undefined) this.#adopt(parent, run, record);
    const ttl = Math.max(0, Math.floor((record.at + asked.policy.ttl - this.#ports.wall()) / 1000));
    memo.verdict = { kind: memo.rounds > 0 ? "collapsed" : "hit", recalls: record.run, ttl };
    this.#answer(run, memo, record, body);
  }

  /** The body lies by itself: whether it is whole is looked at once in the life of a process. */
  #makeSure(run: Run, asked: Asked, memo: Memo, parent: Recording | undefined, held: Held, { digest }: HttpAnswer): void {
    const { store } = this.#ports;
    const file = store.fileOf(asked.key);
    const found = file === undefined ? Promise.resolve(undefined) : store.bodies.digest(file);
    this.#later(run, memo, found, (now) => {
      held.isWhole = now !== undefined && now === digest;
      if (!held.isWhole) store.remove(asked.key);
      this.#recall(run, asked, parent);
    });
  }

  /**
   * Once all that has come in is read: answers that go out one after the other wake whoever they are for once, and not each
   * time. That costs as much as all else of a hit.
   */
  #soon(work: () => void): void {
    this.#answers.push(work);
    if (this.#answers.length > 1) return;
    setImmediate(() => {
      for (const answer of this.#answers.splice(0)) {
        // Whoever throws when it is told does not keep others from their answers.
        try {
          answer();
        } catch (error) {
          this.#ports.report(error);
        }
      }
    });
  }

  /** `long`: the body, where it lies by itself. */
  #answer(run: Run, memo: Memo, { answer }: MemoRecord, long: Readable | undefined): void {
    const now = this.#ports.clock.now();
    run.headAt = now;
    if (answer.kind === "call") {
      const { json } = answer;
      // Whoever calls may not expect an answer while it still asks.
      return this.#soon(() => {
        if (run.state === "settled") return;
        if (json !== undefined) run.listener.event({ kind: "result", run: run.handle, json });
        this.#ports.executor.endUnstarted(run, OK, { ...NO_USAGE, responseBytes: json?.length ?? 0 });
      });
    }
    const { status, headers, trailers, body = NO_BYTES } = answer;
    const head = { kind: "head", run: run.handle, status, headers, startNanoseconds: 0 } as const;
    if (long === undefined) {
      // A front may not expect an answer while it still asks.
      return this.#soon(() => {
        if (run.state === "settled") return;
        run.listener.event({ ...head, body: body.byteLength === 0 ? undefined : body, ended: true, trailers });
        this.#ports.executor.endUnstarted(run, OK, { ...NO_USAGE, responseBytes: body.byteLength });
      });
    }
    memo.leave = () => {
      long.destroy();
      this.#leaves(run, memo);
    };
    this.#soon(() => {
      if (run.state === "settled") return;
      this.#stream(run, memo, long, trailers);
      run.listener.event({ ...head, body: undefined, ended: false, trailers: undefined });
    });
  }

  /** Sends a body that lies by itself, as fast as the client takes it. */
  #stream(run: Run, memo: Memo, stream: Readable, trailers: HeaderList | undefined): void {
    const { store, executor } = this.#ports;
    const { idle } = run.task.version.manifest.limits;
    let [owed, sent] = [0, 0];
    // A client that takes nothing holds the file no longer than a run would wait for it.
    const silence = setTimeout(() => {
      stream.destroy();
      memo.leave = undefined;
      executor.endUnstarted(run, { kind: "limit", limit: "idle-time", used: idle, allowed: idle });
    }, idle).unref();
    stream.on("close", () => {
      clearTimeout(silence);
      memo.taken = undefined;
    });
    memo.leave = () => {
      stream.destroy();
      this.#leaves(run, memo);
    };
    memo.enough = () => {
      stream.destroy();
      memo.leave = undefined;
      executor.endUnstarted(run, OK);
    };
    memo.taken = (bytes) => {
      silence.refresh();
      owed -= bytes;
      if (owed < LONG_BODY) stream.resume();
    };
    stream.on("data", (bytes: Buffer) => {
      owed += bytes.byteLength;
      sent += bytes.byteLength;
      if (owed >= 4 * LONG_BODY) stream.pause();
      run.listener.event({ kind: "chunk", run: run.handle, bytes });
    });
    stream.on("end", () => {
      memo.leave = undefined;
      run.listener.event({ kind: "end", run: run.handle, trailers });
      executor.endUnstarted(run, OK, { ...NO_USAGE, responseBytes: sent });
    });
    stream.on("error", (error) => {
      if (run.state === "settled") return;
      memo.leave = undefined;
      if (memo.key !== undefined) store.remove(memo.key);
      this.#ports.report(error);
      executor.endUnstarted(run, { kind: "platform", code: "internal", message: messageOf(error) });
    });
  }

  #missed(run: Run, asked: Asked, memo: Memo, parent: Recording | undefined, verdict: Memo["verdict"]): void {
    memo.verdict = verdict;
    if (asked.directives.onlyIfCached) {
      run.refusal = ONLY_IF_CACHED;
      return this.#ports.executor.endUnstarted(run, { kind: "refused", code: "only-if-cached", message: "no record holds" });
    }
    if (run.later !== undefined && this.#ports.defers(run)) return;
    const flight = this.#flights.get(asked.key);
    const mayWait = parent === undefined && memo.rounds < ROUNDS && !this.#isFruitless(asked.key) && this.#waiting < MOST_WAITING;
    if (flight !== undefined && mayWait && flight.recording.obstacle === undefined) this.#wait(run, asked, memo, flight);
    else this.#run(run, asked, memo, parent);
  }

  #wait(run: Run, asked: Asked, memo: Memo, flight: Flight): void {
    memo.rounds++;
    const waiter: Waiter = { run, asked, memo, timer: undefined };
    flight.waiting.add(waiter);
    this.#ports.executor.hold(run);
    this.#waiting++;
    flight.recording.isAwaited = true;
    memo.leave = () => {
      this.#stops(flight, waiter);
      this.#leaves(run, memo);
    };
    const { timeout } = run.task.version.manifest.limits;
    waiter.timer = setTimeout(() => {
      this.#stops(flight, waiter);
      memo.leave = undefined;
      const used = Math.round(this.#ports.clock.now() - run.admittedAt);
      this.#ports.executor.endUnstarted(run, { kind: "limit", limit: "head-time", used, allowed: timeout });
    }, timeout + PATIENCE_MS).unref();
    this.#hurry(flight.recording);
  }

  /** Nobody waits for how fast a client takes what it is sent. */
  #hurry(recording: Recording): void {
    const bytes = recording.ahead();
    if (bytes === undefined) return this.#land(recording);
    if (bytes > 0) this.#ports.engine.send({ kind: "credit", run: recording.root.handle, bytes });
  }

  #stops(flight: Flight, waiter: Waiter): void {
    clearTimeout(waiter.timer);
    if (flight.waiting.delete(waiter)) this.#waiting--;
  }

  /** What waited is called off. */
  #leaves(run: Run, memo: Memo): void {
    memo.leave = undefined;
    this.#ports.executor.endUnstarted(run, { kind: "cancelled" });
  }

  #run(run: Run, asked: Asked, memo: Memo, parent: Recording | undefined): void {
    memo.leave = undefined;
    // It leaves a record of its own when it is called by itself.
    if (parent !== undefined) return this.#submit(run, parent);
    const { key, print, policy } = asked;
    const { store } = this.#ports;
    const recording = new Recording(run, {
      key,
      print,
      policy,
      at: this.#ports.wall(),
      began: store.floors.next(),
      largest: store.largest,
      rooms: this.#rooms,
      came: () => this.#came(recording),
    });
    run.recording = recording;
    recording.joins();
    if (asked.directives.noStore) recording.fails("no-store");
    if (!asked.directives.noStore && !this.#flights.has(key)) this.#flights.set(key, { recording, waiting: new Set() });
    const begin = (): void => {
      try {
        this.#declare(recording, policy.reads, run.task);
      } catch (error) {
        recording.fails("store");
        this.#ports.report(error);
      }
      this.#ports.executor.submit(run);
    };
    const isFar = run.task.version.manifest.files.length > 0 || policy.reads.some(isAddress);
    if (recording.obstacle !== undefined || !isFar) return begin();
    this.#later(run, memo, this.#declareFar(recording, run.task), begin);
  }

  /** Goes on once that is done, unless the client has left by then: then it is done away with. */
  #later<T>(run: Run, memo: Memo, work: Promise<T>, then: (value: T) => void, dispose?: (value: T) => void): void {
    let left = false;
    this.#ports.executor.hold(run);
    memo.leave = () => {
      left = true;
      this.#leaves(run, memo);
    };
    const goOn = async (): Promise<void> => {
      try {
        const value = await work;
        if (left) return dispose?.(value);
        memo.leave = undefined;
        then(value);
      } catch (error) {
        this.#ports.report(error);
        if (!left && run.state !== "settled") this.#leaves(run, memo);
      }
    };
    void goOn();
  }

  /** What the manifest says that is read in stores, as it is now. */
  #declare(recording: Recording, reads: Idempotent["reads"], { tenant }: Task): void {
    const { kv } = this.#ports.engine;
    for (const read of reads) {
      const [, store, text] = /^kv:([^/]*)\/(.*)$/s.exec(read) ?? [];
      if (store === undefined || text === undefined) continue;
      const prefix = text.endsWith("*") ? text.slice(0, -1) : text;
      recording.reads.push(prefixDep(tenant, store, prefix, kv.revisionUnder(tenant, store, prefix)));
    }
  }

  /** What lies elsewhere, as it is before the run: if that reads another state, the next look finds that one, and not this. */
  async #declareFar(recording: Recording, task: Task): Promise<void> {
    const { files } = task.version.manifest;
    if (files.length > 0) {
      const states = await this.#looks.filesOf(task);
      if (states === undefined) return recording.fails("files");
      recording.files = states;
    }
    for (const url of recording.policy.reads.filter(isAddress)) {
      try {
        recording.fetched.push({ task: task.key, of: await this.#looks.fetch(task, url) });
      } catch {
        return recording.fails("unreachable");
      }
    }
  }

  /** A called run was answered from a record: what that has read the caller has. */
  #adopt(recording: Recording, { task }: Run, { trace, notes, until }: MemoRecord): void {
    if (trace.reads.byteLength > 0) recording.reads.push(trace.reads);
    recording.calls(task.key, this.#ports.print(task));
    for (const [key, print] of trace.tasks) recording.calls(key, print);
    // What it was allowed, and for how long it holds, goes for whoever has it from there.
    recording.notes |= notes;
    recording.until = Math.min(recording.until, until);
    recording.depends.push(...trace.depends.map(([by, resource, state]) => ({ task: by, of: [resource, state] as const })));
    recording.fetched.push(...trace.fetched.map(([by, of]) => ({ task: by, of })));
    if (trace.files.length > 0) recording.fails("callee reads files or addresses");
  }

  /** All runs of a recording are over. */
  async #conclude(recording: Recording): Promise<void> {
    const { root } = recording;
    const memo = root.memo as Memo;
    let why: string | undefined;
    try {
      // Most need nothing that takes time, and then the record is there before anything else happens.
      why = this.#making.obstacleOf(recording);
      if (why === undefined && recording.files.length > 0) {
        const now = await this.#looks.filesOf(root.task);
        const isSame = now !== undefined && recording.files.every(([, state], i) => now[i]?.[1] === state);
        why = isSame ? this.#making.obstacleOf(recording) : "changed meanwhile";
      }
      why ??= this.#making.record(recording);
    } catch (error) {
      why = "internal error";
      this.#ports.report(error);
    }
    recording.isConcluded = true;
    memo.recorded = why ?? "kept";
    recording.letGo();
    if (recording.isLate) this.#ports.concluded(root, memo.recorded);
    if (why === undefined) this.#fruitless.delete(recording.key);
    else if (!PASSING.has(why) && !why.startsWith("status")) this.#note(this.#fruitless, recording.key);
    this.#land(recording);
  }

  /** Those who wait for it look again. */
  #land(recording: Recording): void {
    const flight = this.#flights.get(recording.key);
    if (flight?.recording !== recording) return;
    this.#flights.delete(recording.key);
    recording.isAwaited = false;
    for (const waiter of flight.waiting) {
      try {
        this.#release(flight, waiter);
      } catch (error) {
        // What goes wrong with one keeps nobody else waiting.
        this.#ports.report(error);
        if (waiter.run.state !== "settled") this.#leaves(waiter.run, waiter.memo);
      }
    }
  }

  #release(flight: Flight, waiter: Waiter): void {
    this.#stops(flight, waiter);
    waiter.memo.leave = undefined;
    // What it waits for now has its whole time before it.
    waiter.run.admittedAt = this.#ports.clock.now();
    this.#recall(waiter.run, waiter.asked, undefined);
  }

  /** What others have to be asked about; where that takes longer than running, it is left for a while. */
  async #far(held: Held, task: Task): Promise<Found> {
    const found = await this.#looks.far(held, task);
    const { key, runMs } = held.record;
    if (held.looks >= LOOKS && held.checkMs > runMs) this.#note(this.#costly, key);
    else this.#costly.delete(key);
    return found;
  }

  #isFruitless(key: string): boolean {
    const since = this.#fruitless.get(key);
    return since !== undefined && this.#ports.clock.now() - since < FRUITLESS_MS;
  }

  #note(notes: Map<string, number>, key: string): void {
    notes.delete(key);
    notes.set(key, this.#ports.clock.now());
    const [oldest] = notes.keys();
    if (notes.size > MOST_FRUITLESS && oldest !== undefined) notes.delete(oldest);
  }
}

/** Reasons that may be over by the next time. */
const PASSING: ReadonlySet<string> = new Set([
  "failed",
  "cut off",
  "changed meanwhile",
  "callee failed",
  "room",
  "superseded",
  "busy",
  "memory",
  "store",
  "unreachable",
  "internal error",
]);

const ONLY_IF_CACHED: Refusal = {
  code: "request/only-if-cached",
  detail: "The request takes a recorded answer alone (Cache-Control: only-if-cached), and there is none that holds.",
};

/** Sidecars that stand beside it because a header says so. */
function asksFor({ beside }: Run): string {
  if (beside === undefined) return "";
  const uses = beside.ones.filter(({ entry }) => typeof entry.when === "object").map(({ entry }) => entry.use);
  return uses.sort((a, b) => a.localeCompare(b)).join();
}

function isAddress(read: string): boolean {
  return !read.startsWith("kv:");
}
