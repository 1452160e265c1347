import { defineConfig, mergeConfig } from "vitest/config"
import shared from "../../vitest.shared.js"

/** The tests of the assembled package, and of the command that is made from it. They need vitest 5, which has no workspace with vitest 3, and so a run of their own. */
export default mergeConfig(
  shared,
  defineConfig({
    test: {
      name: "platform on Effect 4",
      include: ["{.,topics-redis,topics-nats}/test/**/*.test.ts", "../cli/test/**/*.test.ts"],
      maxWorkers: "100%",
      // As in the root.
      isolate: false,
      reporters: ["default", "../../scripts/CountReporter.ts"]
    }
  })
)
