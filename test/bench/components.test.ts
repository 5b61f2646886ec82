/** The thousand programs of `bench/instances` are distinct to us and the same to whoever runs them. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { withSection } from "../../bench/instances/components.js";
import { guestFile } from "../../bench/support/paths.js";

it("a custom section changes the digest and is well-formed", () => {
  const hello = readFileSync(guestFile("hello-p2"));
  const variants = ["a", "b", "x".repeat(300)].map((text) => Buffer.from(withSection(hello, text)));
  expect(new Set(variants.map((bytes) => createHash("sha256").update(bytes).digest("hex"))).size).toBe(3);
  for (const bytes of variants) expect(bytes.subarray(0, hello.length)).toEqual(hello);
  expect([...(variants[0] as Buffer).subarray(hello.length)]).toEqual([0, 7, 5, ...Buffer.from("bench"), ...Buffer.from("a")]);
  // 306 bytes of content need two bytes to say so.
  expect([...(variants[2] as Buffer).subarray(hello.length, hello.length + 4)]).toEqual([0, 0xb2, 0x02, 5]);
});
