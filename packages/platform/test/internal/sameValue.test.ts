import * as fc from "fast-check"
import { Option } from "effect"
import { isSameValue } from "../../src/internal/sameValue.js"
import { assert, describe, it } from "../effect/vitest.js"

describe("isSameValue", () => {
  it("is true for a copy of any JSON value, and false for another one", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (left, right) => {
        const [first, second] = [JSON.stringify(left), JSON.stringify(right)]
        assert.isTrue(isSameValue(JSON.parse(first), JSON.parse(first)))
        if (first.length !== second.length) assert.isFalse(isSameValue(JSON.parse(first), JSON.parse(second)))
      })
    )
  })

  it("compares bytes, dates and the data types of Effect", () => {
    assert.isTrue(isSameValue(new Uint8Array([1]), new Uint8Array([1])))
    assert.isFalse(isSameValue(new Uint8Array([1]), new Uint8Array([2])))
    assert.isTrue(isSameValue([new Date(1)], [new Date(1)]))
    assert.isFalse(isSameValue(new Date(1), new Date(2)))
    assert.isTrue(isSameValue({ a: Option.some(1) }, { a: Option.some(1) }))
    assert.isFalse(isSameValue({ a: Option.some(1) }, { a: Option.none() }))
    assert.isFalse(isSameValue({ a: undefined }, { b: undefined }))
    assert.isFalse(isSameValue([], {}))
    assert.isFalse(isSameValue(1, "1"))
  })
})
