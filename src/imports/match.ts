/**
 * Which provider satisfies an imported interface: versions as the component model matches them.
 *
 * Two versions are compatible when they agree in the first of major, minor and patch that is not zero; a pre-release
 * is compatible with itself alone.
 */

export interface InterfaceName {
  /** `namespace:package/interface` */
  readonly base: string;
  readonly version: Version | undefined;
}

interface Version {
  readonly text: string;
  readonly numbers: readonly [major: number, minor: number, patch: number];
  readonly preRelease: boolean;
}

const WORD = "[a-z][a-z0-9]*(?:-[a-z0-9]+)*";
const NAME = new RegExp(`^(${WORD}(?::${WORD})+(?:/${WORD})+)(?:@(\\d+)\\.(\\d+)\\.(\\d+)(-[0-9a-z.-]+)?(\\+[0-9a-z.-]+)?)?$`, "i");

/** Undefined for what is not `namespace:package/interface`, with or without `@1.2.0`. */
export function parseInterfaceName(text: string): InterfaceName | undefined {
  const found = NAME.exec(text);
  if (found === null) return undefined;
  const [, base = "", major, minor, patch, pre] = found;
  if (major === undefined) return { base, version: undefined };
  return {
    base,
    version: {
      text: text.slice(base.length + 1),
      numbers: [Number(major), Number(minor), Number(patch)],
      preRelease: pre !== undefined,
    },
  };
}

/**
 * The provider for `wanted`: of the same version, else of the latest compatible one, else the one without a version,
 * which stands for all. An import without a version is satisfied by the latter alone.
 */
export function providerFor<P extends { readonly interface: InterfaceName }>(
  providers: readonly P[],
  wanted: InterfaceName,
): P | undefined {
  const named = providers.filter((provider) => provider.interface.base === wanted.base);
  const rank = ({ interface: { version } }: P): readonly number[] | undefined => {
    if (version === undefined) return [0];
    if (wanted.version === undefined || !compatible(version, wanted.version)) return undefined;
    return [version.text === wanted.version.text ? 2 : 1, ...version.numbers];
  };
  let best: { readonly provider: P; readonly rank: readonly number[] } | undefined;
  for (const provider of named) {
    const ranked = rank(provider);
    if (ranked !== undefined && (best === undefined || compare(ranked, best.rank) > 0)) best = { provider, rank: ranked };
  }
  return best?.provider;
}

function compatible(a: Version, b: Version): boolean {
  if (a.preRelease || b.preRelease) return a.text === b.text;
  const first = a.numbers.findIndex((number) => number !== 0);
  const upTo = first < 0 ? a.numbers.length : first + 1;
  return a.numbers.slice(0, upTo).every((number, index) => number === b.numbers[index]);
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
