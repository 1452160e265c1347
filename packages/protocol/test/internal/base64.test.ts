import { assert, describe, it } from "vitest"
import * as fc from "fast-check"
import { encode, isBase64Of16 } from "../../src/internal/base64.js"
import { utf8 } from "../support.js"

describe("base64", () => {
  // RFC 4648 §10.
  it.each([
    ["", ""],
    ["f", "Zg=="],
    ["fo", "Zm8="],
    ["foo", "Zm9v"],
    ["foob", "Zm9vYg=="],
    ["fooba", "Zm9vYmE="],
    ["foobar", "Zm9vYmFy"]
  ])("encodes %j", (text, expected) => {
    assert.strictEqual(encode(utf8(text)), expected)
  })

  it("encodes as Node does, and recognises the base64 of 16 octets", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 12, maxLength: 21 }), (bytes) => {
        const text = encode(bytes)
        assert.strictEqual(text, Buffer.from(bytes).toString("base64"))
        assert.strictEqual(isBase64Of16(text), bytes.length === 16)
      })
    )
  })

  it("recognises every character of the alphabet", () => {
    for (let unit = 0; unit < 0x180; unit++) {
      const character = String.fromCharCode(unit)
      assert.strictEqual(
        isBase64Of16(`${"A".repeat(10)}${character}${"A".repeat(11)}==`),
        /[A-Za-z0-9+/]/.test(character),
        character
      )
    }
  })

  it.each([
    "",
    "A".repeat(24),
    "A".repeat(22),
    `${"A".repeat(22)}=A`,
    `${"A".repeat(21)}===`,
    `${"A".repeat(23)}==`,
    `${"A".repeat(22)}==A`
  ])("refuses %j", (text) => {
    assert.isFalse(isBase64Of16(text))
  })
})
