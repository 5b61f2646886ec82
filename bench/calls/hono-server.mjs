/** The function that calc has, behind bare Hono: what JSON over HTTP costs when no component runs. */
import { serve } from "@hono/node-server";
import { Hono } from "hono";

const app = new Hono();
app.post("/add", async (c) => {
  const [a, b] = await c.req.json();
  return c.json((a + b) >>> 0);
});

const server = serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 }, ({ port }) =>
  process.stderr.write(`hono on http://127.0.0.1:${port}/\n`),
);
process.once("SIGTERM", () => server.close(() => process.exit(0)));
