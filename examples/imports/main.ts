/** Asks for the price of some orders. */
import { openShop } from "./app.js";

const ARTICLES = new Map([
  ["apple", { name: "Apple", cents: 35n, piecesInStock: 100 }],
  ["pear", { name: "Pear", cents: 50n, piecesInStock: 3 }],
]);

await using shop = await openShop(async (id) => ARTICLES.get(id));
for (const [id, pieces] of [
  ["apple", 4],
  ["apple", 20],
  ["pear", 4],
  ["plum", 1],
] as const) {
  const { tag, val } = await shop.quote(id, pieces);
  console.log(`${pieces} × ${id}: ${tag === "ok" ? `${val / 100} €` : val}`);
}
