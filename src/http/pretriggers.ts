/** `POST /-/pretriggers`: what somebody says that will happen, so that it finds its instances ready. */
import type { Context, Hono } from "hono";
import { newRunId } from "../base/ids.js";
import { ProblemError } from "../base/problem.js";
import type { PlaneEnv } from "./planes.js";
import { pairs, problemResponse } from "./problem-reply.js";
import { bodyOf } from "./whole.js";

export interface PretriggersPort {
  /** Whoever shows the key, said `body`. `tenant`: for a key of the node, whose runs they are. Throws a `ProblemError`. */
  hear(key: string | undefined, tenant: string | undefined, body: unknown): { readonly key: string };
}

const MOST_BYTES = 16 * 1024;

/** Adds the path. `keyIn` is the key that a request shows. */
export function addPretriggers(app: Hono<PlaneEnv>, port: PretriggersPort, keyIn: (c: Context<PlaneEnv>) => string | undefined): void {
  app.all("/-/pretriggers", async (c) => {
    if (c.req.method !== "POST") {
      const detail = `${c.req.method} is not supported here; POST is. What is foreseen is listed by pilotlight pretriggers.`;
      return problemResponse({ code: "request/method-not-allowed", detail }, ["Allow", "POST"]);
    }
    try {
      const heard = port.hear(keyIn(c), c.req.query("tenant"), json(await bodyOf(c, MOST_BYTES)));
      const headers = ["Content-Type", "application/json", "Cache-Control", "no-store", "Pilotlight-Run", newRunId()];
      return new Response(`${JSON.stringify(heard)}\n`, { status: 202, headers: pairs(headers) });
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      const { retryAfter } = error.problem;
      return problemResponse(error.problem, retryAfter === undefined ? [] : ["Retry-After", String(retryAfter)]);
    }
  });
}

function json(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    throw new ProblemError("request/malformed", 'The body is not JSON; expected { "task": …, "count": … } or { "signal": … }.');
  }
}
