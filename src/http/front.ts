/**
 * The front port: what takes requests from a network and gives them to `Invoke`.
 *
 * A front owns connections, framing and back-pressure, and decides nothing about who may call or what
 * answers. `node-front.ts` is Hono on Node's HTTP server; `fetch-front.ts` is the portable form without a
 * port of its own. A native front for routes decided ahead of time would be a third sibling.
 */

/** Where to listen; port 0 takes any free one. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Where a front listens. */
export interface Listening extends ListenAddress {
  /** `http://HOST:PORT/`, with brackets around an IPv6 address. */
  readonly url: string;
}

export interface Front {
  /** Rejects with a `ListenError` when the address cannot be had. */
  listen(address: ListenAddress): Promise<Listening>;
  /**
   * Stops accepting, lets the requests that run finish for at most `limitMs`, then destroys what is left
   * (which cancels their runs). Resolves when no connection is open. Calling it again waits for the same end.
   */
  close(limitMs: number): Promise<void>;
  /** Open connections, idle ones included. */
  connections(): number;
}

/** An address that cannot be listened on; the message names it and says why. */
export class ListenError extends Error {
  override readonly name = "ListenError";
  readonly code: string | undefined;

  constructor(address: ListenAddress, cause: NodeJS.ErrnoException) {
    super(`cannot listen on ${authorityOf(address)}: ${REASONS[cause.code ?? ""] ?? cause.message}`, { cause });
    this.code = cause.code;
  }
}

/** `HOST:PORT` as it stands in a URL. */
export function authorityOf({ host, port }: ListenAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

const REASONS: Record<string, string> = {
  EADDRINUSE: "the port is taken; choose another, or 0 for any free one",
  EACCES: "this user may not open the port; choose one from 1024 up",
  EADDRNOTAVAIL: "this machine has no such address",
  ENOTFOUND: "the host name is not known",
};
