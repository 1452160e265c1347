import { defineProject, mergeConfig } from "vitest/config"
import shared, { restoreIt } from "../../vitest.shared.js"

export default mergeConfig(
  shared,
  defineProject({
    test: {
      name: "conformance",
      setupFiles: [restoreIt],
      // `work.ts` counts steps in code that V8 compiles after it: no other file may have loaded the protocol before.
      isolate: true,
      poolOptions: { forks: { isolate: true } }
    }
  })
)
