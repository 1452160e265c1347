import { Chunk, Effect, TestClock, TestContext } from "effect"

export * from "effect/TestClock"

/** A clock for tests, and the other services of tests. */
export const layer = () => TestContext.TestContext

/** Until when something sleeps. */
export const sleeps: Effect.Effect<ReadonlyArray<number>> = Effect.map(TestClock.sleeps(), Chunk.toReadonlyArray)
