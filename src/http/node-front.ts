/**
 * The front on Node's HTTP server, with Hono as its router.
 *
 * Hono decides whose request it is. Our own paths go through node-server's adapter, with a real `Request` and
 * `Response`; a guest's go to `Invoke` with callbacks from socket to socket, because that adapter's promises and
 * URL normalising would cost a tenth of the throughput, and a `Response` has no trailers. Three requests never
 * see Hono's dispatch: HEAD for a guest (Hono would run GET and read no body to its end), and what `readRequest`
 * and `node-refusals.ts` refuse.
 *
 * A client that closes its sending half is taken for gone, as Node does by default: that is how a run learns
 * early that nobody waits for it.
 */
import { getRequestListener, RequestError } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Exchange, Invoke } from "../invoke/invocation.js";
import { authorityOf, ListenError, type Front, type ListenAddress, type Listening } from "./front.js";
import { pathOf } from "./mapping.js";
import { collect, NodeInput } from "./node-input.js";
import { refuseClient, refuseConnect, type ClientSocket } from "./node-refusals.js";
import { NodeReply, sendProblem } from "./node-reply.js";
import { NodeIncoming, readRequest } from "./node-request.js";
import { problemResponse } from "./problem-reply.js";
import type { GuestHandler, Plane } from "./planes.js";

export interface NodeFrontOptions {
  /** Makes the app around the handler that leads to guests. */
  readonly plane: (guest: GuestHandler) => Plane;
  /** Left out by a plane that has no guests. */
  readonly invoke?: Invoke;
  /** Request line and headers together; 64 KiB. */
  readonly headerBytes?: number;
  /** How long the headers of a request may take; 60 s. */
  readonly headersMs?: number;
  /** How long a body of at most 64 KiB may take, which is read before its run starts; 30 s. Larger ones are the run's to time. */
  readonly bodyMs?: number;
  /** How long an idle connection is kept; 5 s. */
  readonly keepAliveMs?: number;
  /** Told of errors that should not have happened. */
  readonly report?: (error: unknown) => void;
}

/** What the guest handler finds in `c.env`. */
interface GuestEnv {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly request: NodeIncoming;
  readonly expects: boolean;
}

const nothingRuns: Exchange = { run: "", input() {}, inputEnd() {}, taken() {}, cancel() {}, refuse() {} };
const noGuests: Invoke = (_incoming, reply) => {
  reply.problem({ code: "request/not-found", detail: undefined }, []);
  return nothingRuns;
};

/** Makes a front that does not listen yet. */
export function nodeFront(options: NodeFrontOptions): Front {
  const { invoke = noGuests, headerBytes = 64 * 1024, headersMs = 60_000, bodyMs = 30_000, report = () => {} } = options;
  const plane = options.plane((c) => {
    toGuest(c.env as unknown as GuestEnv);
    return RESPONSE_ALREADY_SENT;
  });
  const throughAdapter = getRequestListener(plane.app.fetch, {
    overrideGlobalObjects: false,
    hostname: "localhost",
    errorHandler: (error) => {
      if (error instanceof RequestError) return problemResponse({ code: "request/malformed", detail: `${error.message}.` }, []);
      report(error);
      return problemResponse({ code: "platform/internal", detail: undefined }, []);
    },
  });

  let draining = false;

  function receive(incoming: IncomingMessage, outgoing: ServerResponse, expects: boolean): void {
    (incoming.socket as ClientSocket).lastAnswer = outgoing;
    if (draining) letGo(outgoing);
    const request = readRequest(incoming);
    if (!(request instanceof NodeIncoming)) {
      outgoing.shouldKeepAlive = false;
      return sendProblem(outgoing, request, []);
    }
    if (plane.owns(pathOf(request.target))) {
      if (expects) outgoing.writeContinue();
      return void throughAdapter(incoming, outgoing);
    }
    const env: GuestEnv = { incoming, outgoing, request, expects };
    if (incoming.method === "HEAD") return toGuest(env);
    // Hono looks at the method and, through the plane's `getPath`, at the target; a `Request` would cost more than all else.
    const answered = plane.app.fetch(incoming as unknown as Request, env);
    if (answered === RESPONSE_ALREADY_SENT) return;
    report(new Error(`the plane does not own ${request.target} and has no guest for it`));
    sendProblem(outgoing, { code: "platform/internal", detail: undefined }, []);
  }

  function toGuest({ incoming, outgoing, request, expects }: GuestEnv): void {
    if (request.streaming) {
      const input = new NodeInput(incoming, outgoing, expects);
      return start(request, new NodeReply(incoming, outgoing, input));
    }
    const reply = new NodeReply(incoming, outgoing, undefined);
    const length = request.contentLength ?? 0;
    if (length === 0) return start(request, reply);
    if (expects) outgoing.writeContinue();
    const whole = (body: Uint8Array): void => {
      request.body = body;
      start(request, reply);
    };
    collect(incoming, length, bodyMs, whole, (received) => {
      outgoing.shouldKeepAlive = false;
      reply.problem({ code: "request/timeout", detail: `Of ${length} bytes of the body, ${received} came in ${bodyMs} ms.` }, []);
    });
  }

  function start(request: NodeIncoming, reply: NodeReply): void {
    try {
      reply.connect(invoke(request, reply));
    } catch (error) {
      report(error);
      reply.problem({ code: "platform/internal", detail: undefined }, []);
    }
  }

  const server = createServer({
    maxHeaderSize: headerBytes,
    headersTimeout: headersMs,
    requestTimeout: 0,
    requireHostHeader: false,
    keepAliveTimeout: options.keepAliveMs ?? 5000,
    connectionsCheckingInterval: Math.min(30_000, headersMs),
  });
  // Node drops headers beyond 2,000 without a word; their size is limited anyway.
  server.maxHeadersCount = 0;
  server.on("request", (incoming, outgoing) => receive(incoming, outgoing, false));
  server.on("checkContinue", (incoming, outgoing) => receive(incoming, outgoing, true));
  server.on("checkExpectation", (incoming: IncomingMessage, outgoing: ServerResponse) => {
    (incoming.socket as ClientSocket).lastAnswer = outgoing;
    outgoing.shouldKeepAlive = false;
    sendProblem(
      outgoing,
      { code: "request/expectation", detail: `Expect: ${incoming.headers.expect} is not supported; 100-continue is.` },
      [],
    );
  });
  server.on("connect", (_incoming, socket) => refuseConnect(socket));
  server.on("clientError", (error, socket) => refuseClient(error, socket as ClientSocket, headerBytes));

  const sockets = new Set<ClientSocket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });

  /** While draining, an answer is the last on its connection. */
  function letGo(outgoing: ServerResponse): void {
    outgoing.shouldKeepAlive = false;
    outgoing.once("close", () => setImmediate(() => server.closeIdleConnections()));
  }
  let closed: Promise<void> | undefined;

  return {
    listen: (address) => listen(server, address),
    close(limitMs) {
      draining = true;
      return (closed ??= drain(server, sockets, limitMs));
    },
    connections: () => sockets.size,
  };
}

function listen(server: Server, address: ListenAddress): Promise<Listening> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => reject(new ListenError(address, error));
    server.once("error", failed);
    server.listen(address.port, address.host, () => {
      server.off("error", failed);
      const { address: host, port } = server.address() as AddressInfo;
      resolve({ host, port, url: `http://${authorityOf({ host, port })}/` });
    });
  });
}

function drain(server: Server, sockets: ReadonlySet<ClientSocket>, limitMs: number): Promise<void> {
  // Answers that began before the drain do not say `Connection: close`: their connections are found when idle.
  const closeIdle = (): void => {
    server.closeIdleConnections();
    // Node does not count a connection as idle that has never sent anything.
    for (const socket of sockets) if (socket.lastAnswer === undefined && socket.bytesRead === 0) socket.destroy();
  };
  return new Promise((resolve) => {
    closeIdle();
    const sweep = setInterval(closeIdle, 50);
    const limit = setTimeout(() => server.closeAllConnections(), limitMs);
    server.close(() => {
      clearInterval(sweep);
      clearTimeout(limit);
      // The server is closed a moment before the last socket says so.
      void Promise.all([...sockets].map((socket) => new Promise((closed) => socket.once("close", closed)))).then(() => resolve());
    });
  });
}
