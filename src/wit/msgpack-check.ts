/**
 * Looks a MessagePack body over before msgpackr reads it, because a client may have sent anything.
 *
 * msgpackr knows extensions of its own that cannot be turned off one by one: references between values, of which a few
 * hundred bytes make gigabytes, integers of any length, code for records. It recurses as deep as a body goes, and puts U+FFFD for
 * what is not UTF-8. None of that is here: only plain MessagePack, and of it only what is whole.
 */
import { isUtf8 } from "node:buffer";

/** Levels of nesting, as the engine has it; the body itself is level 0. */
const DEEPEST = 64;

type Shape = "scalar" | "text" | "bytes" | "array" | "map";

interface Head {
  readonly shape: Shape;
  /** Bytes that follow, or values for arrays and pairs for maps; read from the body where `lengthBytes` is not 0. */
  readonly length: number;
  readonly lengthBytes: number;
}

/** The heads from 0xc0 to 0xdf. */
const NAMED: Readonly<Record<number, Head>> = {
  0xc0: fixed("scalar", 0),
  0xc2: fixed("scalar", 0),
  0xc3: fixed("scalar", 0),
  0xc4: counted("bytes", 1),
  0xc5: counted("bytes", 2),
  0xc6: counted("bytes", 4),
  0xca: fixed("scalar", 4),
  0xcb: fixed("scalar", 8),
  0xcc: fixed("scalar", 1),
  0xcd: fixed("scalar", 2),
  0xce: fixed("scalar", 4),
  0xcf: fixed("scalar", 8),
  0xd0: fixed("scalar", 1),
  0xd1: fixed("scalar", 2),
  0xd2: fixed("scalar", 4),
  0xd3: fixed("scalar", 8),
  0xd9: counted("text", 1),
  0xda: counted("text", 2),
  0xdb: counted("text", 4),
  0xdc: counted("array", 2),
  0xdd: counted("array", 4),
  0xde: counted("map", 2),
  0xdf: counted("map", 4),
};

/** By first byte; undefined for extensions, and for 0xc1, which is nothing. */
const HEADS: readonly (Head | undefined)[] = Array.from({ length: 256 }, (_, byte) => headOf(byte));

/** What is wrong with it; undefined when it is one whole value without extensions, its text UTF-8, not too deep. */
export function msgpackFault(bytes: Buffer): string | undefined {
  /** Values that are still to come, at each level. */
  const left = [1];
  let at = 0;
  while (left.length > 0) {
    const coming = left.at(-1) as number;
    if (coming === 0) {
      left.pop();
      continue;
    }
    left[left.length - 1] = coming - 1;
    if (left.length - 1 > DEEPEST) return `values are nested more than ${DEEPEST} levels deep; flatten them`;
    const byte = bytes[at];
    if (byte === undefined) return ENDS_EARLY;
    const head = HEADS[byte];
    if (head === undefined)
      return byte === 0xc1 ? `no value begins with the byte 0xc1 (at ${at})` : `the extension at byte ${at} is no value of WIT`;
    const start = at + 1 + head.lengthBytes;
    if (start > bytes.length) return ENDS_EARLY;
    const length = head.lengthBytes === 0 ? head.length : bytes.readUIntBE(at + 1, head.lengthBytes);
    const values = head.shape === "array" ? length : head.shape === "map" ? 2 * length : 0;
    // Each value takes a byte at least.
    at = head.shape === "array" || head.shape === "map" ? start : start + length;
    if (at + values > bytes.length) return ENDS_EARLY;
    if (head.shape === "text" && !isUtf8(bytes.subarray(start, at))) return `the text at byte ${start} is not UTF-8`;
    if (values > 0) left.push(values);
  }
  return at === bytes.length ? undefined : `more follows after its end, at byte ${at}`;
}

const ENDS_EARLY = "it ends within a value";

function headOf(byte: number): Head | undefined {
  if (byte < 0x80 || byte >= 0xe0) return fixed("scalar", 0);
  if (byte < 0x90) return fixed("map", byte & 0x0f);
  if (byte < 0xa0) return fixed("array", byte & 0x0f);
  if (byte < 0xc0) return fixed("text", byte & 0x1f);
  return NAMED[byte];
}

function fixed(shape: Shape, length: number): Head {
  return { shape, length, lengthBytes: 0 };
}

function counted(shape: Shape, lengthBytes: number): Head {
  return { shape, length: 0, lengthBytes };
}
