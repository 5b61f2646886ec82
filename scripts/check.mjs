/**
 * `npm run check`: promises about the repository, format, types, lint, unused code, Rust format.
 *
 * clippy is not among them: it compiles the metadata of all of wasmtime anew, which takes minutes. It has a
 * verb of its own, `npm run check:rust`.
 */
import { runChecks } from "./lib/checks.mjs";
import { prepare } from "./lib/prepare.mjs";
import { ROOT } from "./lib/root.mjs";

await prepare({ only: ["deps"] });
const failed = await runChecks(ROOT);
if (failed.length > 0) {
  console.error(`check failed: ${failed.join(", ")}`);
  process.exitCode = 1;
}
