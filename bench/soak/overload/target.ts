/** What is put under load: a real node with one task, and how much work each request of it is. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BenchError } from "../../support/bench-error.js";
import { guestFile } from "../../support/paths.js";
import { WORK_FILE, workOf } from "../../support/work.js";
import { adminClient, uploadOf } from "../support/admin.js";
import { ServedNode } from "../support/served-node.js";

/** `work` computes for some milliseconds; `hello` costs next to nothing, so that the node itself is the limit. */
export const GUESTS = ["work", "hello"] as const;
export type Guest = (typeof GUESTS)[number];

export interface Target extends AsyncDisposable {
  readonly url: string;
  readonly expected: string;
  /** What one request is, for people. */
  readonly about: string;
  /** Ends it, and gives what is wrong with how it went: nothing, if all is well. */
  finish(): Promise<readonly string[]>;
}

const FILES: Readonly<Record<Guest, string>> = { work: WORK_FILE, hello: guestFile("hello-p2") };
const HELLO = "Hello, WASI!\n";

/** Starts a node as a user does, with the guest on it; `workMs` of processor time for each request of `work`, about. */
export async function startTarget(guest: Guest, workMs: number): Promise<Target> {
  const parent = mkdtempSync(join(tmpdir(), "pilotlight-overload-"));
  const node = new ServedNode(join(parent, "data"));
  const stop = async (): Promise<void> => {
    await node.end("SIGTERM");
    rmSync(parent, { recursive: true, force: true });
  };
  try {
    const address = await node.listening;
    if (address === undefined) throw new BenchError(`the node ended before it listened: ${node.said}`);
    const component = readFileSync(FILES[guest]);
    const { status, bytes } = await adminClient(address)(
      "POST",
      `/tenants/default/tasks/${guest}/versions`,
      uploadOf({ name: guest }, component),
    );
    if (status !== 201) throw new BenchError(`the deploy was answered ${status}: ${bytes.toString()}`);
    const url = `${address.data}/${guest}`;
    const what = guest === "work" ? await workTarget(url, workMs) : { url, expected: HELLO, about: "hello" };
    return { ...what, finish: () => finish(node), [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function workTarget(url: string, workMs: number): Promise<Pick<Target, "url" | "expected" | "about">> {
  const { query, expected, rounds } = await workOf(url, workMs);
  return { url: url + query, expected, about: `${rounds} rounds of work, about ${workMs} ms` };
}

async function finish(node: ServedNode): Promise<readonly string[]> {
  const died = node.ended;
  const ended = await node.end("SIGTERM");
  return [
    ...(died === undefined ? [] : [`it ended by itself with ${died}: ${node.said}`]),
    ...(ended === 0 ? [] : [`it was told to drain, and ended with ${ended}`]),
  ];
}
