/**
 * What the set-up shows: on a terminal one line a step, with a spinner, what goes on and the time; elsewhere
 * plain lines, so that a log stays readable. It says nothing until a step begins.
 */

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const FRAME_MS = 100;
const PLAIN_EVERY_MS = 30_000;

/**
 * @typedef {object} Progress
 * @property {(title: string, doing: string) => void} begin
 * @property {(doing: string) => void} update what goes on now
 * @property {(done: string) => void} finish
 * @property {() => void} fail
 * @property {(text: string) => void} note a line that belongs to no step
 */

/**
 * @param {{ isTTY?: boolean, columns?: number, write: (text: string) => unknown }} stream
 * @param {string} label what plain lines begin with
 * @param {() => number} [now] milliseconds
 * @returns {Progress}
 */
export function createProgress(stream, label, now = Date.now) {
  return stream.isTTY ? terminalProgress(stream, now) : plainProgress(stream, label, now);
}

/** @param {number} ms */
export function duration(ms) {
  const seconds = Math.round(ms / 1000);
  if (ms < 9_950) return `${(ms / 1000).toFixed(1)} s`;
  if (seconds < 60) return `${seconds} s`;
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/**
 * How far cargo is, from a line of its stderr, or undefined when the line says nothing of it.
 * @param {string} line
 */
export function cargoProgress(line) {
  if (/Blocking waiting for file lock/.test(line)) return "waiting for another cargo";
  const crates = /Building \[[^\]]*\] (\d+)\/(\d+)(?:: ([\w-]+))?/.exec(line);
  if (crates === null) return undefined;
  const [, done, all, name] = crates;
  return `${done} of ${all} crates${name === undefined ? "" : `, ${name}`}`;
}

/**
 * @param {{ columns?: number, write: (text: string) => unknown }} stream
 * @param {() => number} now
 * @returns {Progress}
 */
function terminalProgress(stream, now) {
  let step = { title: "", doing: "", began: 0 };
  let frame = 0;
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  /** @param {string} text */
  const line = (text) => stream.write(`\r\u001b[K${text.slice(0, (stream.columns || 80) - 1)}`);
  const draw = () => {
    frame = (frame + 1) % FRAMES.length;
    line(`${FRAMES[frame]} ${step.title.padEnd(14)} ${step.doing}  ${clock(now() - step.began)}`);
  };
  /** @param {string} text */
  const end = (text) => {
    clearInterval(timer);
    line(text);
    stream.write("\n");
  };
  return {
    begin(title, doing) {
      step = { title, doing, began: now() };
      draw();
      timer = setInterval(draw, FRAME_MS);
    },
    update(doing) {
      step.doing = doing;
    },
    finish: (done) => end(`✔ ${step.title.padEnd(14)} ${done} in ${duration(now() - step.began)}`),
    fail: () => end(`✘ ${step.title.padEnd(14)} failed after ${duration(now() - step.began)}`),
    note: (text) => void stream.write(`${text}\n`),
  };
}

/**
 * @param {{ write: (text: string) => unknown }} stream
 * @param {string} label
 * @param {() => number} now
 * @returns {Progress}
 */
function plainProgress(stream, label, now) {
  let step = { title: "", began: 0 };
  let spoke = 0;
  /** @param {string} text */
  const say = (text) => {
    spoke = now();
    stream.write(`${label}: ${text}\n`);
  };
  return {
    begin(title, doing) {
      step = { title, began: now() };
      say(`${title}: ${doing}`);
    },
    update(doing) {
      if (now() - spoke >= PLAIN_EVERY_MS) say(`${step.title}: ${doing}, after ${duration(now() - step.began)}`);
    },
    finish: (done) => say(`${step.title}: ${done} in ${duration(now() - step.began)}`),
    fail: () => say(`${step.title}: failed after ${duration(now() - step.began)}`),
    note: say,
  };
}

/** @param {number} ms */
function clock(ms) {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
