/** WIT types, read from the text that the engine gives of a component's functions (`FunctionInfo`). */

const INTEGERS = {
  u8: [0n, 255n],
  s8: [-128n, 127n],
  u16: [0n, 65_535n],
  s16: [-32_768n, 32_767n],
  u32: [0n, 4_294_967_295n],
  s32: [-2_147_483_648n, 2_147_483_647n],
  u64: [0n, 18_446_744_073_709_551_615n],
  s64: [-9_223_372_036_854_775_808n, 9_223_372_036_854_775_807n],
} as const;

export type IntegerName = keyof typeof INTEGERS;

export type WitType =
  | { readonly kind: "bool" | "string" | "char" }
  | { readonly kind: "integer"; readonly name: IntegerName; readonly min: bigint; readonly max: bigint; readonly wide: boolean }
  | { readonly kind: "float"; readonly name: "f32" | "f64" }
  | { readonly kind: "list"; readonly of: WitType; readonly length: number | undefined }
  | { readonly kind: "map"; readonly key: WitType; readonly value: WitType }
  | { readonly kind: "tuple"; readonly types: readonly WitType[] }
  | { readonly kind: "option"; readonly of: WitType }
  | { readonly kind: "result"; readonly ok: WitType | undefined; readonly err: WitType | undefined }
  | { readonly kind: "record"; readonly fields: readonly Member<WitType>[] }
  | { readonly kind: "variant"; readonly cases: readonly Member<WitType | undefined>[] }
  | { readonly kind: "enum" | "flags"; readonly names: readonly string[] };

/** A field or a case, by its name in WIT. */
export interface Member<Type> {
  readonly name: string;
  readonly type: Type;
}

/** A type that no function in TypeScript can take or give; the message says why. */
export class UnusableType extends Error {
  override readonly name = "UnusableType";
}

/** Throws `UnusableType` for resources, streams, futures and error contexts, and for a text that was cut short. */
export function parseType(text: string): WitType {
  const reader = new Reader(text);
  const type = readType(reader);
  if (!reader.done) throw reader.unreadable();
  return type;
}

/** Tokens of a type's text: names, numbers and punctuation. */
class Reader {
  readonly #text: string;
  readonly #tokens: readonly string[];
  #next = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = text.match(/[<>{}(),:]|[^\s<>{}(),:]+/g) ?? [];
  }

  get done(): boolean {
    return this.#next === this.#tokens.length;
  }

  take(): string {
    const token = this.#tokens[this.#next++];
    if (token === undefined) throw this.unreadable();
    return token;
  }

  /** Takes the next token if it is this one. */
  skip(token: string): boolean {
    if (this.#tokens[this.#next] !== token) return false;
    this.#next++;
    return true;
  }

  expect(token: string): void {
    if (!this.skip(token)) throw this.unreadable();
  }

  unreadable(): UnusableType {
    const cut = this.#text.includes("…");
    return new UnusableType(cut ? "a type that is too long to be read" : `a type that cannot be read: ${this.#text.slice(0, 100)}`);
  }
}

function readType(reader: Reader): WitType {
  const name = reader.take();
  switch (name) {
    case "bool":
    case "string":
    case "char":
      return { kind: name };
    case "f32":
    case "f64":
      return { kind: "float", name };
    case "list":
      return readList(reader);
    case "option":
      return { kind: "option", of: readArgument(reader) };
    case "map": {
      reader.expect("<");
      const key = readType(reader);
      reader.expect(",");
      const value = readType(reader);
      reader.expect(">");
      return { kind: "map", key, value };
    }
    case "tuple":
      return { kind: "tuple", types: reader.skip("<") ? readUntil(reader, ">", readType) : [] };
    case "result":
      return readResult(reader);
    case "record":
      return { kind: "record", fields: readBody(reader, readField) };
    case "variant":
      return { kind: "variant", cases: readBody(reader, readCase) };
    case "enum":
    case "flags":
      return { kind: name, names: readBody(reader, (body) => body.take()) };
    default:
      return readNamed(name, reader);
  }
}

function readNamed(name: string, reader: Reader): WitType {
  if (Object.hasOwn(INTEGERS, name)) {
    const [min, max] = INTEGERS[name as IntegerName];
    return { kind: "integer", name: name as IntegerName, min, max, wide: name === "u64" || name === "s64" };
  }
  if (!/^[a-z][a-z0-9-]*$/i.test(name)) throw reader.unreadable();
  const what =
    name === "borrow" ? "a borrowed resource" : ["stream", "future", "error-context"].includes(name) ? `a ${name}` : `the resource ${name}`;
  throw new UnusableType(`${what.replace("a error", "an error")}, which lives inside one instance`);
}

function readArgument(reader: Reader): WitType {
  reader.expect("<");
  const type = readType(reader);
  reader.expect(">");
  return type;
}

function readList(reader: Reader): WitType {
  reader.expect("<");
  const of = readType(reader);
  const length = reader.skip(",") ? Number(reader.take()) : undefined;
  reader.expect(">");
  return { kind: "list", of, length };
}

/** `result`, `result<T>`, `result<T, E>`, `result<_, E>` */
function readResult(reader: Reader): WitType {
  if (!reader.skip("<")) return { kind: "result", ok: undefined, err: undefined };
  const [ok, err] = readUntil(reader, ">", (argument) => (argument.skip("_") ? undefined : readType(argument)));
  return { kind: "result", ok, err };
}

function readField(reader: Reader): Member<WitType> {
  const name = reader.take();
  reader.expect(":");
  return { name, type: readType(reader) };
}

function readCase(reader: Reader): Member<WitType | undefined> {
  const name = reader.take();
  if (!reader.skip("(")) return { name, type: undefined };
  const type = readType(reader);
  reader.expect(")");
  return { name, type };
}

function readBody<T>(reader: Reader, read: (reader: Reader) => T): T[] {
  reader.expect("{");
  return readUntil(reader, "}", read);
}

function readUntil<T>(reader: Reader, end: string, read: (reader: Reader) => T): T[] {
  const all = [read(reader)];
  while (!reader.skip(end)) {
    reader.expect(",");
    all.push(read(reader));
  }
  return all;
}
