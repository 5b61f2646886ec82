/**
 * A header block as it is on the wire: `[name, value, name, value, …]`, duplicates and order kept.
 *
 * Values are *byte strings*: each character is one byte (latin1), as Node's `rawHeaders` gives and
 * `writeHead` takes them, so any bytes pass through unchanged. Neither part ever holds CR or LF.
 */
export type HeaderList = readonly string[];

/** The first value of `name` (given in lower case), or undefined. */
export function headerValue(headers: HeaderList, name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    const candidate = headers[i] as string;
    if (candidate.length === name.length && candidate.toLowerCase() === name) return headers[i + 1];
  }
  return undefined;
}
