/** The admin plane on a real socket, and a client that shows it a key. */
import { request, type IncomingMessage } from "node:http";
import { expect } from "vitest";
import type { Control } from "../../../src/control/control.js";
import { nodeFront } from "../../../src/http/node-front.js";
import { adminPlane, type AdminPlaneOptions } from "../../../src/http/planes.js";
import { atEnd } from "../../support/cleanup.js";

export interface Ask {
  readonly key?: string | undefined;
  /** Sent as JSON. */
  readonly json?: unknown;
  readonly body?: NonNullable<RequestInit["body"]>;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly bytes: Uint8Array;
  /** The answer as JSON; undefined when it has no body. */
  readonly json: any; // oxlint-disable-line typescript/no-explicit-any -- tests look into it as it comes
}

export interface Client {
  readonly port: number;
  readonly url: string;
  /** What the plane reported. */
  readonly reported: unknown[];
  /** `line` is method and path; paths that do not begin with a slash are under `/v1/`. */
  ask(line: string, ask?: Ask): Promise<Answer>;
  /** Connections of the server. */
  connections(): number;
}

export async function startAdmin(control: Control | undefined, options: Partial<AdminPlaneOptions> = {}, key?: string): Promise<Client> {
  const reported: unknown[] = [];
  const report = (error: unknown): void => void reported.push(error);
  const own = control === undefined ? {} : { control };
  const plane = adminPlane({ health: { reasons: () => [] }, metrics: async () => "up 1\n", report, ...own, ...options });
  const front = nodeFront({ plane: () => plane, report });
  const { url, port } = await front.listen({ host: "127.0.0.1", port: 0 });
  atEnd(() => front.close(0));
  return { port, url, reported, connections: () => front.connections(), ask: (line, ask = {}) => send(url, line, { key, ...ask }) };
}

async function send(url: string, line: string, ask: Ask): Promise<Answer> {
  const [method, path] = line.split(" ") as [string, string];
  const headers = new Headers(ask.headers);
  if (ask.key !== undefined) headers.set("Authorization", `Bearer ${ask.key}`);
  if (ask.json !== undefined && !headers.has("Content-Type")) headers.set("Content-Type", "application/json");
  const body = ask.json === undefined ? ask.body : JSON.stringify(ask.json);
  const target = new URL(path.startsWith("/") ? path : `/v1/${path}`, url);
  const response = await fetch(target, { method, headers, ...(body === undefined ? {} : { body }) });
  const bytes = new Uint8Array(await response.arrayBuffer());
  const text = Buffer.from(bytes).toString();
  const isJson = /[/+]json$/.test(response.headers.get("content-type") ?? "") && text !== "";
  return { status: response.status, headers: response.headers, text, bytes, json: isJson ? (JSON.parse(text) as unknown) : undefined };
}

/** Expects this problem, whole but for its title and run id. */
export function expectProblem(answer: Answer, status: number, code: string, detail: unknown, errors?: readonly object[]): void {
  const { title, run, ...rest } = answer.json as Record<string, unknown>;
  expect(rest).toEqual({
    type: `https://pilotlight.dev/problems/${code}`,
    status,
    detail,
    ...(errors === undefined ? {} : { errors }),
  });
  expect(title).toMatch(/^[A-Z]/);
  expect(run).toBe(answer.headers.get("pilotlight-run"));
  expect(answer.status).toBe(status);
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
}

/** The body of a deploy. */
export function uploadForm(manifest: unknown, component: Uint8Array, alias?: string): FormData {
  const form = new FormData();
  form.append("manifest", new Blob([JSON.stringify(manifest)], { type: "application/json" }), "pilotlight.json");
  form.append("component", new Blob([new Uint8Array(component)]), "component.wasm");
  if (alias !== undefined) form.append("alias", alias);
  return form;
}

/** A client that goes on listening to the logs of `default`; `texts` are those of the lines so far. */
export async function follow(
  admin: Client,
  key: string,
  query = "",
): Promise<{ message: IncomingMessage; texts(): string[]; leave(): void }> {
  const headers = { "Pilotlight-Key": key };
  const asked = request(new URL(`/v1/tenants/default/logs?follow=1${query}`, admin.url), { headers, agent: false });
  asked.on("error", () => {});
  atEnd(() => asked.destroy());
  const message = await new Promise<IncomingMessage>((resolve, reject) => asked.on("response", resolve).on("error", reject).end());
  message.on("error", () => {});
  let text = "";
  message.setEncoding("utf8").on("data", (piece: string) => (text += piece));
  const texts = (): string[] =>
    text
      .split("\n")
      .slice(0, -1)
      .map((line) => (JSON.parse(line) as { text: string }).text);
  return { message, texts, leave: () => void asked.destroy() };
}
