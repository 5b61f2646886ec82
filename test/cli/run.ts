/** The commands in this process, with folder, environment and streams of their own; and a node that answers as told. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { clientCommands } from "../../src/cli/client-commands.js";
import { ROOT, newCommand } from "../../src/cli/command.js";
import { report } from "../../src/cli/failure.js";
import { Interrupted, type Input, type Terminal } from "../../src/cli/terminal.js";
import { PROBLEMS, problemDocument, type Problem } from "../../src/base/problem.js";
import { atEnd } from "../support/cleanup.js";
import { tempDir } from "../support/files.js";

export interface Ran {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** What is piped in. */
  readonly input?: string | Uint8Array;
  /** What is typed at a terminal; all streams are one then. */
  readonly typed?: string;
}

/** A command that goes on, and what it has said so far. */
export interface Running {
  readonly said: { stdout: string; stderr: string };
  readonly ended: Promise<Ran>;
  /** Ctrl-C. */
  interrupt(): void;
}

export function start(args: readonly string[], options: RunOptions = {}): Running {
  const said = { stdout: "", stderr: "" };
  const controller = new AbortController();
  const isTTY = options.typed !== undefined;
  const sink = (name: "stdout" | "stderr"): Terminal["stdout"] => ({
    isTTY,
    write: (chunk) => void (said[name] += typeof chunk === "string" ? chunk : Buffer.from(chunk).toString("latin1")),
  });
  const stdin: Input = Object.assign(Readable.from([Buffer.from(options.typed ?? options.input ?? "")]), { isTTY });
  const terminal: Terminal = {
    cwd: options.cwd ?? tempDir(),
    env: { XDG_CONFIG_HOME: tempDir(), ...options.env },
    stdout: sink("stdout"),
    stderr: sink("stderr"),
    stdin,
    interruption: () => controller.signal,
  };
  return { said, ended: run(terminal, args, said), interrupt: () => controller.abort(new Interrupted("interrupted")) };
}

/** Runs a command to its end. */
export function cli(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return start(args, options).ended;
}

async function run(terminal: Terminal, args: readonly string[], said: Running["said"]): Promise<Ran> {
  const program = newCommand(terminal, ROOT, "");
  for (const command of clientCommands(terminal)) program.addCommand(command);
  const exit = await program.parseAsync([...args], { from: "user" }).then(
    () => 0,
    (error: unknown) => report(terminal, error),
  );
  return { exit, ...said };
}

/** What came to the node. */
export interface Asked {
  readonly method: string;
  /** As on the wire, with the query. */
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

/** JSON, a problem of ours, or an answer by hand. */
export type Answer =
  | { readonly json: unknown; readonly status?: number }
  | { readonly problem: Problem }
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string | Uint8Array }
  | ((response: ServerResponse, asked: Asked) => void);

export interface FakeNode {
  readonly url: string;
  readonly asked: readonly Asked[];
  /** `METHOD /path` of what was asked, the query left off; `whoami` aside. */
  requests(): string[];
  /** The environment that leads commands here. */
  readonly env: NodeJS.ProcessEnv;
}

export const KEY = "pl_test";
const NODE_KEY = {
  key: { id: "k1", scopes: ["admin"], createdAt: "2026-11-25T12:00:00.000Z" },
  version: "0.1.0",
  dataUrl: "http://127.0.0.1:8700/",
};

/** A node on a free port: `METHOD /v1/path` → answer. What is not in the table is a problem, as on a real one. */
export async function fakeNode(answers: Readonly<Record<string, Answer>>, tenant?: string): Promise<FakeNode> {
  const asked: Asked[] = [];
  const whoami = { json: { ...NODE_KEY, key: { ...NODE_KEY.key, ...(tenant === undefined ? {} : { tenant }) } } };
  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      const one = { method: request.method as string, path: request.url as string, headers: request.headers, body };
      asked.push(one);
      const place = `${one.method} ${one.path.split("?")[0]}`;
      const missing: Answer = { problem: { code: "request/no-such-thing", detail: undefined } };
      return give(response, one, answers[place] ?? (place === "GET /v1/whoami" ? whoami : missing));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  atEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const requests = (): string[] =>
    asked.map(({ method, path }) => `${method} ${path.split("?")[0]}`).filter((place) => place !== "GET /v1/whoami");
  return { url, asked, requests, env: { PILOTLIGHT_URL: url, PILOTLIGHT_KEY: KEY } };
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function give(response: ServerResponse, asked: Asked, answer: Answer): void {
  if (typeof answer === "function") return answer(response, asked);
  if ("problem" in answer) {
    response.writeHead(PROBLEMS[answer.problem.code].status, { "content-type": "application/problem+json" });
    const document = JSON.parse(problemDocument(answer.problem, "r")) as Record<string, unknown>;
    const errors = answer.problem.errors?.map(({ field, message }) => ({ path: field, detail: message }));
    return void response.end(JSON.stringify({ ...document, errors }));
  }
  if ("json" in answer) {
    response.writeHead(answer.status ?? 200, { "content-type": "application/json" });
    return void response.end(JSON.stringify(answer.json));
  }
  response.writeHead(answer.status, answer.headers);
  response.end(answer.body);
}

/** A list of one page. */
export function page(...items: readonly unknown[]): Answer {
  return { json: { items, next: null } };
}
