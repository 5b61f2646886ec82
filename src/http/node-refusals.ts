/**
 * Requests that Node's HTTP server never makes into requests: malformed, too large, too slow, CONNECT.
 *
 * They are answered with a problem on the bare socket, after the answers to earlier requests on the same
 * connection, and the connection closes.
 */
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Problem } from "../base/problem.js";
import { sendProblem } from "./node-reply.js";
import { problemBytes } from "./problem-reply.js";

/** A socket, and the answer to the last request that was read from it. */
export interface ClientSocket extends Socket {
  lastAnswer?: ServerResponse;
}

/** How long a client has to take its refusal and close, before the socket is destroyed. */
const FAREWELL_MS = 1000;

const refused = new WeakSet<Duplex>();

/** Answers an error of the HTTP parser or of the connection. */
export function refuseClient(error: NodeJS.ErrnoException & { reason?: string }, socket: ClientSocket, headerBytes: number): void {
  if (refused.has(socket)) return; // the parser complains again about every further piece
  if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy();
  refused.add(socket);
  const problem = problemOf(error, headerBytes);
  const last = socket.lastAnswer;
  if (last === undefined || last.writableFinished) return farewell(socket, problem);
  if (last.req.complete) {
    // An earlier request is still being answered, in order; then comes this one.
    last.once("close", () => farewell(socket, problem));
  } else if (last.headersSent) {
    // The body of a request that is being answered broke off.
    socket.destroy();
  } else {
    last.shouldKeepAlive = false;
    sendProblem(last, problem, []);
  }
}

/** Answers CONNECT, for which Node has no response object. */
export function refuseConnect(socket: Duplex): void {
  socket.on("error", () => socket.destroy());
  farewell(socket, { code: "request/upgrade", detail: "CONNECT is not supported." });
}

function problemOf(error: NodeJS.ErrnoException & { reason?: string }, headerBytes: number): Problem {
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW":
      return { code: "request/headers-too-large", detail: `Request line and headers together may have ${headerBytes} bytes.` };
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return { code: "request/body-too-large", detail: "The chunk extensions of the request body are too long." };
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return { code: "request/timeout", detail: "The request's headers were not complete in time." };
    default:
      return { code: "request/malformed", detail: `The request could not be read: ${error.reason ?? "it is not HTTP/1.1"}.` };
  }
}

/** Writes the problem and closes; what the client still sends is read, so that the answer is not lost to a reset. */
function farewell(socket: Duplex, problem: Problem): void {
  if (!socket.writable) return;
  socket.end(problemBytes(problem));
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), FAREWELL_MS).unref();
  socket.once("close", () => clearTimeout(timer));
}
