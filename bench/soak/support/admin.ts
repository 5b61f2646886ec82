/** The admin API as a soak uses it: plain requests, and whatever came back. */
import type { NodeAddress } from "./served-node.js";

export interface AdminAnswer {
  readonly status: number;
  /** The document; undefined when there was none. */
  readonly json: unknown;
  readonly bytes: Buffer;
}

export interface AdminRequest {
  readonly json?: unknown;
  readonly bytes?: Uint8Array;
  readonly form?: FormData;
}

/** Rejects when there was no whole answer, as from a node that is killed. */
export type Admin = (method: string, path: string, body?: AdminRequest) => Promise<AdminAnswer>;

/** Asks below `/v1`; paths begin with a slash. */
export function adminClient({ admin, key }: Pick<NodeAddress, "admin" | "key">): Admin {
  return async (method, path, { json, bytes, form } = {}) => {
    const headers: Record<string, string> = { Authorization: `Bearer ${key}` };
    if (json !== undefined) headers["Content-Type"] = "application/json";
    const body = json === undefined ? (bytes ?? form) : JSON.stringify(json);
    const answer = await fetch(`${admin}/v1${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: body as NonNullable<RequestInit["body"]> }),
    });
    const got = Buffer.from(await answer.arrayBuffer());
    const isJson = /json/.test(answer.headers.get("content-type") ?? "");
    return { status: answer.status, json: isJson ? (JSON.parse(got.toString()) as unknown) : undefined, bytes: got };
  };
}

/** An upload. `alias` "" moves none. */
export function uploadOf(manifest: object, component: Uint8Array, alias = "live"): AdminRequest {
  const form = new FormData();
  form.set("manifest", JSON.stringify({ component: "component.wasm", ...manifest }));
  form.set("component", new Blob([new Uint8Array(component)]));
  form.set("alias", alias);
  return { form };
}

/** Every item of a list, page by page. */
export async function everyItem<T>(admin: Admin, path: string): Promise<T[]> {
  const items: T[] = [];
  for (let cursor = ""; ;) {
    const { status, json, bytes } = await admin("GET", `${path}${path.includes("?") ? "&" : "?"}limit=1000${cursor}`);
    if (status !== 200) throw new Error(`GET ${path} was answered ${status}: ${bytes.toString()}`);
    const page = json as { readonly items: readonly T[]; readonly next: string | null };
    items.push(...page.items);
    if (page.next === null) return items;
    cursor = `&cursor=${encodeURIComponent(page.next)}`;
  }
}
