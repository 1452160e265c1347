import { assert, describe, it } from "vitest"
import * as fc from "fast-check"
import { Utf8Validator } from "../../src/internal/Utf8Validator.js"
import * as arbitraries from "../arbitraries.js"
import { concat, fatalDecode, fromHex, utf8 } from "../support.js"

// One of these completes every beginning of a character: a second byte must be at least A0 after E0, at least 90 after
// F0, below A0 after ED and below 90 after F4.
const completions = [[], [0x80], [0xa0], [0x80, 0x80], [0xa0, 0x80], [0x80, 0x80, 0x80], [0xa0, 0x80, 0x80]].map(
  (bytes) => Uint8Array.from(bytes)
)

/** Whether some continuation makes the bytes UTF-8, by the platform's own decoder. */
const isPrefix = (bytes: Uint8Array): boolean =>
  completions.some((completion) => fatalDecode(concat([bytes, completion])) !== undefined)

/** How many bytes it takes to see that the whole is not UTF-8; `undefined` where that is not to be seen. */
const brokenAfter = (bytes: Uint8Array): number | undefined => {
  for (let length = 1; length <= bytes.length; length++) if (!isPrefix(bytes.subarray(0, length))) return length
  return undefined
}

/** How many bytes had been pushed when it failed, and whether it is at the end of a character where it did not. */
const validate = (
  chunks: ReadonlyArray<Uint8Array>
): { readonly failedAfter: number } | { readonly complete: boolean } => {
  const validator = new Utf8Validator()
  let pushed = 0
  for (const chunk of chunks) {
    pushed += chunk.length
    const padded = concat([Uint8Array.of(0xff), chunk, Uint8Array.of(0xff)])
    if (!validator.push(padded, 1, 1 + chunk.length)) return { failedAfter: pushed }
  }
  return { complete: validator.complete }
}

const bytewise = (bytes: Uint8Array) => Array.from(bytes, (byte) => Uint8Array.of(byte))

describe("Utf8Validator", () => {
  it("fails within the push that has an invalid byte, and tells whether a character is cut off", () => {
    fc.assert(
      fc.property(arbitraries.almostUtf8, arbitraries.cuts, (bytes, cuts) => {
        const broken = brokenAfter(bytes)
        const chunks = arbitraries.split(bytes, cuts)
        if (broken === undefined) {
          const complete = fatalDecode(bytes) !== undefined
          assert.deepStrictEqual(validate(chunks), { complete })
          assert.deepStrictEqual(validate(bytewise(bytes)), { complete })
        } else {
          let end = 0
          for (const chunk of chunks) if (end < broken) end += chunk.length
          assert.deepStrictEqual(validate(chunks), { failedAfter: end })
          assert.deepStrictEqual(validate(bytewise(bytes)), { failedAfter: broken })
        }
      }),
      { numRuns: 1000 }
    )
  })

  it("accepts exactly the valid second bytes for every lead byte", () => {
    const bounds = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff]
    for (let lead = 0x7f; lead <= 0xff; lead++) {
      for (const second of bounds) {
        for (const rest of [[], [0x80], [0x80, 0xbf], [0xc0], [0x80, 0x7f]]) {
          const bytes = Uint8Array.from([lead, second, ...rest])
          const broken = brokenAfter(bytes)
          const complete = broken === undefined && fatalDecode(bytes) !== undefined
          const message = Buffer.from(bytes).toString("hex")
          assert.deepStrictEqual(
            validate([bytes]),
            broken === undefined ? { complete } : { failedAfter: bytes.length },
            message
          )
          assert.deepStrictEqual(
            validate(bytewise(bytes)),
            broken === undefined ? { complete } : { failedAfter: broken },
            message
          )
        }
      }
    }
  })

  it.each(["f4 90", "ed a0", "e0 80", "f0 8f", "c1", "f5", "80", "c3 28", "e2 82 28", "f0 9f 8c 28"])(
    "does not wait for the rest of %s",
    (text) => {
      const bytes = fromHex(text)
      assert.deepStrictEqual(validate(bytewise(bytes)), { failedAfter: bytes.length })
      assert.deepStrictEqual(validate([utf8("long enough"), bytes]), { failedAfter: 11 + bytes.length })
    }
  )

  it("is complete between characters only", () => {
    const validator = new Utf8Validator()
    const states = bytewise(utf8("aé€🌍")).map((byte) => [validator.push(byte, 0, 1), validator.complete])
    assert.deepStrictEqual(
      states,
      [true, false, true, false, false, true, false, false, false, true].map((complete) => [true, complete])
    )
  })

  it.each(["c3", "e0", "ed", "f0", "f4", "f09f8c"])("forgets %s on reset", (text) => {
    const bytes = fromHex(text)
    const validator = new Utf8Validator()
    assert.isTrue(validator.complete)
    assert.isTrue(validator.push(bytes, 0, bytes.length))
    assert.isFalse(validator.complete)
    validator.reset()
    assert.isTrue(validator.complete)
    // Both bounds of the next byte are back where they were, which only bytes that come alone show.
    for (const byte of fromHex("e18080e1bfbf61")) assert.isTrue(validator.push(Uint8Array.of(byte), 0, 1))
    assert.isTrue(validator.complete)
  })

  it("accepts an empty range", () => {
    const validator = new Utf8Validator()
    assert.isTrue(validator.push(fromHex("ff"), 1, 1))
    assert.isTrue(validator.push(fromHex("c3"), 0, 1))
    assert.isTrue(validator.push(fromHex("ff"), 0, 0))
    assert.isFalse(validator.complete)
    assert.isTrue(validator.push(fromHex("a9"), 0, 1))
  })
})
