/**
 * An app that was there before Pilotlight: its own routes in Hono, and one that a component answers.
 *
 * The component runs inside this process, on a clean instance for each request, with a quarter of a second and
 * 16 MiB; whatever it does, the other routes go on.
 */
import { readFile } from "node:fs/promises";
import { Hono } from "hono";
import { createRuntime } from "pilotlight";

/** The app, and what it has to give back at its end. */
export interface Shop extends AsyncDisposable {
  readonly app: Hono;
}

export async function createShop(): Promise<Shop> {
  const runtime = await createRuntime();
  await runtime.deploy({
    manifest: { name: "greeting", routes: ["/c-hello"], limits: { memory: "16MiB", cpu: "100ms", timeout: "250ms" } },
    component: await readFile(new URL("../c-hello/c-hello.wasm", import.meta.url)),
  });

  const app = new Hono();
  app.get("/", (c) => c.text("The shop is open.\n"));
  app.get("/prices", (c) => c.json({ apple: 1, pear: 2 }));
  // The one line that mounts it. The component sees the path as it came, so the route is the same on both sides.
  app.all("/c-hello", (c) => runtime.fetch(c.req.raw));
  return { app, [Symbol.asyncDispose]: () => runtime.close() };
}
