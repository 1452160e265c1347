import { assert, describe, it } from "@effect/vitest"
import { Budget, Ledger, type BudgetMember } from "../../../src/engine/connection/Budget.js"
import { Timers } from "../../../src/engine/time/Timers.js"
import { ManualClock } from "../ManualClock.js"

/** A connection that holds what the test says. `isRead` says whether the budget lets it be read. */
const addMember = (budget: Budget, timers: Timers) => {
  const ledger = new Ledger(budget, timers)
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
}

const make = (maxBytes: number) => {
  const clock = new ManualClock()
  const timers = new Timers(clock)
  const budget = new Budget(maxBytes)
  return { budget, clock, member: () => addMember(budget, timers) }
}

describe("budget", () => {
  it("above its half does not read those that have unread messages, until half of that is free", () => {
    const { budget, member } = make(100)
    const [a, b, idle] = [member(), member(), member()]
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

  it("above the other half lets all connections send only up to their low-water mark, and continues to read", () => {
    const { budget, member } = make(100)
    const a = member()
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

  it("calls its members once when something changes, also later members", () => {
    const { budget, member } = make(10)
    const a = member()
    const before = a.orders
    a.hold({ unread: 11 })
    a.hold({ unread: 12 })
    assert.strictEqual(a.orders, before + 1)
    const b = member()
    assert.strictEqual(b.orders, 1)
    a.hold({ unread: 0 })
    assert.strictEqual(a.orders, before + 2)
    budget.delete(a)
    b.hold({ unread: 11 })
    assert.strictEqual(a.orders, before + 2)
    assert.strictEqual(budget.measure().connections, 1)
    b.hold({ unread: 0 })
  })

  it("counts what left the transports unseen, before it calls itself exhausted", () => {
    const { budget, member } = make(100)
    const a = member()
    const b = member()
    a.hold({ unsent: 45 })
    a.unsentBytes = 25
    b.hold({ unsent: 25 })
    assert.isFalse(budget.isExhausted)
    b.hold({ unsent: 26 })
    assert.isTrue(budget.isExhausted)
    b.hold({ unsent: 0 })
  })

  it("looks at the transports as long as it is exhausted, and not longer", () => {
    const { budget, clock, member } = make(100)
    const a = member()
    a.hold({ unsent: 51 })
    a.unsentBytes = 26
    clock.advance(50)
    assert.isTrue(budget.isExhausted)
    a.unsentBytes = 25
    clock.advance(49)
    assert.isTrue(budget.isExhausted)
    clock.advance(1)
    assert.isFalse(budget.isExhausted)
    assert.strictEqual(clock.sleeping, 0)
  })

  it("while unfinished messages take more than a quarter, has no other begin", () => {
    const { member } = make(100)
    const [a, b, idle] = [member(), member(), member()]
    a.hold({ unfinished: 26 })
    b.hold({ unfinished: 1 })
    assert.deepStrictEqual([a.isRead, b.isRead, idle.isRead], [true, true, false])
    a.hold({ unfinished: 12, unread: 12 })
    assert.deepStrictEqual([a.isRead, b.isRead, idle.isRead], [true, true, false])
    a.hold({ unfinished: 11 })
    assert.deepStrictEqual([a.isRead, b.isRead, idle.isRead], [true, true, true])
    assert.deepStrictEqual([a.sheds, b.sheds], [[], []])
  })

  it("drops the largest unfinished messages that do not end in time", () => {
    const { budget, clock, member } = make(100)
    const [a, b, c] = [member(), member(), member()]
    a.hold({ unfinished: 10 })
    b.hold({ unfinished: 15, unread: 5 })
    c.hold({ unfinished: 2 })
    clock.advance(1999)
    assert.deepStrictEqual([a.sheds, b.sheds, c.sheds], [[], [], []])
    clock.advance(1)
    assert.deepStrictEqual([a.sheds, b.sheds, c.sheds], [[], [100], []])
    assert.isFalse(budget.isExhausted)
  })

  it("drops the largest at once above the whole of it, but not a message that is alone", () => {
    const { budget, clock, member } = make(100)
    const a = member()
    a.hold({ unfinished: 1000 })
    assert.deepStrictEqual(a.sheds, [])
    assert.isTrue(budget.isExhausted)
    const b = member()
    b.hold({ unfinished: 5 })
    assert.deepStrictEqual([a.sheds, b.sheds], [[100], []])
    assert.isFalse(budget.isExhausted)
    b.hold({ unfinished: 1000 })
    clock.advance(2000)
    assert.deepStrictEqual(b.sheds, [100])
  })

  it("drops none of a connection whose messages end, one after the other", () => {
    const { clock, member } = make(100)
    const [a, b, idle] = [member(), member(), member()]
    b.hold({ unfinished: 5 })
    a.hold({ unfinished: 30 })
    for (let i = 0; i < 45; i++) {
      a.receivedMessages++
      a.hold({ unread: 30 })
      a.hold({ unread: 0 })
      clock.advance(50)
    }
    assert.deepStrictEqual([a.sheds, b.sheds], [[], [100]])
    // Nobody waits for them for ever.
    assert.isTrue(idle.isRead)
    idle.hold({ unfinished: 1 })
    assert.isTrue(idle.isRead)
    const late = member()
    assert.isFalse(late.isRead)
    a.hold({ unfinished: 0 })
    assert.isTrue(late.isRead)
    idle.hold({ unfinished: 0 })
  })

  it("lets one more begin if nothing else makes progress", () => {
    const { clock, member } = make(100)
    const [a, b, c] = [member(), member(), member()]
    a.hold({ unfinished: 30 })
    clock.advance(199)
    assert.deepStrictEqual([a.isRead, b.isRead, c.isRead], [true, false, false])
    clock.advance(1)
    assert.deepStrictEqual([a.isRead, b.isRead, c.isRead], [true, true, true])
    b.hold({ unfinished: 30 })
    assert.deepStrictEqual([a.isRead, b.isRead, c.isRead], [true, true, false])
    assert.deepStrictEqual([a.sheds, b.sheds], [[], []])
    a.hold({ unfinished: 0 })
    b.hold({ unfinished: 0 })
  })

  it("reports its usage", () => {
    const { budget, member } = make(100)
    const a = member()
    const b = member()
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
})
