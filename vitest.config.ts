import { defineConfig } from "vitest/config";

/** Files that hold to time, or take all of the machine: one after the other, with nothing beside them. */
const ALONE = ["test/soak/**/*.test.ts", "test/bench/**/*.test.ts", "test/pool/**/*.test.ts", "test/triggers/foresight/cost.test.ts"];

export default defineConfig({
  test: {
    // The addon is native and holds threads of its own: a process for each file, and none shared.
    pool: "forks",
    testTimeout: 20_000,
    hookTimeout: 60_000,
    reporters: ["default"],
    projects: [
      {
        extends: true,
        // Most of a test's time is waiting for processes and clocks, so two go side by side, on whatever machine.
        test: { name: "beside", include: ["test/**/*.test.ts"], exclude: ALONE, maxWorkers: 2, sequence: { groupOrder: 0 } },
      },
      { extends: true, test: { name: "alone", include: ALONE, maxWorkers: 1, sequence: { groupOrder: 1 } } },
    ],
  },
});
