import { assert, describe, it } from "@effect/vitest"
import { bytes, count, shown } from "../../src/engine/checks.js"

it("shown quotes texts, and shows everything else", () => {
  const cases = [
    ["a\n", '"a\\n"'],
    [1.5, "1.5"],
    [Number.NaN, "NaN"],
    [undefined, "undefined"],
    [null, "null"],
    [[1, 2], "1,2"]
  ] as const
  for (const [value, expected] of cases) assert.strictEqual(shown(value), expected)
})

describe.each([
  ["count", count, "must be a positive integer"],
  ["bytes", bytes, "must be a positive number of bytes"]
] as const)("%s", (_, check, expected) => {
  it("takes positive integers that are exact", () => {
    for (const value of [1, 65_536, Number.MAX_SAFE_INTEGER]) assert.strictEqual(check("option", value), value)
  })

  it("refuses anything else, and names the option and the value", () => {
    const mistakes: ReadonlyArray<unknown> = [0, -1, 1.5, Number.NaN, Infinity, 2 ** 53, "1", null, undefined, 1n]
    for (const value of mistakes) {
      assert.throws(() => check("option", value as never), RangeError, `option ${expected}, but is ${shown(value)}`)
    }
  })
})
