import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { parse } from "../../../src/engine/client/RetryAfter.js"

const now = Date.parse("2026-01-01T00:00:00Z")

describe("parse", () => {
  for (const [header, millis] of [
    ["120", 120_000],
    [" 7 ", 7000],
    [["7", "8"], 7000],
    ["0", 0],
    ["Thu, 01 Jan 2026 00:01:30 GMT", 90_000],
    ["Thursday, 01-Jan-26 00:01:30 GMT", 90_000],
    ["Thu Jan  1 00:01:30 2026", 90_000],
    ["Wed, 31 Dec 2025 00:00:00 GMT", 0],
    ["Thu, 99 Jan 2026 00:01:30 GMT", undefined],
    ["1.5", undefined],
    ["-5", undefined],
    ["2026-01-02", undefined],
    ["", undefined],
    [undefined, undefined]
  ] as const) {
    it(`reads ${JSON.stringify(header) ?? "no header"} as ${millis} milliseconds`, () => {
      assert.strictEqual(parse({ "retry-after": header }, now), millis)
    })
  }

  it("reads every date as the time from now to then", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_000_000_000 }), (seconds) => {
        const date = new Date(seconds * 1000)
        assert.strictEqual(parse({ "Retry-After": date.toUTCString() }, now), Math.max(date.getTime() - now, 0))
      })
    )
  })
})
