import { assert, describe, it, vi } from "@effect/vitest"
import { randomBytes, randomBytesFrom, randomMaskKey } from "../../src/engine/random.js"

// More than a pool holds, so that the edges between pools are met.
const draws = 10_000

describe("randomMaskKey", () => {
  it("draws from all integers of 32 bits", () => {
    const keys = Array.from({ length: draws }, randomMaskKey)
    assert.isTrue(keys.every((key) => key === (key | 0)))
    // Two of 10,000 are equal about once in a hundred runs; ten in none.
    assert.isAbove(new Set(keys).size, draws - 10)
    // Each bit is set in about half of them, by far more than ten standard deviations.
    for (let bit = 0; bit < 32; bit++) {
      const ones = keys.filter((key) => ((key >>> bit) & 1) === 1).length
      assert.isAbove(ones, draws * 0.4)
      assert.isBelow(ones, draws * 0.6)
    }
  })
})

describe("randomBytes", () => {
  it("draws as many as asked for, never the same twice", () => {
    for (const count of [0, 1, 8, 16, 8191, 8192]) assert.lengthOf(randomBytes(count), count)
    const drawn = Array.from({ length: draws }, () => randomBytes(16))
    assert.strictEqual(new Set(drawn.map((bytes) => Buffer.from(bytes).toString("hex"))).size, draws)
  })

  it("hands out memory of its own", () => {
    const bytes = randomBytes(16)
    const copy = bytes.slice()
    assert.strictEqual(bytes.buffer.byteLength, 16)
    for (let i = 0; i < draws; i++) randomMaskKey()
    assert.deepStrictEqual(bytes, copy)
  })
})

it("randomBytesFrom asks the source, if there is one", () => {
  const source = { getRandomValues: (bytes: Uint8Array) => bytes.fill(7) }
  assert.deepStrictEqual(randomBytesFrom(source, 3), Uint8Array.of(7, 7, 7))
  assert.lengthOf(randomBytesFrom(undefined, 3), 3)
})

it("comes from the runtime's secure source and from nowhere else", () => {
  const source = vi.spyOn(globalThis.crypto, "getRandomValues").mockImplementation((pool) => {
    if (pool instanceof Uint8Array) pool.fill(0xab)
    return pool
  })
  try {
    const keys = Array.from({ length: 2 * 2048 }, randomMaskKey)
    assert.strictEqual(keys.at(-1)! >>> 0, 0xabababab)
    assert.isTrue(randomBytes(16).every((byte) => byte === 0xab))
    assert.isAbove(source.mock.calls.length, 0)
  } finally {
    source.mockRestore()
    // What is left of the pool is nobody's secret.
    randomBytes(8192)
  }
})
