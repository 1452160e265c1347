import { assert, describe, it, vi } from "vitest"
import * as fc from "fast-check"
import * as node from "../../src/internal/utf8.node.js"
import * as portable from "../../src/internal/utf8.js"
import * as arbitraries from "../arbitraries.js"
import { concat, fatalDecode, fromHex, hex, utf8 } from "../support.js"

/** The module without the undocumented methods of Buffer. */
const withoutMethods = async (): Promise<typeof node> => {
  const names = ["utf8Slice", "utf8Write"] as const
  const methods = names.map((name) => [name, Object.getOwnPropertyDescriptor(Buffer.prototype, name)!] as const)
  for (const name of names) Reflect.deleteProperty(Buffer.prototype, name)
  try {
    vi.resetModules()
    return await import("../../src/internal/utf8.node.js")
  } finally {
    for (const [name, method] of methods) Object.defineProperty(Buffer.prototype, name, method)
  }
}

describe.each([
  ["utf8.ts", portable],
  ["utf8.node.ts", node],
  ["utf8.node.ts without the methods", await withoutMethods()]
] as const)("%s", (_, { byteLength, decode, encodeInto, isValid }) => {
  it.each<[text: string, bytes: string]>([
    ["", ""],
    ["a\0\x7f", "61007f"],
    ["\x80\u07ff", "c280dfbf"],
    ["\u0800\uffff", "e0a080efbfbf"],
    ["\ud7ff\ue000", "ed9fbfee8080"],
    ["\u{10000}\u{10ffff}", "f0908080f48fbfbf"],
    ["\ufeffa\ufeff", "efbbbf61efbbbf"],
    ["\ufffd", "efbfbd"],
    ["\ufffda\ufffd", "efbfbd61efbfbd"]
  ])("reads and writes %j", (text, bytes) => {
    const encoded = fromHex(bytes)
    assert.strictEqual(decode(encoded, 0, encoded.length), text)
    assert.isTrue(isValid(encoded, 0, encoded.length))
    assert.strictEqual(byteLength(text), encoded.length)
    const target = new Uint8Array(encoded.length)
    assert.strictEqual(encodeInto(text, target, 0), encoded.length)
    assert.deepStrictEqual(target, encoded)
  })

  it.each([
    "80",
    "bf",
    "c0",
    "c080",
    "c1bf",
    "c2",
    "c241",
    "e0",
    "e08080",
    "e09fbf",
    "e282",
    "e28241",
    "eda080",
    "edbfbf",
    "eda080edb080",
    "f0",
    "f08080",
    "f08fbfbf",
    "f4908080",
    "f5808080",
    "f888808080",
    "fe",
    "ff",
    "61ff",
    "efbfbd80",
    "efbfbdff",
    "efbbbfc3"
  ])("refuses %s", (text) => {
    const bytes = fromHex(text)
    assert.isUndefined(decode(bytes, 0, bytes.length))
    assert.isFalse(isValid(bytes, 0, bytes.length))
    // A refused text does not affect later calls.
    assert.strictEqual(decode(utf8("é"), 0, 2), "é")
  })

  it.each<[text: string, bytes: string]>([
    ["\ud800", "efbfbd"],
    ["\udc00", "efbfbd"],
    ["\udc00\ud800", "efbfbdefbfbd"],
    ["\ud800\ud800\udc00\udc00", "efbfbdf0908080efbfbd"],
    ["a\ud83c", "61efbfbd"],
    ["\ud83ca", "efbfbd61"]
  ])("writes U+FFFD for the lone surrogates of %j", (text, bytes) => {
    assert.strictEqual(byteLength(text), bytes.length / 2)
    const target = new Uint8Array(bytes.length / 2)
    assert.strictEqual(encodeInto(text, target, 0), target.length)
    assert.strictEqual(hex(target), bytes)
  })

  it("writes at an offset and nowhere else", () => {
    const target = new Uint8Array(8).fill(0xee)
    assert.strictEqual(encodeInto("aé", target.subarray(1), 2), 3)
    assert.strictEqual(hex(target), "eeeeee61c3a9eeee")
    assert.strictEqual(encodeInto("", target, 8), 0)
  })

  it("reads only the range", () => {
    const bytes = fromHex("ff c3a9 c3").subarray(1)
    assert.strictEqual(decode(bytes, 0, 2), "é")
    assert.strictEqual(decode(bytes, 1, 1), "")
    assert.isTrue(isValid(bytes, 0, 2))
    assert.isTrue(isValid(bytes, 3, 3))
    for (const [start, end] of [
      [0, 1],
      [1, 2],
      [0, 3]
    ] as const) {
      assert.isUndefined(decode(bytes, start, end))
      assert.isFalse(isValid(bytes, start, end))
    }
  })

  it("decodes as a fatal TextDecoder that keeps the byte order mark", () => {
    fc.assert(
      fc.property(arbitraries.almostUtf8, fc.nat(3), (bytes, padding) => {
        const padded = concat([new Uint8Array(padding).fill(0xff), bytes, new Uint8Array(padding).fill(0xff)])
        const expected = fatalDecode(bytes)
        assert.strictEqual(decode(padded, padding, padding + bytes.length), expected)
        assert.strictEqual(isValid(padded, padding, padding + bytes.length), expected !== undefined)
      }),
      { numRuns: 1000 }
    )
  })

  it("measures and writes as a TextEncoder, and reads it back", () => {
    fc.assert(
      fc.property(arbitraries.looseText, fc.nat(3), (text, offset) => {
        const expected = utf8(text)
        assert.strictEqual(byteLength(text), expected.length)
        const target = new Uint8Array(offset + expected.length)
        assert.strictEqual(encodeInto(text, target, offset), expected.length)
        assert.strictEqual(hex(target.subarray(offset)), hex(expected))
        assert.strictEqual(hex(target.subarray(0, offset)), "00".repeat(offset))
        assert.strictEqual(decode(target, offset, target.length), fatalDecode(expected))
      })
    )
  })

  it("accepts long texts", () => {
    const text = "aé€🌍".repeat(20_000)
    const bytes = new Uint8Array(byteLength(text))
    assert.strictEqual(encodeInto(text, bytes, 0), 200_000)
    assert.isTrue(decode(bytes, 0, bytes.length) === text)
    bytes[199_999] = 0x7f
    assert.isUndefined(decode(bytes, 0, bytes.length))
  })
})
