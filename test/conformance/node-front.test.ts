import { WASI } from "../support/guests.js";
import { startRuntime } from "../support/runtime.js";
import { engineSuite } from "./suite.js";

for (const wasi of WASI) engineSuite({ name: "node front", cannot: {}, start: startRuntime }, wasi);
