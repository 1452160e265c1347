import { configDefaults, defineProject, mergeConfig } from "vitest/config"
import shared, { restoreIt } from "../../vitest.shared.js"

export default mergeConfig(
  shared,
  defineProject({
    test: {
      name: "conformance",
      setupFiles: [restoreIt],
      // `vitest.work.config.ts` has it.
      exclude: [...configDefaults.exclude, "test/security/work.test.ts"]
    }
  })
)
