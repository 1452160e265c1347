import { TestContext } from "effect"

export * from "effect/TestClock"

/** A clock for tests, and the other services of tests. */
export const layer = () => TestContext.TestContext
