import { Chunk, type Duration, Effect, Layer, TestClock, TestServices } from "effect"

export * from "effect/TestClock"

/**
 * A clock for tests. `TestContext` of Effect also makes the other services of tests anew, which takes 5 milliseconds, and no
 * test uses them.
 */
export const layer = (): Layer.Layer<TestClock.TestClock> => onlyTheClock

const onlyTheClock = Layer.provide(TestClock.defaultTestClock, Layer.succeedContext(TestServices.liveServices))

const threeTurns = Effect.promise(async () => {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
})

/**
 * Moves the time on. Before each step, everything that is ready has its turns. Effect's own clock lets three timers of a
 * millisecond pass there, and compares the states of fibers after each.
 */
export const adjust = (duration: Duration.DurationInput): Effect.Effect<void> =>
  TestClock.testClockWith((clock) => Object.assign(clock, { awaitSuspended: () => threeTurns }).adjust(duration))

/** Until when something sleeps. */
export const sleeps: Effect.Effect<ReadonlyArray<number>> = Effect.map(TestClock.sleeps(), Chunk.toReadonlyArray)
