/**
 * What a command has around it: folder, environment, streams, and the wish to stop.
 *
 * The commands take it as a value, so that tests hand in their own; `processTerminal` is the real one.
 */
import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { isatty } from "node:tty";

export interface Sink {
  /** True where a person watches: colours and progress are for them alone. */
  readonly isTTY: boolean;
  write(chunk: string | Uint8Array): void;
}

export type Input = Readable & { readonly isTTY?: boolean; setRawMode?(on: boolean): unknown };

export interface Terminal {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** What was asked for. */
  readonly stdout: Sink;
  /** Progress, remarks and errors. */
  readonly stderr: Sink;
  readonly stdin: Input;
  /** Aborts with an `Interrupted` on Ctrl-C. A command that asks for it is a client from there on; servers have ends of their own. */
  readonly interruption: () => AbortSignal;
}

/** The user's Ctrl-C; exit status 130. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}

/**
 * The process's own. A second Ctrl-C ends it at once.
 *
 * Node's streams are made when somebody uses them and not before: making them changes the descriptors for whoever else has
 * them (a read that would wait says so instead), and a guest of `pilotlight run` has this process's own.
 */
export function processTerminal(): Terminal {
  let controller: AbortController | undefined;
  return {
    cwd: process.cwd(),
    env: process.env,
    stdout: sink(1, () => process.stdout),
    stderr: sink(2, () => process.stderr),
    get stdin() {
      return process.stdin;
    },
    interruption() {
      if (controller === undefined) {
        const made = (controller = new AbortController());
        for (const stream of [process.stdout, process.stderr]) if (stream.listenerCount("error") === 0) stream.on("error", onBrokenPipe);
        process.on("SIGINT", () => {
          if (made.signal.aborted) process.exit(130);
          made.abort(new Interrupted("interrupted"));
        });
      }
      return controller.signal;
    },
  };
}

/** `pilotlight tasks | head`: whoever read has read enough. */
function onBrokenPipe(error: NodeJS.ErrnoException): void {
  process.exit(error.code === "EPIPE" ? 0 : 1);
}

function sink(descriptor: number, stream: () => NodeJS.WriteStream): Sink {
  // Node's stream is made when something is first written: a component's own stdio is not to be touched before.
  let made: NodeJS.WriteStream | undefined;
  const open = (): NodeJS.WriteStream => {
    if (made === undefined) (made = stream()).on("error", onBrokenPipe);
    return made;
  };
  return { isTTY: isatty(descriptor), write: (chunk) => void open().write(chunk) };
}

/** Everything on stdin, as bytes. */
export async function readAll(terminal: Terminal): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const signal = terminal.interruption();
  const stop = (): void => void terminal.stdin.destroy(signal.reason as Error);
  signal.addEventListener("abort", stop, { once: true });
  try {
    for await (const chunk of terminal.stdin) chunks.push(Buffer.from(chunk as Uint8Array));
  } finally {
    signal.removeEventListener("abort", stop);
  }
  return Buffer.concat(chunks);
}

/** One line that the user types; `hidden`: without showing it. For terminals alone: ask `stdin.isTTY` first. */
export function ask(terminal: Terminal, question: string, { hidden = false }: { hidden?: boolean } = {}): Promise<string> {
  const { stdin, stderr } = terminal;
  stderr.write(question);
  stdin.setRawMode?.(true);
  const decoder = new StringDecoder("utf8");
  let line = "";
  return new Promise<string>((resolve, reject) => {
    const end = (settle: () => void): void => {
      stdin.off("data", hear);
      stdin.setRawMode?.(false);
      stdin.pause();
      stderr.write("\n");
      settle();
    };
    const hear = (chunk: Buffer | string): void => {
      for (const character of decoder.write(Buffer.from(chunk))) {
        if (character === "\r" || character === "\n") return end(() => resolve(line));
        // Raw mode: Ctrl-C and Ctrl-D come as characters.
        if (character === "\u0003" || character === "\u0004") return end(() => reject(new Interrupted("interrupted")));
        if (character === "\u007f" || character === "\b") {
          if (line !== "" && !hidden) stderr.write("\b \b");
          line = Array.from(line).slice(0, -1).join("");
        } else {
          line += character;
          if (!hidden) stderr.write(character);
        }
      }
    };
    stdin.on("data", hear).resume();
  });
}
