/** Components that differ only in their digest: a guest with a custom section of its own at the end. */

const SECTION_NAME = "bench";

/** `component` with a custom section that holds `text`. Custom sections mean nothing to who runs it. */
export function withSection(component: Uint8Array, text: string): Uint8Array {
  const name = Buffer.from(SECTION_NAME);
  const content = Buffer.concat([leb128(name.length), name, Buffer.from(text)]);
  return Buffer.concat([component, Buffer.of(0), leb128(content.length), content]);
}

/** An unsigned integer as WebAssembly writes it. */
function leb128(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 0x7f) | 0x80);
  }
}
