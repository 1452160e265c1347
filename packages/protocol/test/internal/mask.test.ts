import { assert, describe, it } from "vitest"
import * as fc from "fast-check"
import * as node from "../../src/internal/mask.node.js"
import { mask } from "../../src/internal/mask.js"
import * as arbitraries from "../arbitraries.js"
import { fromHex, hex } from "../support.js"

/** RFC 6455 §5.3, word for word. */
const maskByDefinition = (bytes: Uint8Array, start: number, end: number, key: number, phase: number): void => {
  for (let i = start; i < end; i++) {
    bytes[i]! ^= (key >>> (24 - 8 * ((i - start + phase) % 4))) & 0xff
  }
}

const size = 256
const source = arbitraries.noise(size, 7)
const actual = new Uint8Array(size)
const expected = new Uint8Array(size)

/** Compares all of the buffer, so that a byte outside of the range counts too. */
const check = (byteOffset: number, start: number, length: number, key: number, phase: number): void => {
  actual.set(source)
  expected.set(source)
  mask(actual.subarray(byteOffset), start, start + length, key, phase)
  maskByDefinition(expected.subarray(byteOffset), start, start + length, key, phase)
  if (Buffer.compare(actual, expected) !== 0) {
    assert.fail(`byteOffset ${byteOffset}, start ${start}, length ${length}, key ${key}, phase ${phase}`)
  }
}

describe("mask", () => {
  it("masks the example of the RFC", () => {
    const bytes = fromHex("48656c6c6f")
    mask(bytes, 0, 5, 0x37fa213d, 0)
    assert.strictEqual(hex(bytes), "7f9f4d5158")
  })

  it("is correct at every alignment, start, length and phase", () => {
    for (let byteOffset = 0; byteOffset < 16; byteOffset++) {
      for (const start of [0, 1, 2, 7, 8, 13]) {
        for (let length = 0; length <= 200; length++) {
          for (let phase = 0; phase < 8; phase++) check(byteOffset, start, length, 0x89abcdef, phase)
        }
      }
    }
  })

  it.each([0, 1, 0xff, 0x01020304, 0x7fffffff, 0x80000000, 0xff000000, 0xffffffff])("accepts the key %i", (key) => {
    for (const length of [1, 5, 47, 48, 100]) for (let phase = 0; phase < 4; phase++) check(3, 1, length, key, phase)
  })

  it("undoes itself, in parts of any size and in phases beyond 32 bits", () => {
    fc.assert(
      fc.property(
        arbitraries.payload,
        arbitraries.cuts,
        arbitraries.maskKey,
        fc.maxSafeNat().map((phase) => Math.min(phase, Number.MAX_SAFE_INTEGER - 0x20000)),
        (payload, cuts, key, phase) => {
          const bytes = payload.slice()
          mask(bytes, 0, bytes.length, key, phase)
          let position = 0
          for (const { length } of arbitraries.split(bytes, cuts)) {
            mask(bytes, position, position + length, key, phase + position)
            position += length
          }
          assert.strictEqual(Buffer.compare(bytes, payload), 0)
        }
      )
    )
  })
})

describe("mask.node.ts", () => {
  /** The same function as Node's, from Node 26.12 on. */
  const unmask = (bytes: Uint8Array, key: Uint8Array): void => {
    for (let i = 0; i < bytes.length; i++) bytes[i]! ^= key[i % 4]!
  }

  it.each([
    ["with Node's function", node.maskWith(unmask)],
    ["without it", node.maskWith(undefined)],
    ["as it is on this Node", node.mask]
  ])("is correct at every alignment, phase and size, %s", (_, maskHere) => {
    const source = arbitraries.noise(5000, 3)
    for (const length of [0, 1, 125, 4095, 4096, 4097, 4103]) {
      for (let start = 0; start < 8; start++) {
        for (let phase = 0; phase < 4; phase++) {
          const [actual, expected] = [source.slice(), source.slice()]
          maskHere(actual.subarray(1), start, start + length, 0x89abcdef, phase)
          maskByDefinition(expected.subarray(1), start, start + length, 0x89abcdef, phase)
          assert.strictEqual(Buffer.compare(actual, expected), 0, `start ${start}, length ${length}, phase ${phase}`)
        }
      }
    }
  })
})
