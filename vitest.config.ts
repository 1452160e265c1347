import { defineConfig } from "vitest/config"

/** What concerns the whole run; `vitest.workspace.ts` lists the packages. */
export default defineConfig({
  // Vitest leaves one core to itself, which is half of a small machine, and asks for little.
  test: { maxWorkers: "100%", minWorkers: 1, reporters: ["default", "./scripts/CountReporter.ts"] }
})
