import { defineProject } from "vitest/config"
import shared, { restoreIt } from "../../vitest.shared.js"

/**
 * `@effect/cluster` for Effect 3 leaves fibers that try again for ever, over each of its transports, also when its layers have
 * ended. Other tests count what a process has. So these have a process of their own: only files of the same project share one.
 */
export default defineProject({
  ...shared,
  // Not by `mergeConfig`, which would add to the pattern that includes all tests.
  test: { ...shared.test, name: "cluster", setupFiles: [restoreIt], include: ["test/cluster/**/*.test.ts"] }
})
