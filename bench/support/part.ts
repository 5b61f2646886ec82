/** Parts of a bench that need a process to themselves: a file that prints one JSON value on stdout. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { BenchError } from "./bench-error.js";
import { ROOT } from "./paths.js";

export interface PartResult<T> {
  readonly value: T;
  /** From the start of the process until its end. */
  readonly seconds: number;
}

/** Runs a TypeScript file (a URL) with arguments and parses what it printed. `flags`: Node's own. */
export async function runPart<T>(file: URL, args: readonly (string | number)[], flags: readonly string[] = []): Promise<PartResult<T>> {
  const begin = performance.now();
  const output = await new Promise<string>((resolve, reject) => {
    const child = spawn(process.execPath, [...flags, "--import", "tsx", fileURLToPath(file), ...args.map(String)], {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const kill = (): void => void child.kill("SIGKILL");
    process.once("exit", kill);
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      process.off("exit", kill);
      if (code === 0) resolve(text);
      else reject(new BenchError(`${fileURLToPath(file)} ended with ${signal ?? code}`));
    });
  });
  return { value: JSON.parse(output) as T, seconds: (performance.now() - begin) / 1000 };
}

/** What a part says at its end; the process ends with it. */
export function answerPart(value: unknown): void {
  process.stdout.write(JSON.stringify(value), () => process.exit(0));
}
