import { defineProject } from "vitest/config"
import shared, { restoreIt } from "../../vitest.shared.js"

/**
 * V8 counts steps only in code that it compiles after it was told to. So this file needs a process that has not loaded the
 * protocol before: only files of the same project share processes.
 */
export default defineProject({
  ...shared,
  // Not by `mergeConfig`, which would add to the pattern that includes all tests.
  test: { ...shared.test, name: "work", setupFiles: [restoreIt], include: ["test/security/work.test.ts"] }
})
