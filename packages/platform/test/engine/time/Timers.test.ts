import { assert, describe, it, vi } from "@effect/vitest"
import * as FastCheck from "fast-check"
import { notSet, Timers, type Alarm } from "../../../src/engine/time/Timers.js"
import { ManualClock } from "../ManualClock.js"

const make = () => {
  const clock = new ManualClock()
  const timers = new Timers(clock)
  const log: Array<readonly [string, number]> = []
  /** An alarm that writes down its name and the time. */
  const alarm = (name: string, then = () => {}): Alarm => ({
    alarmTime: 0,
    alarmIndex: notSet,
    fire: () => {
      log.push([name, timers.now])
      then()
    }
  })
  return { alarm, clock, log, timers }
}

describe("timers", () => {
  it("return the times of their clock", () => {
    const { clock, timers } = make()
    clock.advance(1500)
    clock.setTimeOfDay(100)
    assert.strictEqual(timers.now, 1500)
    assert.strictEqual(timers.timeOfDay, 100)
  })

  it("fire each alarm once, at its time, and sleep only while one is set", () => {
    const { alarm, clock, log, timers } = make()
    const [one, two, three] = [alarm("one"), alarm("two"), alarm("three")]
    timers.set(two, 200)
    timers.set(one, 100)
    timers.set(three, 200)
    clock.advance(99)
    assert.deepStrictEqual(log, [])
    clock.advance(1)
    assert.deepStrictEqual(log, [["one", 100]])
    assert.strictEqual(one.alarmIndex, notSet)
    clock.advance(1000)
    // In any order: they are due at one time.
    assert.sameDeepMembers(log.slice(1), [
      ["two", 200],
      ["three", 200]
    ])
    assert.strictEqual(clock.sleeping, 0)
  })

  it("fire an alarm whose time has passed", () => {
    const { alarm, clock, log, timers } = make()
    clock.advance(100)
    timers.set(alarm("late"), 50)
    clock.advance(0)
    assert.deepStrictEqual(log, [["late", 100]])
  })

  it("do not sleep once the last alarm is cleared; to clear an alarm that is not set has no effect", () => {
    const { alarm, clock, log, timers } = make()
    const [one, two] = [alarm("one"), alarm("two")]
    timers.set(one, 100)
    timers.set(two, 200)
    timers.clear(one)
    timers.clear(one)
    assert.strictEqual(clock.sleeping, 1)
    timers.clear(two)
    assert.strictEqual(clock.sleeping, 0)
    clock.advance(1000)
    assert.deepStrictEqual(log, [])
  })

  it("sleep on if the first alarm is cleared and others are set for later, and anew only for an earlier one", () => {
    const { alarm, clock, log, timers } = make()
    const sleep = vi.spyOn(clock, "sleep")
    const [one, two] = [alarm("one"), alarm("two")]
    timers.set(one, 100)
    timers.set(two, 200)
    timers.clear(one)
    timers.set(one, 300)
    assert.lengthOf(sleep.mock.calls, 1)
    timers.set(one, 50)
    assert.lengthOf(sleep.mock.calls, 2)
    assert.strictEqual(clock.sleeping, 1)
    timers.set(one, 300)
    clock.advance(1000)
    assert.deepStrictEqual(log, [
      ["two", 200],
      ["one", 300]
    ])
    assert.strictEqual(clock.sleeping, 0)
  })

  it("let an alarm set itself and clear others while it fires", () => {
    const { alarm, clock, log, timers } = make()
    const victim = alarm("victim")
    const self: Alarm = alarm("self", () => {
      timers.clear(victim)
      if (log.length < 3) timers.set(self, timers.now + 10)
    })
    timers.set(self, 10)
    timers.set(victim, 10)
    clock.advance(100)
    assert.deepStrictEqual(log, [
      ["self", 10],
      ["self", 20],
      ["self", 30]
    ])
    assert.strictEqual(clock.sleeping, 0)
  })

  it("fire the others if one throws", () => {
    const { alarm, clock, log, timers } = make()
    const broken = alarm("broken", () => {
      throw new Error("broken")
    })
    timers.set(broken, 10)
    timers.set(alarm("one"), 11)
    assert.throws(() => clock.advance(100), "broken")
    clock.advance(100)
    assert.deepStrictEqual(
      log.map(([name]) => name),
      ["broken", "one"]
    )
    assert.strictEqual(clock.sleeping, 0)
  })

  it("fire alarms that are further away than a runtime's timer can be", () => {
    const { alarm, clock, log, timers } = make()
    const sleep = vi.spyOn(clock, "sleep")
    timers.set(alarm("far"), 2 ** 33)
    clock.advance(2 ** 33)
    assert.deepStrictEqual(log, [["far", 2 ** 33]])
    assert.isTrue(sleep.mock.calls.every(([millis]) => millis < 2 ** 31))
  })

  it("wake once for all alarms of one time", () => {
    const { alarm, clock, log, timers } = make()
    const sleep = vi.spyOn(clock, "sleep")
    for (let i = 0; i < 10_000; i++) timers.set(alarm(`${i}`), 1000)
    assert.strictEqual(clock.sleeping, 1)
    clock.advance(1000)
    assert.lengthOf(log, 10_000)
    assert.lengthOf(sleep.mock.calls, 1)
    assert.strictEqual(clock.sleeping, 0)
  })

  it("fire in the order of their times, whatever was moved and cleared before", () => {
    const step = FastCheck.record({
      name: FastCheck.integer({ min: 0, max: 9 }),
      time: FastCheck.option(FastCheck.integer({ min: 1, max: 50 }))
    })
    FastCheck.assert(
      FastCheck.property(FastCheck.array(step, { maxLength: 40 }), (steps) => {
        const { alarm, clock, log, timers } = make()
        const alarms = Array.from({ length: 10 }, (_, name) => alarm(`${name}`))
        const model = new Map<string, number>()
        for (const { name, time } of steps) {
          if (time === null) {
            timers.clear(alarms[name]!)
            model.delete(`${name}`)
          } else {
            timers.set(alarms[name]!, time)
            model.set(`${name}`, time)
          }
        }
        clock.advance(100)
        assert.sameDeepMembers(log, [...model])
        assert.deepStrictEqual(
          log.map(([, time]) => time),
          [...model.values()].sort((left, right) => left - right)
        )
        assert.strictEqual(clock.sleeping, 0)
      })
    )
  })
})
