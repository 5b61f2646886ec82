/** What hits are held against in `bench/records`: a cache that asks nobody is still one that answers right. */
import { expect, it } from "vitest";
import { TrustingCache } from "../../bench/records/trusting.js";

const asked = { method: "GET", scheme: "http" as const, authority: "a.test", target: "/get?n=1" };

it("tells again what it was told, after it has been asked, until that is too old", async () => {
  let now = 0;
  const told: unknown[][] = [];
  const reply = { head: (...head: unknown[]) => void told.push(head) };
  const cache = new TrustingCache(() => now);
  const body = Buffer.from("one");
  cache.keep(asked, { status: 200, headers: ["ETag", '"1"'], body, until: 10 });

  now = 9;
  expect(cache.answer(asked, reply)).toBe(true);
  expect(told).toEqual([]);
  await Promise.resolve();
  expect(told).toEqual([[200, ["ETag", '"1"'], body, true, undefined]]);
  now = 10;
  expect(cache.answer(asked, reply)).toBe(false);
});

it.each([{ method: "HEAD" }, { scheme: "https" as const }, { authority: "b.test" }, { target: "/get?n=2" }])(
  "has nothing for %o",
  (other) => {
    const cache = new TrustingCache(() => 0);
    cache.keep(asked, { status: 200, headers: [], body: Buffer.from("one"), until: 10 });
    expect(cache.answer({ ...asked, ...other }, { head: () => expect.unreachable() })).toBe(false);
  },
);
