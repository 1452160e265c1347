import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { Budget, Ledger, type BudgetMember } from "../../../src/engine/connection/Budget.js"
import { timersOf } from "../../../src/internal/timers.js"

/** A connection that holds what the test says. `pauses` says whether it is read; `sends` whether it must send sparingly. */
const member = (budget: Budget) =>
  Effect.map(Effect.clock, (clock) => {
    const ledger = new Ledger(budget, timersOf(clock))
    const self = {
      unreadBytes: 0,
      unfinishedBytes: 0,
      unsentBytes: 0,
      receivedMessages: 0,
      sheds: [] as Array<number>,
      orders: 0,
      account: () => ledger.update(self.unreadBytes, self.unfinishedBytes, self.unsentBytes),
      obeyBudget: () => {
        self.orders++
      },
      shed: (maxBytes: number) => {
        self.sheds.push(maxBytes)
        self.unfinishedBytes = 0
        self.account()
      },
      hold: (held: { readonly unread?: number; readonly unfinished?: number; readonly unsent?: number }) => {
        self.unreadBytes = held.unread ?? self.unreadBytes
        self.unfinishedBytes = held.unfinished ?? self.unfinishedBytes
        self.unsentBytes = held.unsent ?? self.unsentBytes
        self.account()
      },
      get isRead() {
        return ledger.mayRead
      }
    } satisfies BudgetMember & Record<string, unknown>
    budget.add(self)
    return self
  })

describe("budget", () => {
  it.effect("above its half does not read those that have unread messages, until half of that is free", () =>
    Effect.gen(function* () {
      const budget = new Budget(100)
      const [a, b, idle] = [yield* member(budget), yield* member(budget), yield* member(budget)]
      a.hold({ unread: 30 })
      b.hold({ unread: 20 })
      assert.isFalse(budget.isExhausted)
      b.hold({ unread: 21 })
      assert.isTrue(budget.isExhausted)
      assert.deepStrictEqual([a.isRead, b.isRead, idle.isRead], [false, false, true])
      assert.isFalse(budget.sendsSparingly)
      a.hold({ unread: 5 })
      assert.deepStrictEqual([a.isRead, b.isRead, idle.isRead], [false, false, true])
      b.hold({ unread: 20 })
      assert.isFalse(budget.isExhausted)
      assert.deepStrictEqual([a.isRead, b.isRead], [true, true])
    })
  )

  it.effect("above the other half has all send sparingly, and reads on", () =>
    Effect.gen(function* () {
      const budget = new Budget(100)
      const a = yield* member(budget)
      a.hold({ unread: 40, unsent: 50 })
      assert.isFalse(budget.sendsSparingly)
      a.hold({ unsent: 51 })
      assert.isTrue(budget.sendsSparingly)
      assert.isTrue(budget.isExhausted)
      assert.isTrue(a.isRead)
      a.hold({ unsent: 26 })
      assert.isTrue(budget.sendsSparingly)
      a.hold({ unsent: 25 })
      assert.isFalse(budget.sendsSparingly)
      assert.isFalse(budget.isExhausted)
    })
  )

  it.effect("tells its members once when something changes, and those that come later", () =>
    Effect.gen(function* () {
      const budget = new Budget(10)
      const a = yield* member(budget)
      const before = a.orders
      a.hold({ unread: 11 })
      a.hold({ unread: 12 })
      assert.strictEqual(a.orders, before + 1)
      const b = yield* member(budget)
      assert.strictEqual(b.orders, 1)
      a.hold({ unread: 0 })
      assert.strictEqual(a.orders, before + 2)
      budget.delete(a)
      b.hold({ unread: 11 })
      assert.strictEqual(a.orders, before + 2)
      assert.strictEqual(budget.measure().connections, 1)
      b.hold({ unread: 0 })
    })
  )

  it.effect("counts what left the transports unseen, before it calls itself exhausted", () =>
    Effect.gen(function* () {
      const budget = new Budget(100)
      const a = yield* member(budget)
      const b = yield* member(budget)
      a.hold({ unsent: 45 })
      a.unsentBytes = 25
      b.hold({ unsent: 25 })
      assert.isFalse(budget.isExhausted)
      b.hold({ unsent: 26 })
      assert.isTrue(budget.isExhausted)
      b.hold({ unsent: 0 })
    })
  )

  it.effect("looks at the transports as long as it is exhausted, and not longer", () =>
    Effect.gen(function* () {
      const budget = new Budget(100)
      const a = yield* member(budget)
      a.hold({ unsent: 51 })
      a.unsentBytes = 26
      yield* TestClock.adjust("50 millis")
      assert.isTrue(budget.isExhausted)
      a.unsentBytes = 25
      yield* TestClock.adjust("49 millis")
      assert.isTrue(budget.isExhausted)
      yield* TestClock.adjust("1 millis")
      assert.isFalse(budget.isExhausted)
      assert.lengthOf(timersOf(yield* Effect.clock)["heap"], 0)
    })
  )

  it.effect("while unfinished messages take more than a quarter, has no other begin", () =>
    Effect.gen(function* () {
      const budget = new Budget(100)
      const [a, b, idle] = [yield* member(budget), yield* member(budget), yield* member(budget)]
      a.hold({ unfinished: 26 })
      b.hold({ unfinished: 1 })
      assert.deepStrictEqual([a.isRead, b.isRead, idle.isRead], [true, true, false])
      a.hold({ unfinished: 12, unread: 12 })
      assert.deepStrictEqual([a.isRead, b.isRead, idle.isRead], [true, true, false])
      a.hold({ unfinished: 11 })
      assert.deepStrictEqual([a.isRead, b.isRead, idle.isRead], [true, true, true])
      assert.deepStrictEqual([a.sheds, b.sheds], [[], []])
    })
  )

  it.effect("drops the largest unfinished messages that do not end in time", () =>
    Effect.gen(function* () {
      const budget = new Budget(100)
      const [a, b, c] = [yield* member(budget), yield* member(budget), yield* member(budget)]
      a.hold({ unfinished: 10 })
      b.hold({ unfinished: 15, unread: 5 })
      c.hold({ unfinished: 2 })
      yield* TestClock.adjust("1999 millis")
      assert.deepStrictEqual([a.sheds, b.sheds, c.sheds], [[], [], []])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual([a.sheds, b.sheds, c.sheds], [[], [100], []])
      assert.isFalse(budget.isExhausted)
    })
  )

  it.effect("drops the largest at once above the whole of it, but not a message that is alone", () =>
    Effect.gen(function* () {
      const budget = new Budget(100)
      const a = yield* member(budget)
      a.hold({ unfinished: 1000 })
      assert.deepStrictEqual(a.sheds, [])
      assert.isTrue(budget.isExhausted)
      const b = yield* member(budget)
      b.hold({ unfinished: 5 })
      assert.deepStrictEqual([a.sheds, b.sheds], [[100], []])
      assert.isFalse(budget.isExhausted)
      b.hold({ unfinished: 1000 })
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(b.sheds, [100])
    })
  )

  it.effect("drops none of a connection whose messages end, one after the other", () =>
    Effect.gen(function* () {
      const budget = new Budget(100)
      const [a, b, idle] = [yield* member(budget), yield* member(budget), yield* member(budget)]
      b.hold({ unfinished: 5 })
      a.hold({ unfinished: 30 })
      for (let i = 0; i < 45; i++) {
        a.receivedMessages++
        a.hold({ unread: 30 })
        a.hold({ unread: 0 })
        yield* TestClock.adjust("50 millis")
      }
      assert.deepStrictEqual([a.sheds, b.sheds], [[], [100]])
      // Nobody waits for them for ever.
      assert.isTrue(idle.isRead)
      idle.hold({ unfinished: 1 })
      assert.isTrue(idle.isRead)
      const late = yield* member(budget)
      assert.isFalse(late.isRead)
      a.hold({ unfinished: 0 })
      assert.isTrue(late.isRead)
      idle.hold({ unfinished: 0 })
    })
  )

  it.effect("lets one more begin where nothing else moves", () =>
    Effect.gen(function* () {
      const budget = new Budget(100)
      const [a, b, c] = [yield* member(budget), yield* member(budget), yield* member(budget)]
      a.hold({ unfinished: 30 })
      yield* TestClock.adjust("199 millis")
      assert.deepStrictEqual([a.isRead, b.isRead, c.isRead], [true, false, false])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual([a.isRead, b.isRead, c.isRead], [true, true, true])
      b.hold({ unfinished: 30 })
      assert.deepStrictEqual([a.isRead, b.isRead, c.isRead], [true, true, false])
      assert.deepStrictEqual([a.sheds, b.sheds], [[], []])
      a.hold({ unfinished: 0 })
      b.hold({ unfinished: 0 })
    })
  )

  it.effect("tells its use", () =>
    Effect.gen(function* () {
      const budget = new Budget(100)
      const a = yield* member(budget)
      const b = yield* member(budget)
      a.hold({ unread: 1, unfinished: 2, unsent: 3 })
      b.hold({ unread: 10, unfinished: 20, unsent: 30 })
      assert.deepStrictEqual(budget.measure(), {
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
