import type * as EffectClock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Clock } from "../engine/time/Clock.js"
import { Timers } from "../engine/time/Timers.js"
import { afterYield, clock, currentTimeMillisUnsafe, interruptUnsafe, monotonicTimeNanosUnsafe } from "./effect.js"

/** Adapts a clock of Effect to the engine's interface. */
const clockOver = (clock: EffectClock.Clock): Clock => ({
  monotonic: () => Number(monotonicTimeNanosUnsafe(clock) / 1_000n) / 1_000,
  timeOfDay: () => currentTimeMillisUnsafe(clock),
  sleep: (millis, wake) => {
    const fiber = Effect.runFork(Effect.andThen(clock.sleep(Duration.millis(millis)), Effect.sync(wake)))
    return () => interruptUnsafe(fiber)
  },
  afterYield
})

const byClock = new WeakMap<EffectClock.Clock, Timers>()

/** The timers of a clock. All connections that use the clock share them. */
export const timersOf = (clock: EffectClock.Clock): Timers => {
  let timers = byClock.get(clock)
  if (timers === undefined) {
    timers = new Timers(clockOver(clock))
    byClock.set(clock, timers)
  }
  return timers
}

/** The timers of the current fiber's clock. */
export const timers: Effect.Effect<Timers> = Effect.map(clock, timersOf)

/** Timers that nothing else shares, on the current fiber's clock. */
export const ownTimers: Effect.Effect<Timers> = Effect.map(clock, (clock) => new Timers(clockOver(clock)))
