/** What is in the stores, and what the task is made of: the oracle that answers as a run would now. */

export const STORES = ["default", "other"] as const;
export type Store = (typeof STORES)[number];

/** What a call is about, in words that the guest `reader` understands, and what it answers by a model. */
export type Question =
  | { readonly kind: "get" | "exists" | "many"; readonly store: Store; readonly keys: readonly string[] }
  | { readonly kind: "list"; readonly store: Store }
  | { readonly kind: "config"; readonly key: "version" | "TOKEN" }
  | { readonly kind: "big"; readonly bytes: number };

export class Model {
  readonly stores: Readonly<Record<Store, Map<string, string>>> = { default: new Map(), other: new Map() };
  version = "0";
  token = "";

  /** As it is now, to be looked at later. */
  copy(): Model {
    const copy = new Model();
    for (const store of STORES) for (const [key, value] of this.stores[store]) copy.stores[store].set(key, value);
    copy.version = this.version;
    copy.token = this.token;
    return copy;
  }

  write(store: Store, key: string, value: string | undefined): void {
    if (value === undefined) this.stores[store].delete(key);
    else this.stores[store].set(key, value);
  }

  /** Without the last line end; undefined: it is told by its length alone. */
  answer(question: Question): string | undefined {
    switch (question.kind) {
      case "get":
      case "many":
        return question.keys.map((key) => this.#line(question.store, key)).join("\n");
      case "exists":
        return question.keys.map((key) => `${key}=${this.stores[question.store].has(key)}`).join("\n");
      case "list":
        return [...this.stores[question.store].keys()].sort(byBytes).join("\n");
      case "config":
        return question.key === "version" ? this.version : this.token;
      case "big":
        return undefined;
    }
  }

  #line(store: Store, key: string): string {
    const value = this.stores[store].get(key);
    return value === undefined ? `${key}!` : `${key}=${value}`;
  }
}

export function pathOf(question: Question): string {
  switch (question.kind) {
    case "get":
    case "exists":
    case "many":
      return `/${question.kind}?keys=${question.keys.join(",")}&store=${question.store}`;
    case "list":
      return `/list?store=${question.store}`;
    case "config":
      return `/config?key=${question.key}`;
    case "big":
      return `/big?bytes=${question.bytes}`;
  }
}

function byBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
