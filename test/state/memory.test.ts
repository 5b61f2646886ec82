/** The store that goes with the process. */
import { memoryState } from "../../src/state/memory.js";
import { stateSuite } from "./suite.js";

stateSuite(memoryState);
