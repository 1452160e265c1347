import { runMain as nodeRunMain } from "@effect/platform-node/NodeRuntime"
import { defaultTeardown } from "@effect/platform/Runtime"
import type { Effect } from "../../effect/Effect.js"

// These programs import modules, not whole packages, which would take longer to load than the tests of them.

/**
 * As `NodeRuntime.runMain`, but it does not call `process.exit`: the process ends when nothing is left that keeps it
 * alive.
 */
export const runMain = <A, E>(program: Effect<A, E>): void =>
  nodeRunMain(program, {
    teardown: (exit) =>
      defaultTeardown(exit, (code) => {
        process.exitCode = code
      })
  })
