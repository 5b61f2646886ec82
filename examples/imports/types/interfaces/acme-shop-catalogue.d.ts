/** @module Interface acme:shop/catalogue@1.2.0 **/
export function find(id: string): Article;
export interface Article {
  name: string;
  cents: bigint;
  piecesInStock: number;
}
export type Problem = ProblemUnknown | ProblemClosed;
export interface ProblemUnknown {
  tag: "unknown";
  val: string;
}
export interface ProblemClosed {
  tag: "closed";
}
