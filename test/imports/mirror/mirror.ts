/**
 * A guest that exports the interface it imports (`world.wit`), each function handing on what it is given: values of every
 * kind cross from the caller to the embedder's functions and back.
 *
 * A lowered import and a lifted export have the same core signature but for results that need memory: an import is
 * given the place, an export gives it.
 */
import { readFileSync } from "node:fs";
import { componentEmbed, componentNew, parse } from "@bytecodealliance/jco";

const INTERFACE = "acme:db/query@1.2.0";

/** Core parameters, and the result: `memory` for one that is written to a place. */
const FUNCTIONS: Readonly<Record<string, readonly [parameters: string, result: "memory" | "i32" | undefined]>> = {
  find: ["i32 i32 i32", "memory"],
  rename: ["i64 i32 i32 i32 i32 i32 i32 i32 i32", "i32"],
  nested: ["i32 i32 i32", "memory"],
  lists: ["i32 i32 i32 i32 i32 i32 i32 i32", "memory"],
  scalars: ["i64 i64 i32 f64 i32 i32 i32", "memory"],
  draw: ["i32 f64", "memory"],
  check: ["i32 i32", "i32"],
  outcome: ["i32 i32 i32", "memory"],
  "get-URL-x2": ["", "memory"],
  "to-string": ["", "memory"],
  touch: ["", undefined],
  later: ["i32 i32", "memory"],
};

export interface MirrorOptions {
  /** Another version of the package than 1.2.0; `""` for none. */
  readonly version?: string;
  /** A function without parameters that is called while an instance is made. */
  readonly onStart?: "touch" | "get-URL-x2";
  /** Changes the WIT before the guest is made of it; core signatures must stay. */
  readonly edit?: (wit: string) => string;
}

const MIRROR_WIT = new URL("world.wit", import.meta.url);

/** The component's bytes. */
export async function mirror({ version = "1.2.0", onStart, edit = (wit) => wit }: MirrorOptions = {}): Promise<Uint8Array> {
  const at = version === "" ? "" : `@${version}`;
  const wit = edit(readFileSync(MIRROR_WIT, "utf8")).replace("@1.2.0", at);
  const core = await parse(coreModule(INTERFACE.replace("@1.2.0", at), onStart));
  return componentNew(await componentEmbed({ binary: core, witSource: wit, world: "guest" }), []);
}

function coreModule(interfaceName: string, onStart: string | undefined): string {
  const names = Object.keys(FUNCTIONS);
  const imports = names.map((name) => {
    const [parameters, result] = FUNCTIONS[name] as (typeof FUNCTIONS)[string];
    const place = result === "memory" ? " i32" : "";
    return `(import "${interfaceName}" "${name}" (func $${name} (param ${parameters}${place})${result === "i32" ? " (result i32)" : ""}))`;
  });
  const exports = names.map((name) => {
    const [parameters, result] = FUNCTIONS[name] as (typeof FUNCTIONS)[string];
    const head = `(func (export "${interfaceName}#${name}") (param ${parameters})${result === undefined ? "" : " (result i32)"}`;
    const given = parameters.split(" ").filter(Boolean);
    const handed = given.map((_type, index) => `(local.get ${index})`).join(" ");
    if (result !== "memory") return `${head} (call $${name} ${handed}))`;
    // The place is aligned for every type, and larger than any result here.
    return `${head} (local $place i32)
      (local.set $place (call $allocate (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 128)))
      (call $${name} ${handed} (local.get $place))
      (local.get $place))`;
  });
  const start =
    onStart === undefined
      ? ""
      : `(func (export "_initialize") ${onStart === "touch" ? "(call $touch)" : `(call $${onStart} (i32.const 8))`})`;
  return `(module
    ${imports.join("\n    ")}
    (memory (export "memory") 16)
    (global $next (mut i32) (i32.const 1024))
    (func $allocate (export "cabi_realloc") (param $old i32) (param $had i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      (local.get $at))
    ${exports.join("\n    ")}
    ${start})`;
}
