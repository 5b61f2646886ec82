/** Lists in pages. A cursor names the last item that was given, so that a list may change between two pages. */
import { invalid } from "../tenants/refusals.js";
import type { Page, Paged } from "./control.js";

const MOST = 1000;
const USUAL = 100;

/** A page of items that are in the order of their keys (by UTF-16 code units). Throws `request/invalid` for a cursor that no page gave. */
export function paged<T>(items: readonly T[], keyOf: (item: T) => string, page: Page): Paged<T> {
  const { after, limit } = readPage(page);
  const from = after === undefined ? 0 : items.findIndex((item) => keyOf(item) > after);
  const shown = from < 0 ? [] : items.slice(from, from + limit);
  const last = shown.at(-1);
  return { items: shown, next: last === undefined || from + limit >= items.length ? undefined : cursorOf(keyOf(last)) };
}

/** After which key, and how many at most. */
export function readPage({ limit = USUAL, cursor }: Page): { readonly after: string | undefined; readonly limit: number } {
  return { after: cursor === undefined ? undefined : keyOfCursor(cursor), limit: Math.min(Math.max(1, limit), MOST) };
}

export function cursorOf(key: string): string {
  return Buffer.from(key, "utf8").toString("base64url");
}

function keyOfCursor(cursor: string): string {
  const key = Buffer.from(cursor, "base64url").toString("utf8");
  if (cursor === "" || cursorOf(key) !== cursor)
    throw invalid([{ field: "cursor", message: "expected what the page before gave as next" }]);
  return key;
}
