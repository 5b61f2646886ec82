/**
 * What sidecars ask by `pilotlight:sidecar/jwks`: documents at addresses that their configuration names.
 *
 * The first call waits for the document; from then on the engine has it, and it is fetched again beside the calls, for as
 * long as the sidecar stands. What cannot be fetched again stays as it was.
 */
import { messageOf } from "../base/errors.js";
import type { Engine } from "../engine/engine.js";
import type { GuestAsk } from "./executor.js";
import type { Run } from "./run.js";

export interface DocumentPorts {
  readonly engine: Pick<Engine, "send">;
  /** The text at the address, and for how many milliseconds it says that it holds. Rejects with why it cannot be had. */
  fetch(url: string): Promise<Fetched>;
}

export interface Fetched {
  readonly text: string;
  readonly holdsMs: number | undefined;
}

/** Sooner than the first is no use to anybody, later than the last a new key comes too late. Milliseconds. */
const [SOONEST_MS, USUAL_MS, LATEST_MS] = [30_000, 300_000, 900_000];
const AGAIN_MS = 10_000;
/** Of one sidecar. */
const MOST = 8;

interface Kept {
  timer: NodeJS.Timeout | undefined;
  /** Those who ask while it is on its way for the first time. */
  first: Promise<string> | undefined;
}

export class Documents {
  readonly #ports: DocumentPorts;
  readonly #kept = new Map<Run, Map<string, Kept>>();

  constructor(ports: DocumentPorts) {
    this.#ports = ports;
  }

  asked({ ask, arguments: args }: GuestAsk, caller: Run | undefined): void {
    const [url] = JSON.parse(args) as [string];
    const answer = (tag: "ok" | "err", val: string): void =>
      this.#ports.engine.send({ kind: "answer", ask, ok: JSON.stringify([{ tag, val }]), error: undefined });
    const refused = this.#refusalOf(caller, url);
    if (refused !== undefined || caller === undefined) return answer("err", refused ?? "");
    this.#get(caller, url).then(
      (text) => answer("ok", text),
      (error: unknown) => answer("err", messageOf(error)),
    );
  }

  /** A sidecar that is gone needs none. */
  ended(run: Run): void {
    const kept = this.#kept.get(run);
    if (kept === undefined) return;
    this.#kept.delete(run);
    for (const { timer } of kept.values()) clearTimeout(timer);
  }

  #refusalOf(caller: Run | undefined, url: string): string | undefined {
    if (caller?.stands === undefined) return "only a sidecar can ask for documents";
    const { config } = caller.stands;
    const isNamed =
      config.some(([, value]) => value === url) || caller.task.version.manifest.outbound.some((origin) => origin === originOf(url));
    if (!isNamed) return `${url} is neither in the configuration of this sidecar nor among the outbound origins of its manifest`;
    const kept = this.#kept.get(caller);
    if (kept !== undefined && kept.size >= MOST && !kept.has(url)) return `a sidecar may ask for ${MOST} documents`;
    return undefined;
  }

  #get(run: Run, url: string): Promise<string> {
    let documents = this.#kept.get(run);
    if (documents === undefined) this.#kept.set(run, (documents = new Map<string, Kept>()));
    let kept = documents.get(url);
    if (kept === undefined) documents.set(url, (kept = { timer: undefined, first: undefined }));
    const document = kept;
    return (kept.first ??= this.#fetch(run, url, document).catch((error: unknown) => {
      // The next call asks anew.
      document.first = undefined;
      throw error;
    }));
  }

  async #fetch(run: Run, url: string, kept: Kept): Promise<string> {
    const { text, holdsMs = USUAL_MS } = await this.#ports.fetch(url);
    if (this.#kept.has(run)) {
      this.#ports.engine.send({ kind: "document", sidecar: run.handle, url, text });
      this.#again(run, url, kept, Math.min(LATEST_MS, Math.max(SOONEST_MS, holdsMs)));
    }
    return text;
  }

  #again(run: Run, url: string, kept: Kept, ms: number): void {
    kept.timer = setTimeout(() => {
      this.#fetch(run, url, kept).catch(() => {
        if (this.#kept.has(run)) this.#again(run, url, kept, AGAIN_MS);
      });
    }, ms);
    kept.timer.unref();
  }
}

function originOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).origin : undefined;
}
