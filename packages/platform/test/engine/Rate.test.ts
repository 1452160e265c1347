import { assert, describe, it } from "@effect/vitest"
import { charge, overdraft } from "../../src/engine/Rate.js"

describe("a rate", () => {
  it("allows a burst, and then one per cost", () => {
    const rate = { cost: 100, burst: 300 }
    const allowed = rate.burst - rate.cost
    let paidAt = 0
    for (let i = 0; i < 3; i++) {
      assert.strictEqual(overdraft(paidAt, 1000, allowed), 0)
      paidAt = charge(paidAt, 1000, rate.cost)
    }
    assert.closeTo(overdraft(paidAt, 1000, allowed), 100, 0.001)
    assert.closeTo(overdraft(paidAt, 1060, allowed), 40, 0.001)
    assert.strictEqual(overdraft(paidAt, 1100, allowed), 0)
  })

  it("saves no more than a burst", () => {
    assert.strictEqual(charge(0, 1_000_000, 100), 1_000_100)
  })

  it("is exact enough for costs that no number can hold", () => {
    const cost = 1000 / 3
    let paidAt = 0
    for (let i = 0; i < 3000; i++) paidAt = charge(paidAt, 0, cost)
    assert.strictEqual(overdraft(paidAt, 1_000_000, 0), 0)
  })
})
