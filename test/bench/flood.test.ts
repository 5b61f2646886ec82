import { expect, it } from "vitest";
import { compared, overAlone, unserved, type Half } from "../../bench/flood/figures.js";
import type { Streamed } from "../../bench/support/streams.js";

const streamed = (served: readonly number[], more: Partial<Streamed> = {}): Streamed => {
  return { name: "", requests: served.length, seconds: 1, served, refused: [], codes: {}, late: [], wrong: 0, shown: [], ...more };
};
const half = (dedicated: number, onDemand: number): Half => {
  // Of a hundred the 99th is the one that counts, not the outlier.
  const times = (p99: number): number[] => [...Array.from({ length: 98 }, () => 1), p99, 1000];
  return { dedicated: streamed(times(dedicated)), onDemand: streamed(times(onDemand)) };
};

it("holds the 99th percentile under the flood against the one of the same pair without", () => {
  expect(compared({ alone: half(4, 5), flooded: half(6, 50) }, "dedicated")).toEqual({ alone: 4, flooded: 6, times: 1.5 });
  expect(compared({ alone: half(4, 5), flooded: half(6, 50) }, "onDemand")).toEqual({ alone: 5, flooded: 50, times: 10 });
});

it("takes the pair in the middle, by how many times as long it took", () => {
  const pairs = [
    { alone: half(10, 1), flooded: half(11, 1) },
    { alone: half(1, 1), flooded: half(9, 1) },
    { alone: half(2, 1), flooded: half(3, 1) },
  ];
  expect(overAlone(pairs, "dedicated")).toBe(1.5);
});

it("counts what a tenant asked for and did not get, in both halves", () => {
  const none = half(1, 1);
  const some = { ...none, dedicated: streamed([1, 2], { requests: 5, refused: [1, 1, 1] }) };
  const pairs = [
    { alone: none, flooded: some },
    { alone: some, flooded: none },
  ];
  expect(unserved(pairs, "dedicated")).toBe(6);
  expect(unserved(pairs, "onDemand")).toBe(0);
});
