import { assert, describe, it } from "vitest"
import * as Mask from "@effect-websocket/protocol/Mask"
import { utf8 } from "./support.js"

describe("Mask", () => {
  it("reads many keys at a time from a source, and uses none twice", () => {
    let asked = 0
    const keys = Mask.keys({
      getRandomValues: (bytes) => {
        asked++
        new Uint32Array(bytes.buffer).forEach((_, i, words) => (words[i] = asked * 0x10000 + i))
      }
    })
    assert.strictEqual(asked, 0)
    const taken = Array.from({ length: 2049 }, keys)
    assert.strictEqual(asked, 3)
    assert.strictEqual(new Set(taken).size, taken.length)
    assert.strictEqual(taken[1024], 0x20000)
  })

  it("reads 32-bit integers from globalThis.crypto", () => {
    const keys = Mask.keys(globalThis.crypto)
    for (let i = 0; i < 8; i++) {
      const key = keys()
      assert.strictEqual(key, key >>> 0)
    }
  })

  it("masks and unmasks the example of RFC 6455 §5.7, also in parts", () => {
    const bytes = utf8("Hello")
    Mask.apply(bytes, 0x37fa213d)
    assert.deepStrictEqual(bytes, Uint8Array.of(0x7f, 0x9f, 0x4d, 0x51, 0x58))
    Mask.apply(bytes.subarray(0, 3), 0x37fa213d)
    Mask.apply(bytes.subarray(3), 0x37fa213d, 3)
    assert.deepStrictEqual(bytes, utf8("Hello"))
  })
})
