/** Takes orders. What one costs it asks of whoever provides quotes; who orders is what the guard has found. */
import { json, serve } from "pilotlight/guest";
import { total } from "example:shop/quote@1.0.0";
import { caller } from "pilotlight:task/identity@0.1.0";

/** A module's variable lives as long as its instance; in a clean one it has only ever counted this request. */
let served = 0;

export const handler = serve(async (request) => {
  if (request.method !== "POST") return { status: 405, headers: { allow: "POST" } };
  const { item, pieces } = (await request.json()) as { readonly item: string; readonly pieces: number };
  served += 1;
  return json({ customer: caller()?.subject, item, pieces, cents: total(item, pieces), served });
});
