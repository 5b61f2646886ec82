/** What `npm run soak -- kill` kills, in turn. */
import { NodeSubject } from "./node.js";
import type { MakeSubject } from "./soak.js";
import { StateSubject } from "./state.js";

export const subjects: Readonly<Record<string, MakeSubject>> = {
  state: (folder, seed) => new StateSubject(folder, seed),
  node: (folder) => new NodeSubject(folder),
};
