/**
 * What every front does, written once and run on each. A subject starts a front over one of the named guests;
 * a case that a front cannot pass is skipped with the reason that the subject gives.
 */
import { afterEach, it } from "vitest";
import type { FakeRun } from "../support/http-fake-invoke.js";
import type { GuestName } from "../support/http-guests.js";
import { answerCases } from "./suite-answers.js";
import { failureCases } from "./suite-failures.js";
import { ownPathCases } from "./suite-own-paths.js";
import { requestCases } from "./suite-requests.js";

export interface StartOptions {
  /** False: `/-/` is the guest's too. */
  readonly reserveOwn?: boolean;
  /** Reasons not to be ready. */
  readonly reasons?: readonly string[];
}

export interface Started {
  fetch(path: string, init?: RequestInit & { duplex?: "half" }): Promise<Response>;
  /** Sends `count` pieces of `size` bytes, holding no more than the front takes, and gives the answer's text. */
  upload(path: string, count: number, size: number): Promise<string>;
  /** The `n`th run of the guest. */
  run(n?: number): Promise<FakeRun>;
  /** Errors reported as bugs of ours. */
  readonly reported: unknown[];
  stop(): Promise<void>;
}

/** What a case needs beyond the common ground. */
type Need = "raw target";

export interface Subject {
  readonly name: string;
  readonly cannot: Partial<Record<Need, string>>;
  /** Bytes that the transport between front and client may hold beyond the credit. */
  readonly transportBytes: number;
  start(guest: GuestName, options?: StartOptions): Promise<Started>;
}

/** What the cases are given: a subject that is stopped after each of them. */
export interface Suite {
  readonly name: string;
  readonly transportBytes: number;
  start(guest: GuestName, options?: StartOptions): Promise<Started>;
  /** A case that not every front can pass. */
  needs(need: Need, title: string, body: () => Promise<void>): void;
}

export function frontSuite(subject: Subject): void {
  const started: Started[] = [];
  afterEach(async () => {
    for (const front of started.splice(0)) await front.stop();
  });
  const suite: Suite = {
    name: subject.name,
    transportBytes: subject.transportBytes,
    async start(guest, options) {
      const front = await subject.start(guest, options);
      started.push(front);
      return front;
    },
    needs(need, title, body) {
      const reason = subject.cannot[need];
      if (reason === undefined) it(title, body);
      else it.skip(`${title} (${reason})`, body);
    },
  };
  requestCases(suite);
  answerCases(suite);
  failureCases(suite);
  ownPathCases(suite);
}
