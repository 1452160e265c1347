import { type Clock, type Duration, Effect } from "effect"

export * from "effect/Clock"

/** A clock as a class. Its times are in milliseconds. */
export abstract class ClockClass implements Clock.Clock {
  /** A time that never goes back. */
  abstract now(): number
  abstract sleep(duration: Duration.Duration): Effect.Effect<void>

  /** The time of day. */
  timeOfDay(): number {
    return this.now()
  }

  currentTimeMillisUnsafe(): number {
    return this.timeOfDay()
  }
  currentTimeNanosUnsafe(): bigint {
    return nanos(this.timeOfDay())
  }
  monotonicTimeNanosUnsafe(): bigint {
    return nanos(this.now())
  }
  readonly currentTimeMillis = Effect.sync(() => this.currentTimeMillisUnsafe())
  readonly currentTimeNanos = Effect.sync(() => this.currentTimeNanosUnsafe())
  readonly monotonicTimeNanos = Effect.sync(() => this.monotonicTimeNanosUnsafe())
}

const nanos = (millis: number): bigint => BigInt(Math.round(millis * 1_000_000))
