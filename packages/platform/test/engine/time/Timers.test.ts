import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck, TestClock } from "effect"
import { notSet, type Alarm, type Timers } from "../../../src/engine/time/Timers.js"
import { timersOf } from "../../../src/internal/timers.js"

/** An alarm that writes its name and the time. */
const alarm = (name: string, timers: Timers, log: Array<readonly [string, number]>, then = () => {}): Alarm => ({
  alarmTime: 0,
  alarmIndex: notSet,
  ring: () => {
    log.push([name, timers.now])
    then()
  }
})

const make = Effect.map(Effect.clock, (clock) => {
  const timers = timersOf(clock)
  const log: Array<readonly [string, number]> = []
  return { timers, log, alarm: (name: string, then?: () => void) => alarm(name, timers, log, then) }
})

/** The fibers of all timers of a clock. */
const isAsleep = (timers: Timers) => timers["stopSleeper"] !== undefined

describe("timers", () => {
  it.effect("are those of their clock", () =>
    Effect.gen(function* () {
      const clock = yield* Effect.clock
      assert.strictEqual(timersOf(clock), timersOf(clock))
      assert.strictEqual(timersOf(clock).now, 0)
      yield* TestClock.adjust("1500 millis")
      assert.strictEqual(timersOf(clock).now, 1500)
    })
  )

  it.effect("ring each alarm once, at its time, and sleep only while one is set", () =>
    Effect.gen(function* () {
      const { alarm, log, timers } = yield* make
      const [one, two, three] = [alarm("one"), alarm("two"), alarm("three")]
      timers.set(two, 200)
      timers.set(one, 100)
      timers.set(three, 200)
      yield* TestClock.adjust(99)
      assert.deepStrictEqual(log, [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(log, [["one", 100]])
      assert.strictEqual(one.alarmIndex, notSet)
      yield* TestClock.adjust(1000)
      // In any order: they are due at one time.
      assert.sameDeepMembers(log.slice(1), [
        ["two", 200],
        ["three", 200]
      ])
      assert.isFalse(isAsleep(timers))
    })
  )

  it.effect("leave nothing asleep once the last alarm is cleared, and clear what is not set without effect", () =>
    Effect.gen(function* () {
      const { alarm, log, timers } = yield* make
      const [one, two] = [alarm("one"), alarm("two")]
      timers.set(one, 100)
      timers.set(two, 200)
      timers.clear(one)
      timers.clear(one)
      assert.isTrue(isAsleep(timers))
      timers.clear(two)
      assert.isFalse(isAsleep(timers))
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual(log, [])
    })
  )

  it.effect(
    "sleep on where the first alarm is cleared and others are set for later, and anew only for an earlier one",
    () =>
      Effect.gen(function* () {
        const { alarm, log, timers } = yield* make
        const [one, two] = [alarm("one"), alarm("two")]
        timers.set(one, 100)
        timers.set(two, 200)
        const sleeper = timers["stopSleeper"]
        timers.clear(one)
        timers.set(one, 300)
        assert.strictEqual(timers["stopSleeper"], sleeper)
        timers.set(one, 50)
        assert.notStrictEqual(timers["stopSleeper"], sleeper)
        timers.set(one, 300)
        yield* TestClock.adjust(1000)
        assert.deepStrictEqual(log, [
          ["two", 200],
          ["one", 300]
        ])
        assert.isFalse(isAsleep(timers))
      })
  )

  it.effect("let an alarm set itself and clear others while it rings", () =>
    Effect.gen(function* () {
      const { alarm, log, timers } = yield* make
      const victim = alarm("victim")
      const self: Alarm = alarm("self", () => {
        timers.clear(victim)
        if (log.length < 3) timers.set(self, timers.now + 10)
      })
      timers.set(self, 10)
      timers.set(victim, 10)
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(log, [
        ["self", 10],
        ["self", 20],
        ["self", 30]
      ])
      assert.isFalse(isAsleep(timers))
    })
  )

  it.effect("ring the others where one throws", () =>
    Effect.gen(function* () {
      const { alarm, log, timers } = yield* make
      const broken = alarm("broken", () => {
        throw new Error("broken")
      })
      timers.set(broken, 10)
      timers.set(alarm("one"), 11)
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(log, [
        ["broken", 10],
        ["one", 11]
      ])
      assert.isFalse(isAsleep(timers))
    })
  )

  it.effect("ring what is further away than a runtime's timer can be", () =>
    Effect.gen(function* () {
      const { alarm, log, timers } = yield* make
      timers.set(alarm("far"), 2 ** 33)
      yield* TestClock.adjust(2 ** 33)
      assert.deepStrictEqual(log, [["far", 2 ** 33]])
    })
  )

  it.effect("wake once for all that is due at one time", () =>
    Effect.gen(function* () {
      const { alarm, log, timers } = yield* make
      for (let i = 0; i < 10_000; i++) timers.set(alarm(`${i}`), 1000)
      assert.lengthOf(yield* TestClock.sleeps(), 1)
      yield* TestClock.adjust(1000)
      assert.lengthOf(log, 10_000)
      assert.isFalse(isAsleep(timers))
    })
  )

  it.effect.prop(
    "ring in the order of their times, whatever was moved and cleared before",
    [
      FastCheck.array(
        FastCheck.record({
          name: FastCheck.integer({ min: 0, max: 9 }),
          time: FastCheck.option(FastCheck.integer({ min: 1, max: 50 }))
        }),
        { maxLength: 40 }
      )
    ],
    ([steps]) =>
      Effect.gen(function* () {
        const { alarm, log, timers } = yield* make
        const start = timers.now
        const alarms = Array.from({ length: 10 }, (_, name) => alarm(`${name}`))
        const model = new Map<string, number>()
        for (const { name, time } of steps) {
          if (time === null) {
            timers.clear(alarms[name]!)
            model.delete(`${name}`)
          } else {
            timers.set(alarms[name]!, start + time)
            model.set(`${name}`, start + time)
          }
        }
        yield* TestClock.adjust(100)
        assert.sameDeepMembers(log, [...model])
        assert.deepStrictEqual(
          log.map(([, time]) => time),
          [...model.values()].sort((left, right) => left - right)
        )
        assert.isFalse(isAsleep(timers))
      }),
    { fastCheck: { numRuns: 30 } }
  )
})
