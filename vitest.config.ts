import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"

/** What concerns the whole run; `vitest.workspace.ts` lists the packages. */
export default defineConfig({
  test: {
    // For a quarter of the time, tests wait for timers and for other processes: more workers than cores use it. Vitest itself needs little.
    maxWorkers: Math.ceil(1.5 * availableParallelism()),
    minWorkers: 1,
    // For the protocol on Effect 4, beside the other workers. Tinypool may end an idle thread twice if there are several, which fails the run.
    poolOptions: { threads: { maxThreads: 1, minThreads: 1 } },
    // The files of a worker share what they import from packages: loading it anew for each was a third of the time.
    isolate: false,
    reporters: ["default", "./scripts/CountReporter.ts"],
    coverage: {
      provider: "v8",
      reporter: ["text", "html"],
      include: ["packages/protocol/src/**"],
      // It only exports what other files have.
      exclude: ["packages/protocol/src/index.ts"],
      // Functions follow from these two.
      thresholds: { lines: 100, branches: 100, perFile: true }
    }
  }
})
