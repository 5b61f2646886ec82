/** @module Interface acme:db/query@1.2.0 **/
export function find(key: string, order: Order): Row | undefined;
export function rename(row: Row, rights: Rights): Rights;
export function nested(x: Option<number | undefined>): Option<number | undefined>;
export function lists(
  bytes: Uint8Array,
  words: Uint32Array,
  wide: BigUint64Array,
  floats: Float32Array,
): [Uint8Array, BigUint64Array, Int16Array];
export function scalars(
  a: bigint,
  b: bigint,
  c: number,
  d: number,
  e: string,
  f: boolean,
  g: number,
): [bigint, bigint, number, number, string, boolean, number];
export function draw(shape: Shape): Shape;
export function check(x: Result<number, void>): void;
export function outcome(x: Result<number, string>): Result<number, string>;
export function getUrlX2(): string;
export function toString(): string;
export function touch(): void;
export function later(key: string): Promise<string>;
export interface Row {
  id: bigint;
  fullName: string;
  note?: string;
  tags: Array<string>;
}
export type Problem = ProblemMissing | ProblemBusy | ProblemClosed;
export interface ProblemMissing {
  tag: "missing";
  val: string;
}
export interface ProblemBusy {
  tag: "busy";
  val: number;
}
export interface ProblemClosed {
  tag: "closed";
}
export type Shape = ShapeCircle | ShapeSquare | ShapeNothing;
export interface ShapeCircle {
  tag: "circle";
  val: number;
}
export interface ShapeSquare {
  tag: "square";
  val: number;
}
export interface ShapeNothing {
  tag: "nothing";
}
/**
 * # Variants
 *
 * ## `"by-id"`
 *
 * ## `"by-full-name"`
 */
export type Order = "by-id" | "by-full-name";
export interface Rights {
  mayRead?: boolean;
  mayWrite?: boolean;
  grant?: boolean;
}
export type Option<T> = { tag: "none" } | { tag: "some"; val: T };
export type Result<T, E> = { tag: "ok"; val: T } | { tag: "err"; val: E };
