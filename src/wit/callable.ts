/** A function that can be called from outside its component: what it takes and gives, by type. */
import type { FunctionInfo } from "../engine/program.js";
import { UnusableType, parseType, type Member, type WitType } from "./wit-type.js";

export interface Callable {
  /** With its version; empty for a function of the component's world. */
  readonly interface: string;
  readonly name: string;
  readonly async: boolean;
  readonly parameters: readonly Member<WitType>[];
  /** Undefined: it returns nothing. */
  readonly result: WitType | undefined;
  /** `func(a: u32) -> string` */
  readonly text: string;
}

/** One that cannot be called from outside, and why. */
export interface Uncallable {
  readonly interface: string;
  readonly name: string;
  readonly refused: string;
}

type Reading = Callable | { readonly refused: string };

/** What was read of a component's function: every call asks for it. */
const read = new WeakMap<FunctionInfo, Reading>();

/** Reads a function's types; `refused` says what of them cannot leave the component. */
export function callable(iface: string, info: FunctionInfo): Reading {
  const known = read.get(info);
  if (known !== undefined && ("refused" in known || known.interface === iface)) return known;
  const reading = readingOf(iface, info);
  read.set(info, reading);
  return reading;
}

function readingOf(iface: string, info: FunctionInfo): Reading {
  if (info.name.startsWith("[")) return { refused: `${info.name} belongs to a resource, which lives inside one instance` };
  try {
    const parameters = info.parameters.map(({ name, type }) => ({ name, type: parseType(type) }));
    const result = info.result === undefined ? undefined : parseType(info.result);
    return { interface: iface, name: info.name, async: info.async, parameters, result, text: textOf(info) };
  } catch (error) {
    if (error instanceof UnusableType) return { refused: `${info.name} takes or gives ${error.message}` };
    throw error;
  }
}

function textOf({ async, parameters, result }: FunctionInfo): string {
  const given = parameters.map(({ name, type }) => `${name}: ${type}`).join(", ");
  return `${async ? "async func" : "func"}(${given})${result === undefined ? "" : ` -> ${result}`}`;
}
