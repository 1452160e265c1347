import { assert, describe, it } from "@effect/vitest"
import { Duration, Option } from "effect"
import { Failure } from "../src/Failure.js"
import { parseDuration, parseHeaders } from "../src/flags.js"

describe("flags", () => {
  it("parses times", () => {
    const cases = [
      ["5", 5000],
      ["1.5s", 1500],
      ["200ms", 200],
      ["2m", 120_000],
      ["1h", 3_600_000],
      ["0", 0],
      ["infinite", Infinity]
    ] as const
    for (const [text, millis] of cases) {
      assert.strictEqual(Option.getOrThrow(Option.map(parseDuration(text), Duration.toMillis)), millis)
    }
    for (const text of ["", "-1", "5 s", "5d", "1e3", "s"]) assert.isTrue(Option.isNone(parseDuration(text)))
  })

  it("parses headers, also repeated ones", () => {
    assert.deepStrictEqual(parseHeaders(["A: 1", "B:2: 3", "A:  4 "]), { A: ["1", "4"], B: ["2: 3"] })
    for (const line of ["A", ": 1", ""]) assert.instanceOf(parseHeaders([line]), Failure)
  })
})
