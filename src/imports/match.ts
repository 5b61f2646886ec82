/** Which provider satisfies an imported interface. */
import { compareNumbers, compatible, type InterfaceName } from "../wit/capability.js";

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
    if (ranked !== undefined && (best === undefined || compareNumbers(ranked, best.rank) > 0)) best = { provider, rank: ranked };
  }
  return best?.provider;
}
