import { configDefaults, defineWorkspace } from "vitest/config"
import shared, { restoreIt } from "./vitest.shared.js"

export default defineWorkspace([
  // Not packages/platform-effect4, which runs under vitest 5.
  "packages/{protocol,platform,topics-redis,topics-nats}/vitest*.config.ts",
  // One project, because each transforms and loads the sources for itself.
  {
    ...shared,
    test: {
      ...shared.test,
      name: "tools and examples",
      setupFiles: [restoreIt],
      // Vite would find another build of `graphql` than Node does for `graphql-ws`, and the two do not work together.
      server: { deps: { inline: [/graphql/] } },
      include: ["{tools/*,examples,benchmarks}/test/**/*.test.ts"],
      // `vitest.work.config.ts` has it.
      exclude: [...configDefaults.exclude, "tools/conformance/test/security/work.test.ts"]
    }
  },
  "tools/conformance/vitest.work.config.ts"
])
