/** Stage 3: what can be refused by the request's head alone, before any capacity moves. */
import type { HeaderList } from "../../base/headers.js";
import type { Problem } from "../../base/problem.js";
import type { Task } from "../../tasks/task.js";
import type { Incoming } from "../invocation.js";

/** The problem that keeps the request out, if there is one. */
export function admit(incoming: Incoming, task: Task, draining: boolean): Problem | undefined {
  if (draining) return { code: "platform/draining", detail: undefined };
  const { limits } = task.version.manifest;
  const declared = incoming.contentLength ?? incoming.body?.length ?? 0;
  if (declared > limits.requestBody) {
    return {
      code: "request/body-too-large",
      detail: `limits.requestBody allows ${limits.requestBody} bytes; the request has ${declared}.`,
    };
  }
  const headers = incoming.target.length + headerBytes(incoming.headers);
  if (headers > limits.headers) {
    return { code: "request/headers-too-large", detail: `limits.headers allows ${limits.headers} bytes; the request has ${headers}.` };
  }
  return undefined;
}

/** Bytes of a header block on the wire: names, values, colon, blank and line end. */
function headerBytes(headers: HeaderList): number {
  let bytes = headers.length * 2;
  for (const part of headers) bytes += part.length;
  return bytes;
}
