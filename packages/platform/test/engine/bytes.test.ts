import { concat, isSameBytes } from "../../src/engine/bytes.js"
import { assert, describe, it } from "@effect/vitest"

describe("concat", () => {
  it("joins all parts into bytes of their own", () => {
    const part = Uint8Array.of(1, 2)
    const whole = concat([part, Uint8Array.of(), Uint8Array.of(3)])
    part.fill(9)
    assert.deepStrictEqual(whole, Uint8Array.of(1, 2, 3))
    assert.deepStrictEqual(concat([]), Uint8Array.of())
  })
})

describe("isSameBytes", () => {
  it.each<[string, ReadonlyArray<number>, ReadonlyArray<number>, boolean]>([
    ["nothing", [], [], true],
    ["equal ones", [1, 2], [1, 2], true],
    ["others", [1, 2], [1, 3], false],
    ["fewer", [1, 2], [1], false],
    ["more", [1], [1, 2], false]
  ])("compares %s", (_, left, right, expected) => {
    assert.strictEqual(isSameBytes(Uint8Array.from(left), Uint8Array.from(right)), expected)
  })
})
