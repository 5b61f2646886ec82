/**
 * A node whose tasks have sidecars, for `bench/sidecars`; plain JavaScript over `dist`, so that nothing stands between.
 *
 * `linked` calls a function that a sidecar serves; `plain` is hello, `watched` with a guard and an observer that do nothing, `chained`
 * behind a token that is verified and with a line for each request.
 */
import { readFileSync } from "node:fs";
import { Runtime } from "../../dist/runtime.js";

/** @param {string} name */
const guest = (name) => readFileSync(new URL(`../../guests/${name}/${name}.wasm`, import.meta.url));
const runtime = new Runtime({ log: "info" });
const beside = { routes: [], sidecar: { scope: /** @type {const} */ ("task"), idle: "10m" } };
await runtime.deploy({ manifest: { name: "calc", ...beside }, component: guest("calc") });
await runtime.deploy({ manifest: { name: "onlooker", ...beside }, component: guest("onlooker") });
await runtime.deploy({ manifest: { name: "linked", sidecars: [{ use: "calc" }] }, component: guest("relay") });
await runtime.deploy({ manifest: { name: "plain", routes: ["/plain"] }, component: guest("hello-p2") });
await runtime.deploy({
  manifest: { name: "watched", routes: ["/watched"], sidecars: [{ use: "onlooker" }] },
  component: guest("hello-p2"),
});
await runtime.deploy({
  manifest: {
    name: "chained",
    routes: ["/chained"],
    sidecars: [
      { use: "log-access" },
      { use: "auth-jwt", config: { secret: "a secret for a bench, of at least 32 bytes", issuer: "bench" } },
    ],
  },
  component: guest("hello-p2"),
});
const { port } = await runtime.dataFront().listen({ host: "127.0.0.1", port: 0 });
process.stderr.write(`node on http://127.0.0.1:${port}/\n`);
process.once("SIGTERM", () => void runtime.close().then(() => process.exit(0)));
