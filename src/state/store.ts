/**
 * The state port: tables of small documents that survive the process.
 *
 * What a node knows about tenants, keys, tasks and versions lives here. Everything is read into memory at the start,
 * and changed in transactions: a commit is there as a whole once its promise resolves, also after `kill -9`, or not
 * at all. `lmdb.ts` is the one for nodes, `memory.ts` for libraries and tests; one suite holds for both.
 */

/** Names a table and says what is in it. Values are plain data: what msgpackr writes and reads unchanged. */
export interface Table<T> {
  readonly name: string;
  /** Never there; carries the type. */
  readonly type?: T;
}

export function table<T>(name: string): Table<T> {
  return { name };
}

export interface Range {
  readonly prefix?: string;
  /** Keys after this one, in the order asked for. */
  readonly after?: string;
  readonly limit?: number;
  /** The greatest key first. */
  readonly reverse?: boolean;
}

export type Change =
  | { readonly kind: "put"; readonly table: string; readonly key: string; readonly value: unknown }
  | { readonly kind: "remove"; readonly table: string; readonly key: string };

export function put<T>(to: Table<T>, key: string, value: T): Change {
  return { kind: "put", table: to.name, key, value };
}

export function remove(from: Table<unknown>, key: string): Change {
  return { kind: "remove", table: from.name, key };
}

/**
 * Something decided and not yet done. Whoever decided looked at memory alone; `changes` go to the store in one commit,
 * together with those of other plans, and only then does `apply` show them to readers in memory.
 */
export interface Plan<R> {
  readonly changes: readonly Change[];
  apply(): R;
}

/** The state cannot be opened, read or written; the message says which file and what to do. */
export class StateError extends Error {
  override readonly name = "StateError";
}

export interface StateStore {
  get<T>(from: Table<T>, key: string): T | undefined;
  /** Entries in the byte order of their keys (UTF-8). */
  list<T>(from: Table<T>, range?: Range): { readonly key: string; readonly value: T }[];
  /** All of it or nothing. Resolves once it is durable; rejects with a `StateError`, and nothing has changed then. */
  commit(changes: readonly Change[]): Promise<void>;
  close(): Promise<void>;
}
