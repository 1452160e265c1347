import { Effect, TestClock } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import { notSet, type Alarm } from "../../src/engine/time/Timers.js"
import { ownTimers, timers, timersOf } from "../../src/internal/timers.js"

describe("the timers of a clock of Effect", () => {
  it.effect("are shared by all callers, and return its time", () =>
    Effect.gen(function* () {
      const clock = yield* Effect.clock
      assert.strictEqual(timersOf(clock), timersOf(clock))
      assert.strictEqual(yield* timers, timersOf(clock))
      assert.strictEqual(timersOf(clock).now, 0)
      yield* TestClock.adjust("1500 millis")
      assert.strictEqual(timersOf(clock).now, 1500)
      assert.strictEqual(timersOf(clock).timeOfDay, 1500)
    })
  )

  it.effect("can be its own for a caller", () =>
    Effect.gen(function* () {
      const own = yield* ownTimers
      assert.notStrictEqual(own, yield* ownTimers)
      assert.notStrictEqual(own, yield* timers)
      yield* TestClock.adjust("1500 millis")
      assert.strictEqual(own.now, 1500)
    })
  )

  it.effect("fire when its time has come, and leave no fiber asleep", () =>
    Effect.gen(function* () {
      const timers = timersOf(yield* Effect.clock)
      const fires: Array<number> = []
      const alarm = (): Alarm => ({ alarmTime: 0, alarmIndex: notSet, fire: () => void fires.push(timers.now) })
      const cleared = alarm()
      timers.set(alarm(), 10)
      timers.set(cleared, 20)
      assert.lengthOf(yield* TestClock.sleeps, 1)
      yield* TestClock.adjust("10 millis")
      assert.deepStrictEqual(fires, [10])
      timers.clear(cleared)
      yield* TestClock.adjust("20 millis")
      assert.deepStrictEqual(fires, [10])
      assert.lengthOf(yield* TestClock.sleeps, 0)
    })
  )
})
