import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

const sourceCondition = "@effect-websocket/source"

/** A setup file for those who test with `@effect/vitest`. */
export const restoreIt = fileURLToPath(new URL("scripts/restoreIt.ts", import.meta.url))

/** What every package's tests share: they run against the sources, not against a build. */
export default defineConfig({
  resolve: { conditions: [sourceCondition, "node", "import", "default"] },
  ssr: { resolve: { conditions: [sourceCondition, "node", "import", "default"] } },
  // The benchmarks install native masking for `ws`, which tests have no use for.
  test: { include: ["test/**/*.test.ts"], testTimeout: 20_000, env: { WS_NO_BUFFER_UTIL: "1" } }
})
