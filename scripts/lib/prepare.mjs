/**
 * The first thing every command does. It imports nothing that an old Node could not load before the Node
 * version has been judged.
 */
import { nodeProblem } from "./requirements.mjs";
import { ROOT } from "./root.mjs";

/**
 * Sets the checkout up, or ends the process with the one message that says what is wrong.
 * @param {{ only?: string[] }} [options]
 */
export async function prepare(options) {
  const problem = nodeProblem(process.versions.node, process.execPath);
  if (problem !== undefined) stop(problem);
  const { setup, SetupFailure } = await import("./setup.mjs");
  try {
    await setup(ROOT, options);
  } catch (error) {
    if (!(error instanceof SetupFailure)) throw error;
    stop(error.message);
  }
}

/**
 * @param {string} message
 * @returns {never}
 */
function stop(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
