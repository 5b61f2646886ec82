/**
 * Which task answers a path. Paths are compared as on the wire, segment by segment; nothing is decoded.
 *
 * A route is literal segments, `:name` for exactly one segment, and a trailing `/*` for the rest (which matches
 * the bare path too). The longest route wins; of equally long ones, the one whose first difference is literal.
 */

export interface Route<T> {
  readonly pattern: string;
  readonly target: T;
}

interface Compiled<T> extends Route<T> {
  readonly segments: readonly string[];
  readonly rest: boolean;
}

export class RouteTable<T> {
  #routes: readonly Compiled<T>[] = [];
  /** Paths that were matched before; cleared when the table changes or the cache is full. */
  readonly #cache = new Map<string, T | undefined>();

  /** Replaces the whole table. Throws when two routes are the same. */
  replace(routes: readonly Route<T>[]): void {
    const compiled = routes.map(compile).sort(compare);
    for (let i = 1; i < compiled.length; i++) {
      const [a, b] = [compiled[i - 1] as Compiled<T>, compiled[i] as Compiled<T>];
      if (compare(a, b) === 0) throw new RouteConflict(a, b);
    }
    this.#routes = compiled;
    this.#cache.clear();
  }

  /** The target for a path (without query). */
  match(path: string): T | undefined {
    const cached = this.#cache.get(path);
    if (cached !== undefined) return cached;
    const found = this.#find(path);
    if (found !== undefined && path.length <= LONGEST_CACHED) {
      if (this.#cache.size >= CACHED) this.#cache.clear();
      this.#cache.set(path, found);
    }
    return found;
  }

  #find(path: string): T | undefined {
    const segments = split(path);
    return this.#routes.find((route) => matches(route, segments))?.target;
  }
}

/** Two routes that match the same paths. */
export class RouteConflict extends Error {
  override readonly name = "RouteConflict";
  constructor(
    readonly first: Route<unknown>,
    readonly second: Route<unknown>,
  ) {
    super(`the routes ${first.pattern} and ${second.pattern} match the same paths`);
  }
}

const CACHED = 1024;
/** Longer paths would make the cache as large as a client likes. */
const LONGEST_CACHED = 256;

function compile<T>(route: Route<T>): Compiled<T> {
  const segments = split(route.pattern);
  const rest = segments.at(-1) === "*";
  return { ...route, segments: rest ? segments.slice(0, -1) : segments, rest };
}

function split(path: string): string[] {
  return path.split("/").slice(1);
}

function matches(route: Compiled<unknown>, segments: readonly string[]): boolean {
  const { segments: wanted, rest } = route;
  if (rest ? segments.length < wanted.length : segments.length !== wanted.length) return false;
  return wanted.every((segment, i) => segment === segments[i] || (isParameter(segment) && segments[i] !== ""));
}

/** Sorts the route that must be tried first to the front; 0 means that both match the same paths. */
function compare(a: Compiled<unknown>, b: Compiled<unknown>): number {
  if (a.segments.length !== b.segments.length) return b.segments.length - a.segments.length;
  if (a.rest !== b.rest) return a.rest ? 1 : -1;
  for (let i = 0; i < a.segments.length; i++) {
    const [left, right] = [a.segments[i] as string, b.segments[i] as string];
    const order = Number(isParameter(left)) - Number(isParameter(right));
    if (order !== 0) return order;
    if (!isParameter(left) && left !== right) return left < right ? -1 : 1;
  }
  return 0;
}

function isParameter(segment: string): boolean {
  return segment.length > 1 && segment.startsWith(":");
}
