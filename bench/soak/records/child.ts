/** The other end of `process.ts`: a subject that can be killed. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { BenchError } from "../../support/bench-error.js";
import { ROOT } from "../../support/paths.js";
import type { Done, Order } from "./process.js";
import type { Answer, Subject } from "./subject.js";

const PROGRAM = fileURLToPath(new URL("process.ts", import.meta.url));

/** What was asked of a process that was killed before it answered. */
export class Killed extends Error {
  override readonly name = "Killed";
}

export interface KillableSubject extends Subject {
  /** `kill -9`; resolves once it is gone. */
  kill(): Promise<void>;
}

type Asking = Order extends infer Each ? (Each extends Order ? Omit<Each, "id"> : never) : never;

export async function startChild(data: string, deployed: boolean): Promise<KillableSubject> {
  const child = fork(PROGRAM, [data, String(deployed)], {
    cwd: ROOT,
    execArgv: ["--import", "tsx"],
    stdio: ["ignore", "inherit", "pipe", "ipc"],
  });
  let said = "";
  child.stderr?.on("data", (piece: Buffer) => (said = (said + piece.toString()).slice(-4000)));
  const dies = (): void => void child.kill("SIGKILL");
  process.once("exit", dies);
  child.once("exit", () => process.off("exit", dies));
  await ready(child, () => said);
  const waiting = new Map<number, { resolve: (result: never) => void; reject: (error: Error) => void }>();
  child.on("message", (done: Done) => {
    if (!("id" in done)) return;
    const one = waiting.get(done.id);
    waiting.delete(done.id);
    if (done.error === undefined) one?.resolve(done.result as never);
    else one?.reject(new Error(done.error));
  });
  child.once("exit", () => {
    for (const { reject } of waiting.values()) reject(new Killed("the process was killed"));
    waiting.clear();
  });
  let next = 1;
  const ask = <T>(order: Asking): Promise<T> =>
    new Promise((resolve, reject) => {
      if (child.exitCode !== null || child.signalCode !== null) return reject(new Killed("the process was killed"));
      const id = next++;
      waiting.set(id, { resolve, reject });
      child.send({ ...order, id });
    });
  return {
    write: (store, key, value) => ask({ what: "write", store, key, ...(value !== undefined && { value }) }),
    read: (store, key) => ask<string | undefined>({ what: "read", store, key }),
    call: (path, headers, leaveMs) =>
      ask<Answer | "left">({ what: "call", path, ...(headers && { headers }), ...(leaveMs !== undefined && { leaveMs }) }),
    deploy: (text) => ask({ what: "deploy", text }),
    secret: (text) => ask({ what: "secret", text }),
    purge: (text) => ask({ what: "purge", text }),
    ran: () => ask<number>({ what: "ran" }),
    close: async () => {
      const gone = once(child, "exit");
      await ask({ what: "close" }).catch(() => {});
      await gone;
    },
    kill: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    },
  };
}

async function ready(child: ChildProcess, said: () => string): Promise<void> {
  await Promise.race([
    once(child, "message"),
    once(child, "exit").then(() => {
      throw new BenchError(`the node ended before it was ready; it said:\n${said()}`);
    }),
  ]);
}
