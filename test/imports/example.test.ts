/** The example `examples/imports`: a plug-in that asks the embedder. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openShop } from "../../examples/imports/app.js";
import { atEnd } from "../support/cleanup.js";
import { ROOT } from "../support/files.js";

it("a plug-in prices orders with what the shop looks up for it", async () => {
  const asked: string[] = [];
  const shop = await openShop(async (id) => {
    asked.push(id);
    return id === "apple" ? { name: "Apple", cents: 2n ** 40n, piecesInStock: 20 } : undefined;
  });
  atEnd(() => shop[Symbol.asyncDispose]());
  expect(await shop.quote("apple", 2)).toEqual({ tag: "ok", val: 2 ** 41 });
  expect(await shop.quote("apple", 21)).toEqual({ tag: "err", val: "not enough of Apple in stock" });
  expect(await shop.quote("plum", 1)).toEqual({ tag: "err", val: "there is no plum" });
  expect(asked).toEqual(["apple", "apple", "plum"]);
});

it("prints what its README says", () => {
  const printed = execFileSync(process.execPath, ["--import", "tsx", "examples/imports/main.ts"], { cwd: ROOT, encoding: "utf8" });
  expect(printed).toContain("apple");
  expect(readFileSync(join(ROOT, "examples/imports/README.md"), "utf8")).toContain(printed);
});
