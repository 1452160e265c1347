import { defineConfig } from "vitest/config"

/** What concerns the whole run; `vitest.workspace.ts` lists the packages. */
export default defineConfig({
  test: { reporters: ["default", "./scripts/CountReporter.ts"] }
})
