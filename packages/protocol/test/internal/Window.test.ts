import { assert, describe, it } from "vitest"
import * as fc from "fast-check"
import { Window } from "../../src/internal/Window.js"
import { noise } from "../arbitraries.js"
import { concat, hex } from "../support.js"

describe("Window", () => {
  it("is empty at first", () => {
    assert.lengthOf(new Window(15).contents, 0)
  })

  it("holds the last bytes of all that was pushed", () => {
    const lengths = fc.array(fc.oneof(fc.nat({ max: 40 }), fc.nat({ max: 300 }), fc.constantFrom(255, 256, 257, 1024)))
    fc.assert(
      fc.property(fc.integer({ min: 8, max: 10 }), lengths, (bits, sizes) => {
        const window = new Window(bits)
        let all = new Uint8Array(0)
        for (const [seed, size] of sizes.entries()) {
          const data = noise(size, seed)
          window.push(data)
          all = concat([all, data]) as Uint8Array<ArrayBuffer>
          assert.strictEqual(hex(window.contents), hex(all.subarray(Math.max(0, all.length - 2 ** bits))))
        }
      })
    )
  })

  it("keeps no more memory than its size", () => {
    const window = new Window(9)
    for (let i = 0; i < 10; i++) window.push(noise(100, i))
    window.push(noise(5000, 1))
    assert.strictEqual(window.contents.buffer.byteLength, 512)
  })
})
