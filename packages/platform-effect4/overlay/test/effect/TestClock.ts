import { Effect } from "effect"
import { timersOf } from "../../src/internal/timers.js"

export * from "effect/testing/TestClock"

/** Until when the timers of connections sleep. The clock itself does not tell who sleeps. */
export const sleeps: Effect.Effect<ReadonlyArray<number>> = Effect.clockWith((clock) =>
  Effect.sync(() => {
    const until = timersOf(clock)["wakeTime"]
    return Number.isFinite(until) ? [until] : []
  })
)
