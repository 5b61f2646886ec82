/**
 * `npm run setup`: everything a fresh clone needs before it runs. Does nothing when nothing has changed.
 *
 *   --only=deps,native,ts,hello   look at these steps alone
 *   --plan                        say what would be done, and why, and do nothing
 */
import { prepare } from "./lib/prepare.mjs";
import { ROOT } from "./lib/root.mjs";

const STEPS = ["deps", "native", "ts", "hello"];

const args = process.argv.slice(2);
const only = args
  .find((arg) => arg.startsWith("--only="))
  ?.slice("--only=".length)
  .split(",");
const unknown = args.find((arg) => arg !== "--plan" && !arg.startsWith("--only=")) ?? only?.find((name) => !STEPS.includes(name));

if (unknown !== undefined) {
  process.stderr.write(`setup does not know ${JSON.stringify(unknown)}; it takes --plan and --only=${STEPS.join(",")}\n`);
  process.exit(2);
} else if (args.includes("--plan")) {
  const { setupPlan } = await import("./lib/setup.mjs");
  for (const { name, reason } of setupPlan(ROOT)) process.stdout.write(`${name}: ${reason ?? "up to date"}\n`);
} else {
  await prepare(only === undefined ? {} : { only });
}
