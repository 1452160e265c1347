import { defineConfig } from "vitest/config"

/** What concerns the whole run; `vitest.workspace.ts` lists the packages. */
export default defineConfig({
  // Vitest leaves one core to itself, which is half of a small machine, and asks for little.
  test: {
    maxWorkers: "100%",
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
