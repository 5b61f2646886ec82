/**
 * Names of WIT interfaces, and which version stands for which, as the component model has it.
 *
 * Two versions are compatible when they agree in the first of major, minor and patch that is not zero; a pre-release
 * is compatible with itself alone.
 */

export interface InterfaceName {
  /** `namespace:package/interface` */
  readonly base: string;
  readonly version: Version | undefined;
}

export interface Version {
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

export function compatible(a: Version, b: Version): boolean {
  if (a.preRelease || b.preRelease) return a.text === b.text;
  const first = a.numbers.findIndex((number) => number !== 0);
  const upTo = first < 0 ? a.numbers.length : first + 1;
  return a.numbers.slice(0, upTo).every((number, index) => number === b.numbers[index]);
}

/** Whether callers take the two for one: the same interface, in versions that are compatible. */
export function sameLine(a: InterfaceName, b: InterfaceName): boolean {
  if (a.base !== b.base) return false;
  return a.version === undefined || b.version === undefined || compatible(a.version, b.version);
}

/** Whether `provided` does for who wants `wanted`: compatible, and no older. Who names no version takes any. */
export function isServedBy(wanted: InterfaceName, provided: InterfaceName | undefined): boolean {
  if (provided === undefined || provided.base !== wanted.base) return false;
  if (wanted.version === undefined || provided.version?.text === wanted.version.text) return true;
  if (provided.version === undefined || !compatible(provided.version, wanted.version)) return false;
  return compareNumbers(provided.version.numbers, wanted.version.numbers) >= 0;
}

export function compareNumbers(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
