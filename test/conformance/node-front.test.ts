import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { atEnd } from "../support/cleanup.js";
import { WASI } from "../support/guests.js";
import { startRuntime } from "../support/runtime.js";
import { engineSuite, type Subject } from "./suite.js";

const server: Subject = {
  name: "node front",
  async start(tasks) {
    const node = await startRuntime(tasks);
    return {
      ...node,
      // Not `fetch`, which takes in as much as it is given.
      async pour(path) {
        const call = request(node.origin + path, { method: "POST" }).on("error", () => {});
        atEnd(() => call.destroy());
        let written = 0;
        const body = new Readable({ read: () => void (body.push(new Uint8Array(65_536)), (written += 65_536)), highWaterMark: 65_536 });
        body.pipe(call);
        const [answer] = (await once(call, "response")) as [IncomingMessage];
        answer.on("error", () => {});
        return {
          run: String(answer.headers["pilotlight-run"]),
          written: () => written,
          read: async (bytes) => {
            for (let read = 0; read < bytes;) {
              const piece = answer.read() as Buffer | null;
              if (piece === null) await once(answer, "readable");
              else read += piece.byteLength;
            }
          },
          leave: () => call.destroy(),
        };
      },
    };
  },
};

for (const wasi of WASI) engineSuite(server, wasi);
