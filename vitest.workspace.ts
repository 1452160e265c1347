import { defineWorkspace } from "vitest/config"

export default defineWorkspace([
  // Not packages/platform-effect4, which runs under vitest 5.
  "packages/{protocol,platform}/vitest*.config.ts",
  "tools/*/vitest*.config.ts",
  "examples/vitest.config.ts",
  "benchmarks/vitest.config.ts"
])
