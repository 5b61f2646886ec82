import { expect, it } from "vitest";
import { UseHistory } from "../../src/sidecars/history.js";

it("expects what was used in at least half of the last twenty runs, and nothing that was never seen", () => {
  const history = new UseHistory();
  expect(history.isExpected("a")).toBe(false);
  history.note("a", true);
  expect(history.isExpected("a")).toBe(true);
  history.note("a", false);
  expect(history.isExpected("a")).toBe(true);
  history.note("a", false);
  expect(history.isExpected("a")).toBe(false);
  for (let i = 0; i < 9; i++) history.note("a", true);
  expect(history.isExpected("a")).toBe(true);
  for (let i = 0; i < 11; i++) history.note("a", false);
  expect(history.isExpected("a")).toBe(false);
  // What was before the last twenty says nothing.
  for (let i = 0; i < 20; i++) history.note("a", true);
  for (let i = 0; i < 10; i++) history.note("a", false);
  expect([history.isExpected("a"), history.isExpected("b")]).toEqual([true, false]);
});

it("forgets the versions that are gone", () => {
  const history = new UseHistory();
  history.note("t/a v1 x", true);
  history.forget("t/a ");
  expect(history.isExpected("t/a v1 x")).toBe(false);
});
