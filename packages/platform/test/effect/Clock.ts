import { Clock, type Duration, Effect } from "effect"

export * from "effect/Clock"

/** A clock as a class. Its times are in milliseconds. */
export abstract class ClockClass implements Clock.Clock {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId

  /** A time that never goes back. */
  abstract now(): number
  abstract sleep(duration: Duration.Duration): Effect.Effect<void>

  /** The time of day. */
  timeOfDay(): number {
    return this.now()
  }

  unsafeCurrentTimeMillis(): number {
    return this.timeOfDay()
  }
  unsafeCurrentTimeNanos(): bigint {
    return BigInt(Math.round(this.now() * 1_000_000))
  }
  readonly currentTimeMillis = Effect.sync(() => this.unsafeCurrentTimeMillis())
  readonly currentTimeNanos = Effect.sync(() => this.unsafeCurrentTimeNanos())
}
