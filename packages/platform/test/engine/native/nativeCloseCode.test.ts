import { assert, describe, it } from "@effect/vitest"
import { toNativeCloseCode } from "../../../src/engine/native/nativeCloseCode.js"

describe("toNativeCloseCode", () => {
  it("keeps the codes that a platform sends", () => {
    for (const code of [1000, 3000, 3999, 4000, 4999]) assert.strictEqual(toNativeCloseCode(code), code)
  })

  it("replaces the others", () => {
    assert.deepStrictEqual([1001, 1003, 1009, 1011].map(toNativeCloseCode), [1000, 4003, 4009, 4011])
  })
})
