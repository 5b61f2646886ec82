/** The node under soak: in this process, or in one of its own that can be killed. */
import { readFileSync } from "node:fs";
import { Runtime } from "../../../src/runtime.js";
import type { ManifestInput } from "../../../src/tasks/manifest.js";
import { guestFile } from "../../support/paths.js";

export interface Answer {
  readonly status: number;
  /** Without the last line end. */
  readonly text: string;
  readonly cache: string;
  readonly etag: string | undefined;
}

export interface Subject {
  /** Undefined: deletes it. Resolves when that is so for good. */
  write(store: string, key: string, value: string | undefined): Promise<void>;
  read(store: string, key: string): Promise<string | undefined>;
  call(path: string, headers?: Readonly<Record<string, string>>, leaveMs?: number): Promise<Answer | "left">;
  deploy(version: string): Promise<void>;
  secret(value: string): Promise<void>;
  purge(reads: string): Promise<void>;
  /** How many runs of the guest have said that they ran since it was started. */
  ran(): Promise<number>;
  close(): Promise<void>;
}

/** Small, so that something always has to go. */
const RECORDS = { bytes: 1_500_000, memoryBytes: 100_000 };
const TASK = "reader";

export function manifestOf(version: string): ManifestInput {
  const grants = { stores: ["default", "other"], config: { version }, secrets: ["TOKEN"] };
  return { name: TASK, component: "reader.wasm", routes: ["/*"], limits: { timeout: "5s" }, idempotent: {}, ...grants };
}

/** A runtime over a data folder. `deployed`: something was before. */
export async function openSubject(data: string, deployed: boolean): Promise<Subject> {
  let ran = 0;
  const logTo = {
    write: (text: string): void => {
      for (let at = text.indexOf('"text":"ran '); at >= 0; at = text.indexOf('"text":"ran ', at + 1)) ran++;
    },
  };
  const runtime = new Runtime({ data, durable: true, log: "info", logTo, instances: 64, records: RECORDS });
  const { control, operator } = runtime;
  const component = readFileSync(guestFile(TASK));
  const secret = async (value: string): Promise<void> => void (await control.putSecret(operator, "default", "TOKEN", value));
  const deploy = async (version: string): Promise<void> => {
    await control.deploy(operator, "default", { manifest: manifestOf(version), component });
  };
  await runtime.start();
  if (!deployed) {
    await secret("token 0, long enough to be one");
    await deploy("0");
  }
  return {
    secret,
    deploy,
    write: async (store, key, value) => {
      if (value === undefined) await control.deleteEntry(operator, "default", store, key, undefined).catch(ignoreMissing);
      else await control.putEntry(operator, "default", store, key, Buffer.from(value), undefined);
    },
    read: async (store, key) => {
      try {
        return Buffer.from(control.entry(operator, "default", store, key).value).toString();
      } catch (error) {
        ignoreMissing(error);
        return undefined;
      }
    },
    call: async (path, headers = {}, leaveMs) => {
      const leaves = new AbortController();
      if (leaveMs !== undefined) setTimeout(() => leaves.abort(), leaveMs);
      try {
        const response = await runtime.fetch(new Request(`http://records.test${path}`, { headers, signal: leaves.signal }));
        const text = (await response.text()).trimEnd();
        const etag = response.headers.get("etag") ?? undefined;
        return { status: response.status, text, cache: response.headers.get("cache-status") ?? "", etag };
      } catch (error) {
        if (leaves.signal.aborted) return "left";
        throw error;
      }
    },
    purge: async (reads) => void (await control.purgeRecords(operator, "default", { reads })),
    ran: async () => ran,
    close: () => runtime.close(5000),
  };
}

function ignoreMissing(error: unknown): void {
  if ((error as { problem?: { code?: string } }).problem?.code !== "request/no-such-thing") throw error;
}
