/** Requests that a task's manifest takes for a sign of what comes next: its `signals`. */
import { z } from "zod";
import { RouteTable } from "./routes.js";

const MOST_SIGNALS = 32;

const signal = z
  .strictObject({
    signal: z.string().regex(/^[!-~]{1,128}$/, "expected a name of 1 to 128 visible ASCII characters"),
    /** As in `routes`, without a host. */
    path: z
      .string()
      .regex(/^\/[^\s?#]*$/, 'expected a path that begins with "/", without query or fragment')
      .optional(),
    /** The request has a field of this name. */
    header: z
      .string()
      .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/, "expected the name of a header")
      .transform((name) => name.toLowerCase())
      .optional(),
  })
  .refine(({ path, header }) => path !== undefined || header !== undefined, 'expected a "path", a "header", or both');

export const signals = z.array(signal).max(MOST_SIGNALS, `at most ${MOST_SIGNALS} signals`);

type Signals = z.output<typeof signals>;

/** Each with its path as a table of one. */
const compiled = new WeakMap<Signals, readonly { readonly said: Signals[number]; readonly paths: RouteTable<true> | undefined }[]>();

/** The signals that a request with this target is, each once. */
export function signalsIn(all: Signals, target: string, header: (name: string) => string | undefined): Set<string> {
  let tables = compiled.get(all);
  if (tables === undefined) {
    tables = all.map((said) => ({ said, paths: said.path === undefined ? undefined : tableOf(said.path) }));
    compiled.set(all, tables);
  }
  const [path = ""] = target.split("?", 1);
  const found = new Set<string>();
  for (const { said, paths } of tables) {
    if (paths !== undefined && paths.match(path) === undefined) continue;
    if (said.header !== undefined && header(said.header) === undefined) continue;
    found.add(said.signal);
  }
  return found;
}

function tableOf(pattern: string): RouteTable<true> {
  const table = new RouteTable<true>();
  table.replace([{ pattern, target: true }]);
  return table;
}
