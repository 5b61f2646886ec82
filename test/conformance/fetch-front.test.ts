import { atEnd } from "../support/cleanup.js";
import { WASI } from "../support/guests.js";
import { runOf, startRuntime } from "../support/runtime.js";
import { endlessBody, engineSuite, type Subject } from "./suite.js";

const portable: Subject = {
  name: "portable fetch",
  async start(tasks) {
    const node = await startRuntime(tasks);
    const get = async (path: string, init?: RequestInit): Promise<Response> =>
      node.runtime.fetch(new Request(`http://host.test${path}`, init));
    return {
      ...node,
      get,
      async pour(path) {
        let written = 0;
        const leave = new AbortController();
        atEnd(() => leave.abort());
        const body = endlessBody((bytes) => (written += bytes));
        const response = await get(path, { method: "POST", body, duplex: "half", signal: leave.signal });
        const reader = response.body!.getReader();
        return {
          run: runOf(response),
          written: () => written,
          read: async (bytes) => {
            for (let read = 0; read < bytes;) read += (await reader.read()).value!.byteLength;
          },
          leave: () => leave.abort(),
        };
      },
    };
  },
};

for (const wasi of WASI) engineSuite(portable, wasi);
