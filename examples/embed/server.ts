/** Serves the app, as any Hono app on Node is served, until it is told to end. */
import { serve } from "@hono/node-server";
import { createShop } from "./app.js";

const shop = await createShop();
const server = serve({ fetch: shop.app.fetch, hostname: "127.0.0.1", port: Number(process.env["PORT"] ?? 3000) }, ({ port }) => {
  console.log(`http://127.0.0.1:${port}/`);
});

const end = (): void => {
  server.close(() => void shop[Symbol.asyncDispose]());
};
process.once("SIGINT", end).once("SIGTERM", end);
