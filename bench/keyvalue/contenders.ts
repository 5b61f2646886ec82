/** The two that `bench/keyvalue` compares: a node with durable stores, and `wasmtime serve` with its store in memory. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BenchError } from "../support/bench-error.js";
import { guestFile, PILOTLIGHT } from "../support/paths.js";
import { WASMTIME } from "../support/rivals.js";
import { startServer, type RunningServer } from "../support/server.js";

/** What the guest finds under `k`: what its `/set?bytes=64` writes. */
export const VALUE = "v".repeat(64);

export interface Contender {
  readonly id: "ours" | "wasmtime";
  readonly name: string;
  readonly how: string;
  readonly server: RunningServer;
  /** The URL that has the guest do something. */
  url(operation: string): string;
}

const GUEST = "kv-draft";

/** `pilotlight serve` with a data folder, on which the guest is deployed as a user would. */
export async function startOurs(prefix: readonly string[], sync: "group" | "always"): Promise<Contender> {
  const data = mkdtempSync(join(tmpdir(), "pilotlight-bench-kv-"));
  const config = join(data, "pilotlight.config.json");
  writeFileSync(config, JSON.stringify({ kv: { sync } }));
  let admin: string | undefined;
  const command = [
    process.execPath,
    "--max-semi-space-size=64",
    PILOTLIGHT,
    "serve",
    "--config",
    config,
    "--data",
    data,
    "--addr",
    "127.0.0.1:0",
    "--admin",
    "127.0.0.1:0",
  ];
  const server = await startServer({
    name: "pilotlight",
    command: [...prefix, ...command] as unknown as readonly [string, ...string[]],
    dropOutput: true,
    url: (output) => {
      admin = /^admin plane (http:\/\/[\d.]+:\d+\/)$/m.exec(output)?.[1];
      return admin === undefined ? undefined : /^data plane (http:\/\/[\d.]+:\d+\/)$/m.exec(output)?.[1];
    },
  });
  await deploy(admin as string, readFileSync(join(data, "admin.key"), "utf8").trim());
  const stop = async (): Promise<void> => {
    await server[Symbol.asyncDispose]();
    rmSync(data, { recursive: true, force: true });
  };
  return {
    id: "ours",
    name: "pilotlight",
    how: `pilotlight serve, stores on disk (sync: ${sync}), clean instances`,
    server: { ...server, [Symbol.asyncDispose]: stop },
    url: (operation) => `${server.url}${operation}${operation.includes("?") ? "&" : "?"}store=bench`,
  };
}

async function deploy(admin: string, key: string): Promise<void> {
  const form = new FormData();
  form.set("manifest", JSON.stringify({ name: GUEST, component: `${GUEST}.wasm`, routes: ["/*"], stores: ["bench"] }));
  form.set("component", new Blob([readFileSync(guestFile(GUEST))]), `${GUEST}.wasm`);
  const answer = await fetch(`${admin}v1/tenants/default/tasks/${GUEST}/versions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}` },
    body: form,
  });
  if (!answer.ok) throw new BenchError(`the node did not take the guest: ${answer.status} ${await answer.text()}`);
}

/** `wasmtime serve`; what is set is gone with the instance, so it only reads, and only what it was started with. */
export async function startWasmtime(prefix: readonly string[]): Promise<Contender> {
  const options = ["-Scli", "-Skeyvalue", `-Skeyvalue-in-memory-data=k=${VALUE}`, "--max-instance-reuse-count", "1"];
  const command = [...prefix, WASMTIME, "serve", ...options, "--addr", "127.0.0.1:0", guestFile(GUEST)];
  const server = await startServer({ name: "wasmtime serve", command: command as unknown as readonly [string, ...string[]] });
  return {
    id: "wasmtime",
    name: "wasmtime serve",
    how: "store in memory, clean instances",
    server,
    url: (operation) => `${server.url}${operation}`,
  };
}
