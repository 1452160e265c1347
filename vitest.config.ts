import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"

/** What concerns the whole run; `vitest.workspace.ts` lists the packages. */
export default defineConfig({
  test: {
    // Vitest would leave a core to itself, and asks for little. One more, because some tests only wait.
    maxWorkers: availableParallelism() + 1,
    minWorkers: 1,
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
