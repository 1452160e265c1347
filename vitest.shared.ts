import { fileURLToPath } from "node:url"

const sourceCondition = "@effect-websocket/source"

const patience = 120_000

/** A setup file for those who test with `@effect/vitest`. */
export const restoreIt = fileURLToPath(new URL("scripts/restoreIt.ts", import.meta.url))

/**
 * What every package's tests share: they run against the sources, not against a build. Without `defineConfig`, because it is
 * for two versions of vitest.
 */
export default {
  resolve: { conditions: [sourceCondition, "node", "import", "default"] },
  ssr: { resolve: { conditions: [sourceCondition, "node", "import", "default"] } },
  test: {
    include: ["test/**/*.test.ts"],
    // For what hangs. No test needs a hundredth of it on a quiet machine, and none fails because a machine is busy.
    testTimeout: patience,
    hookTimeout: patience,
    // The benchmarks install native masking for `ws`, which tests have no use for.
    env: { WS_NO_BUFFER_UTIL: "1" }
  }
}
