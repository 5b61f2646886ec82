/**
 * Components that answer with a number: the hello guests with other words in them, of the same length.
 *
 * So each number is a component of its own, with its own digest, to be compiled like any other; odd ones are written for
 * WASI 0.3 and even ones for 0.2.
 */
import { readFileSync } from "node:fs";
import { guestFile } from "../../support/paths.js";

const WORDS = "Hello, WASI!\n";
const NUMBER = /Hello, ([0-9a-z]{4})!\n/;
const GUESTS = ["hello-p2", "hello-p3"] as const;

const originals = new Map<string, Buffer>();

/** The component that answers 200 with `textOf(number)`; numbers go up to 36⁴. */
export function numbered(number: number): Buffer {
  const component = Buffer.from(original(GUESTS[number % 2] as string));
  component.write(textOf(number), component.indexOf(WORDS), "latin1");
  return component;
}

export function textOf(number: number): string {
  return `Hello, ${number.toString(36).padStart(4, "0")}!\n`;
}

/** The number that is in an answer; undefined when there is none. */
export function numberIn(text: string): number | undefined {
  const digits = NUMBER.exec(text)?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits, 36);
}

function original(guest: string): Buffer {
  let component = originals.get(guest);
  if (component === undefined) originals.set(guest, (component = readFileSync(guestFile(guest))));
  return component;
}
