import { configDefaults, defineProject, mergeConfig } from "vitest/config"
import shared, { restoreIt } from "../../vitest.shared.js"

export default mergeConfig(
  shared,
  defineProject({
    test: {
      name: "platform",
      setupFiles: [restoreIt],
      // `vitest.cluster.config.ts` has them.
      exclude: [...configDefaults.exclude, "test/cluster/**"]
    }
  })
)
