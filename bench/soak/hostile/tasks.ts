/**
 * What is deployed for the hostile soak, once for each version of WASI.
 *
 * Limits are small, so that bad runs end soon, and each kind of ending has a task whose other limits are far away: on a
 * busy machine a loop must still end by its CPU time and a hang by its deadline, or nobody could say which is right.
 */
import type { Flavour } from "../../support/paths.js";
import type { Planned } from "../support/node-process.js";

export const LIMITS = { memory: 16 * 2 ** 20, requestBody: 2 ** 20, responseBody: 4 * 2 ** 20, handles: 1000, headers: 16 * 2 ** 10 };

const SMALL = {
  memory: "16MiB",
  requestBody: "1MiB",
  responseBody: "4MiB",
  handles: 1000,
  headers: "16KiB",
  cpu: "30s",
  timeout: "60s",
  idle: "60s",
  duration: "90s",
};

/** Instances that lie ready when nothing goes on. */
export const READY = 4;

export function hostileTasks(flavour: Flavour): Planned[] {
  const behave = `behave-${flavour}`;
  return [
    { guest: behave, manifest: { name: "behave", routes: ["/*"], limits: SMALL } },
    { guest: behave, manifest: { name: "loops", routes: ["/loop"], limits: { ...SMALL, cpu: "200ms" } } },
    { guest: behave, manifest: { name: "hangs", routes: ["/hang", "/after-head-hang"], limits: { ...SMALL, timeout: "1s", idle: "1s" } } },
    { guest: `echo-${flavour}`, manifest: { name: "echo", routes: ["/echo/*"], limits: SMALL } },
    { guest: `hello-${flavour}`, manifest: { name: "hello", routes: ["/hello"], limits: SMALL, capacity: { ready: READY } } },
  ];
}

/** A path of each. */
export const ONE_OF_EACH_TASK = ["/", "/loop", "/hang", "/echo/x", "/hello"];
