import { assert, describe, it } from "@effect/vitest"
import { hasControl, isVisible } from "../../../src/engine/client/characters.js"

describe("hasControl", () => {
  it("finds the control characters of ASCII, tabs and line breaks included", () => {
    const found = Array.from({ length: 0x100 }, (_, unit) => unit).filter((unit) =>
      hasControl(`a${String.fromCharCode(unit)}b`)
    )
    assert.deepStrictEqual(found, [...Array.from({ length: 0x20 }, (_, unit) => unit), 0x7f])
    assert.isFalse(hasControl(""))
  })
})

describe("isVisible", () => {
  it("accepts text of visible ASCII characters only", () => {
    assert.isTrue(isVisible("!~az09"))
    for (const text of ["", " ", "a b", "a\t", "\u007f", "é"]) assert.isFalse(isVisible(text), JSON.stringify(text))
  })
})
