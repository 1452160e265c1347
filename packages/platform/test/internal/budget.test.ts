import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { Budget, type Member } from "../../src/internal/budget.js"
import { ofClock } from "../../src/internal/timers.js"

/** A connection that holds what the test says. */
const member = (budget: Budget) =>
  Effect.map(Effect.clock, (clock) => {
    const timers = ofClock(clock)
    const calls: Array<string> = []
    let charged = 0
    const self = {
      unreadBytes: 0,
      unfinishedBytes: 0,
      unsentBytes: 0,
      calls,
      account: () => {
        const held = self.unreadBytes + self.unfinishedBytes + self.unsentBytes
        const delta = held - charged
        charged = held
        if (delta !== 0) budget.charge(delta, timers)
      },
      pauseForBudget: () => calls.push("pause"),
      resumeForBudget: () => calls.push("resume"),
      shed: (maxBytes: number) => {
        calls.push(`shed ${maxBytes}`)
        self.unfinishedBytes = 0
        self.account()
      },
      hold: (held: { readonly unread?: number; readonly unfinished?: number; readonly unsent?: number }) => {
        self.unreadBytes = held.unread ?? self.unreadBytes
        self.unfinishedBytes = held.unfinished ?? self.unfinishedBytes
        self.unsentBytes = held.unsent ?? self.unsentBytes
        self.account()
      }
    } satisfies Member & Record<string, unknown>
    budget.add(self)
    return self
  })

describe("budget", () => {
  it.effect("pauses all above its size, once, and resumes all when half of it is free", () =>
    Effect.gen(function* () {
      const budget = new Budget(100)
      const a = yield* member(budget)
      const b = yield* member(budget)
      a.hold({ unread: 60 })
      b.hold({ unsent: 40 })
      assert.isFalse(budget.isExhausted)
      assert.deepStrictEqual([...a.calls, ...b.calls], [])
      b.hold({ unsent: 41 })
      b.hold({ unsent: 45 })
      assert.isTrue(budget.isExhausted)
      a.hold({ unread: 6 })
      assert.isTrue(budget.isExhausted)
      a.hold({ unread: 5 })
      assert.isFalse(budget.isExhausted)
      assert.deepStrictEqual(
        [a.calls, b.calls],
        [
          ["pause", "resume"],
          ["pause", "resume"]
        ]
      )
    })
  )

  it.effect("pauses those that come while it is exhausted, and forgets those that left", () =>
    Effect.gen(function* () {
      const budget = new Budget(10)
      const a = yield* member(budget)
      a.hold({ unread: 11 })
      const b = yield* member(budget)
      assert.deepStrictEqual(b.calls, ["pause"])
      a.hold({ unread: 0 })
      budget.delete(a)
      b.hold({ unread: 11 })
      assert.deepStrictEqual(a.calls, ["pause", "resume"])
      assert.strictEqual((yield* budget.usage).connections, 1)
      b.hold({ unread: 0 })
    })
  )

  it.effect("counts what left the transports unseen, before it calls itself exhausted", () =>
    Effect.gen(function* () {
      const budget = new Budget(100)
      const a = yield* member(budget)
      const b = yield* member(budget)
      a.hold({ unsent: 90 })
      a.unsentBytes = 50
      b.hold({ unread: 50 })
      assert.isFalse(budget.isExhausted)
      b.hold({ unread: 51 })
      assert.isTrue(budget.isExhausted)
      b.hold({ unread: 0 })
    })
  )

  it.effect("looks at the transports as long as it is exhausted, and not longer", () =>
    Effect.gen(function* () {
      const budget = new Budget(100)
      const a = yield* member(budget)
      a.hold({ unsent: 101 })
      a.unsentBytes = 51
      yield* TestClock.adjust("50 millis")
      assert.isTrue(budget.isExhausted)
      a.unsentBytes = 50
      yield* TestClock.adjust("49 millis")
      assert.isTrue(budget.isExhausted)
      yield* TestClock.adjust("1 millis")
      assert.isFalse(budget.isExhausted)
      assert.lengthOf(ofClock(yield* Effect.clock)["heap"], 0)
    })
  )

  it.effect("sheds who holds most of what is not finished, until that is half of it", () =>
    Effect.gen(function* () {
      const budget = new Budget(100)
      const [a, b, c] = [yield* member(budget), yield* member(budget), yield* member(budget)]
      a.hold({ unfinished: 20 })
      b.hold({ unfinished: 35, unread: 10 })
      c.hold({ unfinished: 30 })
      assert.isFalse(budget.isExhausted)
      a.hold({ unread: 6 })
      assert.deepStrictEqual([a.calls, b.calls, c.calls], [["pause"], ["pause", "shed 100"], ["pause"]])
      a.hold({ unfinished: 0, unread: 0 })
      assert.isFalse(budget.isExhausted)
      assert.deepStrictEqual(a.calls, ["pause", "resume"])
    })
  )

  it.effect("sheds nobody where reading frees enough", () =>
    Effect.gen(function* () {
      const budget = new Budget(100)
      const a = yield* member(budget)
      a.hold({ unfinished: 50, unread: 51 })
      assert.deepStrictEqual(a.calls, ["pause"])
      a.hold({ unread: 0 })
      assert.deepStrictEqual(a.calls, ["pause", "resume"])
    })
  )

  it.effect("sheds all that is more than the whole of it by itself", () =>
    Effect.gen(function* () {
      const budget = new Budget(100)
      const a = yield* member(budget)
      a.hold({ unfinished: 1000 })
      assert.deepStrictEqual(a.calls, ["pause", "shed 100", "resume"])
      assert.isFalse(budget.isExhausted)
    })
  )

  it.effect("tells its use", () =>
    Effect.gen(function* () {
      const budget = new Budget(100)
      const a = yield* member(budget)
      const b = yield* member(budget)
      a.hold({ unread: 1, unfinished: 2, unsent: 3 })
      b.hold({ unread: 10, unfinished: 20, unsent: 30 })
      assert.deepStrictEqual(yield* budget.usage, {
        maxBytes: 100,
        usedBytes: 66,
        unreadBytes: 11,
        unfinishedBytes: 22,
        unsentBytes: 33,
        isExhausted: false,
        connections: 2
      })
    })
  )
})
