import { defineConfig } from "vitest/config";

/** Files that compute and hold to no time; all others go one after the other, with nothing beside them. */
const BESIDE = [
  "artefacts",
  "base",
  "cli",
  "config",
  "control",
  "deferral",
  "dispatch",
  "forecast",
  "guests",
  "imports",
  "memo",
  "observe",
  "sidecars",
  "state",
  "tasks",
  "tenants",
  "wit",
].map((folder) => `test/${folder}/**/*.test.ts`);

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
        // Two, on whatever machine: they are short, and each begins with loading what it tests.
        test: { name: "beside", include: BESIDE, maxWorkers: 2, sequence: { groupOrder: 0 } },
      },
      {
        extends: true,
        test: { name: "alone", include: ["test/**/*.test.ts"], exclude: BESIDE, maxWorkers: 1, sequence: { groupOrder: 1 } },
      },
    ],
  },
});
