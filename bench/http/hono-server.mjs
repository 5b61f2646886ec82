/** Bare Hono on Node, which answers its argument: what the front costs when no component runs. Plain JavaScript, so that nothing stands between. */
import { serve } from "@hono/node-server";
import { Hono } from "hono";

const text = process.argv[2] ?? "";
const app = new Hono();
app.get("/", (c) => c.text(text));

const server = serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 }, ({ port }) =>
  process.stderr.write(`hono on http://127.0.0.1:${port}/\n`),
);
process.once("SIGTERM", () => server.close(() => process.exit(0)));
