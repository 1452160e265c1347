import { defineConfig } from "vitest/config"
import shared from "../../vitest.shared.js"

/** What the mutants of the protocol must not survive: its own tests, and the cases of conformance that run in memory. */
export default defineConfig({
  ...shared,
  test: {
    ...shared.test,
    include: ["test/**/*.test.ts", "../../tools/conformance/test/clausesInMemory.test.ts"]
  }
})
