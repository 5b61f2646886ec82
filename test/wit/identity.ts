/**
 * A component made for a list of WIT types: its world exports `same-0`, `same-1`, …, of which each gives back what it takes.
 *
 * Why the identity is one instruction: a second parameter, which callers leave out, makes the arguments too many for core
 * parameters. They lie in memory then, the value first, in the very layout in which a result lies there.
 */
import { parse } from "@bytecodealliance/jco";
import { parseType, type Member, type WitType } from "../../src/wit/wit-type.js";

/** What the second parameter is, as the engine writes it. */
export const PAD = `option<tuple<${Array.from({ length: 16 }, () => "u8").join(", ")}>>`;

export async function identityComponent(types: readonly string[]): Promise<Uint8Array> {
  const named: string[] = [];
  const pad = watOf(parseType(PAD), named);
  const functions = types.map((text, i) => {
    const type = parseType(text);
    const loads = flat(type);
    const [load] = loads;
    const wat = watOf(type, named);
    const core =
      loads.length === 1
        ? `(func (export "f${i}") (param i32) (result ${(load as string).slice(0, 3)}) (${load} (local.get 0)))`
        : `(func (export "f${i}") (param i32) (result i32) (local.get 0))`;
    const lifted = `(func $f${i} (param "x" ${wat}) (param "pad" ${pad}) (result ${wat})
      (canon lift (core func $i "f${i}") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
    (export "same-${i}" (func $f${i}))`;
    return { core, lifted };
  });
  return parse(`(component
    (core module $m
      ${ALLOCATOR}
      ${functions.map(({ core }) => core).join("\n")})
    (core instance $i (instantiate $m))
    ${named.join("\n")}
    ${functions.map(({ lifted }) => lifted).join("\n")})`);
}

/** Never gives back: an instance has one call. */
const ALLOCATOR = `
  (memory (export "memory") 1)
  (global $next (mut i32) (i32.const 1024))
  (func (export "realloc") (param $old i32) (param $had i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
    (global.set $next (i32.add (local.get $at) (local.get $size)))
    (block $fits
      (br_if $fits (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
      (drop (memory.grow (i32.add (i32.div_u (local.get $size) (i32.const 65536)) (i32.const 1)))))
    (memory.copy (local.get $at) (local.get $old) (local.get $had))
    (local.get $at))`;

/** The type in WAT. Those that need a name are defined and exported, in `named`. */
function watOf(type: WitType, named: string[]): string {
  switch (type.kind) {
    case "integer":
    case "float":
      return type.name;
    case "list":
      return `(list ${watOf(type.of, named)})`;
    case "option":
      return `(option ${watOf(type.of, named)})`;
    case "tuple":
      return `(tuple ${type.types.map((each) => watOf(each, named)).join(" ")})`;
    case "result": {
      const ok = type.ok === undefined ? "" : watOf(type.ok, named);
      return `(result ${ok} ${type.err === undefined ? "" : `(error ${watOf(type.err, named)})`})`;
    }
    case "record":
      return define(`(record ${membersOf("field", type.fields, named)})`, named);
    case "variant":
      return define(`(variant ${membersOf("case", type.cases, named)})`, named);
    case "enum":
    case "flags":
      return define(`(${type.kind} ${type.names.map((name) => `"${name}"`).join(" ")})`, named);
    case "map":
      throw new Error("the engine takes no components with maps");
    default:
      return type.kind;
  }
}

function membersOf(word: string, members: readonly Member<WitType | undefined>[], named: string[]): string {
  return members.map(({ name, type }) => `(${word} "${name}" ${type === undefined ? "" : watOf(type, named)})`).join(" ");
}

function define(wat: string, named: string[]): string {
  const i = named.length;
  named.push(`(type $d${i} ${wat}) (export $t${i} "type-${i}" (type $d${i}))`);
  return `$t${i}`;
}

const LOADS: Readonly<Record<string, string>> = {
  bool: "i32.load8_u",
  u8: "i32.load8_u",
  s8: "i32.load8_s",
  u16: "i32.load16_u",
  s16: "i32.load16_s",
  u32: "i32.load",
  s32: "i32.load",
  char: "i32.load",
  u64: "i64.load",
  s64: "i64.load",
  f32: "f32.load",
  f64: "f64.load",
};

/** How each core value of the type is loaded; of more than one only the number counts. */
function flat(type: WitType): string[] {
  switch (type.kind) {
    case "integer":
    case "float":
      return [LOADS[type.name] as string];
    case "bool":
    case "char":
      return [LOADS[type.kind] as string];
    case "enum":
      return ["i32.load8_u"];
    case "flags":
      return [type.names.length > 16 ? "i32.load" : type.names.length > 8 ? "i32.load16_u" : "i32.load8_u"];
    case "tuple":
      return type.types.flatMap(flat);
    case "record":
      return type.fields.flatMap((field) => flat(field.type));
    case "variant":
      return ["i32.load8_u", ...type.cases.flatMap((each) => (each.type === undefined ? [] : flat(each.type)))];
    case "result":
      return ["i32.load8_u", ...[type.ok, type.err].flatMap((each) => (each === undefined ? [] : flat(each)))];
    default:
      return ["pointer", "length"];
  }
}
