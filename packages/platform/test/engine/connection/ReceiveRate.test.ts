import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import { ReceiveRate } from "../../../src/engine/connection/ReceiveRate.js"
import type { ReceiveRateSettings } from "../../../src/engine/Settings.js"
import { Timers } from "../../../src/engine/time/Timers.js"
import { ManualClock } from "../ManualClock.js"

/** Two messages, or 100 bytes, in a second. */
const settings: ReceiveRateSettings = { perMessage: 500, perByte: 10, burst: 1000, closes: false }

const make = (own: Partial<ReceiveRateSettings> = {}) => {
  const clock = new ManualClock()
  const paid: Array<number> = []
  const rate = new ReceiveRate({ ...settings, ...own }, new Timers(clock), () => paid.push(clock.monotonic()))
  return { clock, paid, rate }
}

describe("ReceiveRate", () => {
  it("allows a burst, and calls back once the excess is paid for", () => {
    const { clock, paid, rate } = make()
    assert.isFalse(rate.exceeds(2, 0))
    assert.strictEqual(clock.sleeping, 0)
    assert.isTrue(rate.exceeds(1, 0))
    clock.advance(499)
    assert.deepStrictEqual(paid, [])
    clock.advance(1)
    assert.deepStrictEqual(paid, [500])
    assert.isTrue(rate.exceeds(1, 0))
    clock.advance(10_000)
    assert.deepStrictEqual(paid, [500, 1000])
  })

  it("counts bytes and messages apart, and waits for the longer of the two", () => {
    const { clock, paid, rate } = make()
    assert.isFalse(rate.exceeds(2, 100))
    assert.isTrue(rate.exceeds(1, 300))
    clock.advance(10_000)
    assert.deepStrictEqual(paid, [3000])
  })

  it("counts only messages or bytes if only one of them has a rate", () => {
    const messages = make({ perByte: 0 })
    assert.isFalse(messages.rate.exceeds(2, 1_000_000_000))
    const bytes = make({ perMessage: 0 })
    assert.isFalse(bytes.rate.exceeds(1_000_000, 100))
  })

  it("saves nothing up beyond a burst", () => {
    const { clock, rate } = make()
    clock.advance(3_600_000)
    assert.isFalse(rate.exceeds(2, 0))
    assert.isTrue(rate.exceeds(1, 0))
  })

  it("sets no alarm if the answer is to close", () => {
    const { clock, rate } = make({ closes: true })
    assert.isTrue(rate.closes)
    assert.isTrue(rate.exceeds(3, 0))
    assert.strictEqual(clock.sleeping, 0)
  })

  it("leaves no alarm behind", () => {
    const { clock, paid, rate } = make()
    rate.exceeds(3, 0)
    rate.stop()
    rate.stop()
    assert.strictEqual(clock.sleeping, 0)
    clock.advance(10_000)
    assert.deepStrictEqual(paid, [])
  })

  it("never stops data within the rate, however it is spread", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 100 }),
        (sizes) => {
          const { clock, rate } = make({ perMessage: 0, perByte: 1 / 3 })
          for (const size of sizes) {
            clock.advance(size / 3)
            assert.isFalse(rate.exceeds(1, size))
          }
        }
      )
    )
  })
})
