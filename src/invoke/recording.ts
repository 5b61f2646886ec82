/** What is kept of a run while it goes on, for the record that it may leave: its answer, and what it and those it called have read. */
import { NOTE, type Fetched, type Trace } from "../engine/trace.js";
import type { HeaderList } from "../base/headers.js";
import type { Idempotent } from "../memo/policy.js";
import type { Room } from "./room.js";
import type { Run, RunEvent } from "./run.js";

/** Something that was read by a run of a task, which knows how to look again. */
export interface By<T> {
  readonly task: string;
  readonly of: T;
}

export interface RecordedHead {
  readonly status: number;
  readonly headers: HeaderList;
  readonly trailers: HeaderList | undefined;
}

const NO_BYTES = new Uint8Array();

interface RecordingOptions extends Pick<Recording, "key" | "print" | "policy" | "at" | "began" | "largest"> {
  readonly rooms: Rooms;
  /** Told of each piece of an answer that its client does not take, or that others wait for. */
  readonly came: () => void;
}

/** What recordings of a node may hold. */
export interface Rooms {
  /** Of answers, until they are records. */
  readonly answers: Room;
  /** Of answers that were made for others before their own client took them. */
  readonly ahead: Room;
}

export class Recording {
  readonly root: Run;
  readonly key: string;
  readonly print: string;
  readonly policy: Idempotent;
  /** When it began, in milliseconds since 1970. */
  readonly at: number;
  /** The same, among all that do something to records (src/memo/floors.ts). */
  readonly began: number;
  /** Longer answers are not recorded. */
  readonly largest: number;
  /** Of all its runs. */
  notes = 0;
  readonly reads: Uint8Array[] = [];
  /** What the program of each called task was made of. */
  readonly tasks: (readonly [task: string, print: string])[] = [];
  /** When what it has from other records is over, in milliseconds since 1970. */
  until = Number.POSITIVE_INFINITY;
  /** It has become a record, or not: nothing that comes now changes that. */
  isConcluded = false;
  readonly depends: By<readonly [resource: string, state: string]>[] = [];
  readonly fetched: By<Fetched>[] = [];
  /** Folders, and what was in them before. */
  files: readonly (readonly [folder: string, state: string])[] = [];
  /** Why there will be no record, once that is clear. */
  obstacle: string | undefined;
  head: RecordedHead | undefined;
  /** The result of a call. */
  json: string | undefined;
  ended = false;
  #pieces: Uint8Array[] = [];
  bytes = 0;
  /** Runs that have not settled. */
  #pending = 0;
  /** Room for the answer that the run has been told of, and how much of that its client has not made yet. */
  #given = 0;
  #ahead = 0;
  /** Its root had settled, and was logged, before it was clear what would become of it. */
  isLate = false;
  /** Nobody takes the answer. */
  isUnread = false;
  /** Equal requests wait for it. */
  isAwaited = false;

  readonly #came: () => void;
  readonly #rooms: Rooms;
  /** Of the first of them. */
  #held = 0;

  constructor(root: Run, { key, print, policy, at, began, largest, rooms, came }: RecordingOptions) {
    this.root = root;
    this.key = key;
    this.print = print;
    this.policy = policy;
    this.at = at;
    this.began = began;
    this.largest = largest;
    this.#rooms = rooms;
    this.#came = came;
  }

  /** A task is called: each of its versions is one of its own. */
  calls(task: string, print: string): void {
    if (!this.tasks.some(([key, made]) => key === task && made === print)) this.tasks.push([task, print]);
  }

  /** The root, or a run that it has led to, begins. */
  joins(): void {
    this.#pending++;
  }

  event(run: Run, event: RunEvent): void {
    if (run !== this.root) return;
    switch (event.kind) {
      case "head":
        this.head = { status: event.status, headers: event.headers, trailers: event.trailers };
        if (event.body !== undefined) this.#add(event.body);
        this.ended = event.ended;
        break;
      case "chunk":
        this.#add(event.bytes);
        break;
      case "end":
        if (this.head !== undefined) this.head = { ...this.head, trailers: event.trailers };
        this.ended = true;
        break;
      case "result":
        this.json = event.json;
        this.ended = true;
        break;
      case "need-input":
        break;
    }
  }

  /** One of its runs is over. True: that was the last. */
  settled(run: Run, trace: Trace | undefined): boolean {
    if (trace !== undefined) this.#read(run, trace);
    else if (run.outcome?.kind === "ok") this.#fails(run === this.root ? "untraced" : "callee shares its instances");
    const { outcome } = run;
    if (run === this.root) {
      if (outcome?.kind !== "ok" || outcome.exit !== 0) this.#fails("failed");
    } else if (outcome?.kind !== "ok") this.#fails("callee failed");
    else if (run.task.version.manifest.reuse.maxRequests > 1) this.#fails("callee shares its instances");
    // Whether it fails so again is not known.
    if (run.callProblem !== undefined) this.#fails("callee failed");
    return --this.#pending === 0;
  }

  /** What of the client's room the run is to be told of. */
  taken(bytes: number): number {
    const ahead = Math.min(bytes, this.#ahead);
    this.#aheadBy(-ahead);
    this.#given += bytes - ahead;
    return bytes - ahead;
  }

  /**
   * Room for what the client has not taken yet, where others are not to wait for it; undefined: too much is held for clients that
   * take nothing.
   */
  ahead(): number | undefined {
    if (this.obstacle !== undefined || this.root.state === "settled") return 0;
    const room = Math.max(0, this.bytes - this.#given);
    // What nobody takes is not held for anybody.
    if (!this.isUnread) {
      if (!this.#rooms.ahead.take(this.root.task.tenant, room)) return undefined;
      this.#ahead += room;
    }
    this.#given += room;
    return room;
  }

  /** Its client has left, or takes no more: nothing is held for it. */
  gone(): void {
    this.#aheadBy(-this.#ahead);
  }

  #aheadBy(bytes: number): void {
    this.#ahead += bytes;
    this.#rooms.ahead.giveBack(this.root.task.tenant, -bytes);
  }

  body(): Uint8Array {
    const [only = NO_BYTES] = this.#pieces;
    if (this.#pieces.length > 1) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0] ?? only;
  }

  fails(obstacle: string): void {
    this.#fails(obstacle);
  }

  #add(bytes: Uint8Array): void {
    this.bytes += bytes.byteLength;
    if (this.bytes > this.largest) this.#fails("too long");
    else if (this.obstacle === undefined) {
      if (this.#rooms.answers.take(this.root.task.tenant, bytes.byteLength)) {
        this.#pieces.push(bytes);
        this.#held += bytes.byteLength;
      } else this.#fails("busy");
    }
    if (this.isUnread || this.isAwaited) this.#came();
  }

  #read(run: Run, { notes, reads, depends, fetched }: Trace): void {
    this.notes |= notes;
    if (reads.byteLength > 0) this.reads.push(reads);
    const task = run.task.key;
    for (const of of Object.entries(depends)) this.depends.push({ task, of });
    for (const of of fetched) this.fetched.push({ task, of });
    if (run.task.version.manifest.sockets) this.notes |= NOTE.sockets;
  }

  #fails(obstacle: string): void {
    this.obstacle ??= obstacle;
    this.letGo();
  }

  /** What it has kept of the answer is a record's by now, or nobody's. */
  letGo(): void {
    this.#pieces = [];
    this.#rooms.answers.giveBack(this.root.task.tenant, this.#held);
    this.#held = 0;
  }
}
