import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import { resolve, timeout } from "../../src/internal/settings.js"

describe("resolve", () => {
  it("fills in the defaults that the README lists", () => {
    const { closeTimeout, limits, ...rest } = resolve()
    assert.deepStrictEqual(rest, {
      maxFrameSize: undefined,
      sendMarks: { high: 65_536, low: 16_384 },
      receiveHighWaterMark: 65_536
    })
    assert.strictEqual(Duration.toMillis(closeTimeout), 5000)
    assert.deepStrictEqual([limits.maxMessageBytes, limits.maxFragments], [1_048_576, 1024])
  })

  it("keeps the low-water mark below a high one that is smaller", () => {
    assert.deepStrictEqual(resolve({ sendHighWaterMark: 100 }).sendMarks, { high: 100, low: 100 })
  })

  for (const options of [
    { sendHighWaterMark: 0 },
    { sendHighWaterMark: 1.5 },
    { sendLowWaterMark: 65_537 },
    { receiveHighWaterMark: Number.NaN },
    { closeTimeout: -1 },
    { closeTimeout: Infinity }
  ]) {
    it(`takes ${JSON.stringify(options)} for a defect`, () => {
      assert.throws(() => resolve(options), RangeError)
    })
  }
})

describe("timeout", () => {
  it("names the option", () => {
    assert.throws(() => timeout("openTimeout", 0), /^openTimeout must be a finite duration above zero/)
  })
})
