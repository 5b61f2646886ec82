/** What a run of an idempotent task knows of records: how its answer came about, and what is being kept of it. */
import type { Verdict } from "../memo/verdict.js";
import type { Validators } from "../memo/conditional.js";

export class Memo {
  verdict: Verdict;
  /** Of what it asked; undefined: it has none, for its body is long. */
  key: string | undefined;
  /** Conditions that it came with. */
  validators: Validators | undefined;
  /** What came of recording it: `kept`, or why it was not. */
  recorded: string | undefined;
  /** A recorded body is on its way: the client has taken so much of it. */
  taken: ((bytes: number) => void) | undefined;
  /** Its client has the body already: no more of it is read. */
  enough: (() => void) | undefined;
  /** It waits for a run, or for what its record has read to be looked at; what that is called off with. */
  leave: (() => void) | undefined;
  /** How many runs it has waited for. */
  rounds = 0;

  constructor(verdict: Verdict) {
    this.verdict = verdict;
  }

  /** Answered without a run of its own. */
  get isRecalled(): boolean {
    return this.verdict.kind === "hit" || this.verdict.kind === "collapsed";
  }
}
