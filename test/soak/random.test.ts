import { expect, it } from "vitest";
import { Random } from "../../bench/soak/support/random.js";

it("repeats a step's choices from the seed, and gives every step and seed others", () => {
  const choices = (seed: number, stream: number): string => new Random(seed, stream).bytes(16).toString("hex");
  expect(choices(1, 2)).toBe(choices(1, 2));
  const all = [-2, -1, 0, 1, 2].flatMap((seed) => [-2, -1, 0, 1, 2].map((stream) => choices(seed, stream)));
  expect(new Set(all).size).toBe(all.length);
});

it("is even", () => {
  const random = new Random(7);
  const counts = Array.from({ length: 10 }, () => 0);
  for (let n = 0; n < 10_000; n++) {
    const drawn = random.below(10);
    counts[drawn] = (counts[drawn] ?? 0) + 1;
  }
  expect(Math.min(...counts)).toBeGreaterThan(800);
  expect(Math.max(...counts)).toBeLessThan(1200);
});
