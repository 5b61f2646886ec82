import { startFetchFront, startNodeFront } from "../support/http-subjects.js";
import { frontSuite } from "./front-suite.js";

frontSuite({
  name: "node front",
  cannot: { "raw target": "fetch, the client of this suite, normalises; see node-wire.test.ts" },
  transportBytes: 16 * 1024 * 1024,
  start: startNodeFront,
});

frontSuite({
  name: "fetch front",
  cannot: { "raw target": "a web Request's URL is normalised" },
  transportBytes: 64 * 1024 + 1,
  start: async (guest, options) => startFetchFront(guest, options),
});
