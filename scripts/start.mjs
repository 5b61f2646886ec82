/**
 * `npm start`: sets up, then is `pilotlight serve` with the arguments given. The server runs in this very
 * process, so signals and the exit status need no passing on.
 */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { prepare } from "./lib/prepare.mjs";
import { ROOT } from "./lib/root.mjs";

await prepare();

const bin = join(ROOT, "dist/cli/bin.js");
process.argv = [process.execPath, bin, "serve", ...process.argv.slice(2)];
await import(pathToFileURL(bin).href);
