import { WASI } from "../support/guests.js";
import { startRuntime } from "../support/runtime.js";
import { engineSuite, type Subject } from "./suite.js";

const portable: Subject = {
  name: "portable fetch",
  cannot: {},
  async start(tasks) {
    const node = await startRuntime(tasks);
    return { ...node, get: async (path, init) => node.runtime.fetch(new Request(`http://host.test${path}`, init)) };
  },
};

for (const wasi of WASI) engineSuite(portable, wasi);
