/**
 * A shop with a plug-in that it did not write. The plug-in imports `acme:shop/catalogue`; the shop answers with a function
 * of its own, typed by what jco generates from `world.wit`, over data that the plug-in never gets to see as a whole.
 */
import { readFile } from "node:fs/promises";
import { ComponentError, createRuntime, type Provided } from "pilotlight";
import type * as Catalogue from "./types/interfaces/acme-shop-catalogue.js";

/** What `quote` answers: cents, or why there is no price. */
export type Quote = { readonly tag: "ok"; readonly val: number } | { readonly tag: "err"; readonly val: string };

export interface Shop extends AsyncDisposable {
  quote(id: string, pieces: number): Promise<Quote>;
}

/** `lookUp` reads an article, from a database for example; undefined when there is none. */
export async function openShop(lookUp: (id: string) => Promise<Catalogue.Article | undefined>): Promise<Shop> {
  // Leave a function out, or give a number where a bigint belongs, and this does not compile.
  const catalogue: Provided<typeof Catalogue> = {
    find: async (id) => {
      const article = await lookUp(id);
      if (article === undefined) throw new ComponentError<Catalogue.Problem>({ tag: "unknown", val: id });
      return article;
    },
  };
  // Without a version it serves every version that a plug-in asks for.
  const runtime = await createRuntime({ imports: { "acme:shop/catalogue": catalogue } });
  await runtime.deploy({
    manifest: { name: "pricing", routes: [], limits: { memory: "4MiB", timeout: "1s" } },
    component: await readFile(new URL("imports.wasm", import.meta.url)),
  });
  return {
    quote: async (id, pieces) => (await runtime.call("pricing", "quote", [id, pieces])) as Quote,
    [Symbol.asyncDispose]: () => runtime.close(),
  };
}
