import { json, serve } from "pilotlight/guest";

/** Answers every request that a route of pilotlight.json leads here. */
export const handler = serve(async (request) => {
  if (request.method === "POST") return json({ received: await request.text() });
  return "Hello from {{name}}!\n";
});
