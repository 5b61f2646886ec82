/** Components that go with the process. */
import { memoryComponents } from "../../src/artefacts/memory.js";
import { componentSuite } from "./suite.js";

componentSuite(memoryComponents);
