import { configDefaults, mergeConfig } from "vitest/config"
import protocol from "./vitest.config.js"

/** The same tests on the other version of Effect that the package supports, except for the internals, which it hardly touches. */
export default mergeConfig(protocol, {
  resolve: { alias: [{ find: /^effect\//, replacement: "effect4/" }] },
  test: {
    name: "protocol on Effect 4",
    // Workers are shared, and what two versions of Effect keep in `globalThis` would be too.
    pool: "threads",
    exclude: [...configDefaults.exclude, "test/internal/**"]
  }
})
