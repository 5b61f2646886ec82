import { expect, it } from "vitest";
import type { ProblemError } from "../../../src/base/problem.js";
import { turns } from "../../../src/http/admin/turns.js";

it("so many of an owner go at once, the next wait in order, and more than may wait are told to come again", async () => {
  const { enter } = turns(2, 2, "deploys");
  const [first, second] = [await enter("a"), await enter("a")];
  const order: number[] = [];
  const waiting = [3, 4].map(async (n) => {
    const leave = await enter("a");
    order.push(n);
    return leave;
  });
  const refused = (await enter("a").catch((error: unknown) => error)) as ProblemError;
  expect(refused.problem).toEqual({
    code: "capacity/node-full",
    detail: "2 deploys of yours are under way and 2 wait; try again when some are through.",
    retryAfter: 2,
  });
  // Another owner has turns of its own.
  (await enter("b"))();

  second();
  const third = await (waiting[0] as Promise<() => void>);
  expect(order).toEqual([3]);
  first();
  third();
  (await (waiting[1] as Promise<() => void>))();
  expect(order).toEqual([3, 4]);
  // All places are free again.
  await enter("a");
  await enter("a");
});
