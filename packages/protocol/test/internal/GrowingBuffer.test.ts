import { assert, describe, it } from "vitest"
import * as fc from "fast-check"
import { copyInto, copyOf, GrowingBuffer, viewOrCopy } from "../../src/internal/GrowingBuffer.js"
import * as arbitraries from "../arbitraries.js"
import { concat, hex } from "../support.js"

const mebibyte = 1024 * 1024

/** The capacity after parts of these sizes. */
const capacity = (sizes: ReadonlyArray<number>, expected: number, limit: number): number => {
  const buffer = new GrowingBuffer()
  for (const size of sizes) buffer.append(new Uint8Array(size), 0, size, expected, limit)
  return buffer.take().length
}

describe("GrowingBuffer", () => {
  it("holds all parts in order, and starts again once they are taken", () => {
    const parts = fc.array(arbitraries.controlPayload, { maxLength: 12 })
    fc.assert(
      fc.property(parts, parts, (first, second) => {
        const buffer = new GrowingBuffer()
        const taken = [first, second].map((parts) => {
          const whole = concat(parts)
          for (const part of parts) {
            const padded = concat([Uint8Array.of(1), part, Uint8Array.of(2)])
            buffer.append(padded, 1, 1 + part.length, 0, whole.length)
            // It keeps nothing of what it was given.
            padded.fill(0xee)
          }
          assert.strictEqual(buffer.size, whole.length)
          const bytes = buffer.take()
          assert.strictEqual(buffer.size, 0)
          assert.isAtMost(bytes.buffer.byteLength, whole.length)
          return { bytes, whole }
        })
        for (const { bytes, whole } of taken) assert.strictEqual(hex(bytes.subarray(0, whole.length)), hex(whole))
      })
    )
  })

  it("holds all parts in memory that is used again", () => {
    const parts = Array.from({ length: 40 }, (_, i) => new Uint8Array(100).fill(i))
    for (let round = 0; round < 3; round++) {
      const buffer = new GrowingBuffer()
      buffer.pooled = true
      for (const part of parts) buffer.append(part, 0, part.length, 0, 2 ** 30)
      assert.strictEqual(buffer.capacity & (buffer.capacity - 1), 0)
      assert.strictEqual(hex(buffer.take().subarray(0, 4000)), hex(concat(parts)))
    }
  })

  it("holds nothing before the first byte, whatever is announced", () => {
    assert.strictEqual(capacity([], 2 ** 40, 2 ** 41), 0)
    assert.strictEqual(capacity([0, 0], 2 ** 40, 2 ** 41), 0)
  })

  it.each<[sizes: ReadonlyArray<number>, expected: number, limit: number, capacity: number]>([
    // At once what was announced, but no more than 1 MiB of it.
    [[1], 1000, 5000, 1000],
    [[1], 1000, 1000, 1000],
    [[1], 2 ** 40, 2 ** 41, mebibyte],
    // At least 256 bytes, unless the limit is below.
    [[1], 1, 5000, 256],
    [[1], 1, 100, 100],
    // Then twice as much, up to the limit.
    [[256, 1], 1, 5000, 512],
    [[256, 1], 1, 300, 300],
    [[mebibyte, 1], 1, 2 ** 41, 2 * mebibyte],
    // Or what is announced, up to four times as much.
    [[mebibyte, 1], 2 ** 40, 2 ** 41, 4 * mebibyte],
    [[mebibyte, 1], 3 * mebibyte, 2 ** 41, 3 * mebibyte],
    [[mebibyte, 1], 2 ** 40, 3 * mebibyte, 3 * mebibyte],
    // And what is there, always.
    [[10_000], 10_000, 10_000, 10_000],
    [[2 * mebibyte], 2 * mebibyte, 2 ** 41, 2 * mebibyte],
    [[256, 10_000], 10_256, 20_000, 10_256]
  ])("after parts of %j bytes, with %i announced and a limit of %i: %i", (sizes, expected, limit, bytes) => {
    assert.strictEqual(capacity(sizes, expected, limit), bytes)
  })

  it("doubles for single bytes, so that each is copied a constant number of times", () => {
    const capacities = new Set<number>()
    for (let count = 1; count <= 1500; count++) capacities.add(capacity(Array<number>(count).fill(1), 1, 1500))
    assert.deepStrictEqual(Array.from(capacities), [256, 512, 1024, 1500])
  })

  it("never holds more than the limit, or much more than has arrived or was announced", () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 3000 }), { minLength: 1, maxLength: 10 })
    fc.assert(
      fc.property(sizes, fc.nat(10_000), fc.nat(10_000), (sizes, announced, spare) => {
        const total = sizes.reduce((sum, size) => sum + size, 0)
        const limit = total + spare
        const bytes = capacity(sizes, announced, limit)
        assert.isAtLeast(bytes, total)
        assert.isAtMost(bytes, Math.min(limit, Math.max(2 * total, announced, 256)))
      })
    )
  })

  it.each([0, 1, 31, 32, 33, 100])("copies %i bytes, and no others", (length) => {
    const source = arbitraries.noise(200, 5).subarray(9)
    const expected = hex(source.subarray(3, 3 + length))
    const target = new Uint8Array(150).subarray(7)
    copyInto(target, 2, source, 3, 3 + length)
    assert.strictEqual(hex(target), `0000${expected}`.padEnd(2 * target.length, "0"))

    const copy = copyOf(source, 3, 3 + length)
    assert.strictEqual(hex(copy), expected)
    assert.strictEqual(copy.buffer.byteLength, length)
    source.fill(0)
    assert.strictEqual(hex(copy), expected)
  })

  it.each<[start: number, end: number, isView: boolean]>([
    [0, 100, true],
    [10, 35, true],
    [75, 100, true],
    [10, 34, false],
    [50, 50, false]
  ])("of %i to %i of 100 bytes: a view is %s", (start, end, isView) => {
    const whole = arbitraries.noise(110, 3).slice(10)
    const part = viewOrCopy(whole, start, end)
    assert.strictEqual(hex(part), hex(whole.subarray(start, end)))
    assert.strictEqual(part.buffer === whole.buffer, isView)
    if (!isView) assert.strictEqual(part.buffer.byteLength, end - start)
  })

  it("measures a view by the buffer that it keeps alive", () => {
    const view = arbitraries.noise(100, 3).subarray(60, 90)
    assert.strictEqual(viewOrCopy(view, 0, 25).buffer, view.buffer)
    assert.strictEqual(hex(viewOrCopy(view, 2, 27)), hex(view.subarray(2, 27)))
    assert.strictEqual(viewOrCopy(view, 0, 24).buffer.byteLength, 24)
  })

  it("has zeros behind the bytes, whatever was in its memory before", () => {
    for (let i = 0; i < 50; i++) {
      // Freed memory with content, which may be used for the buffer.
      for (let j = 0; j < 20; j++) Buffer.allocUnsafeSlow(20_000).fill(255)
      const buffer = new GrowingBuffer()
      buffer.append(new Uint8Array(1), 0, 1, 1, 40_000)
      buffer.append(new Uint8Array(10_000), 0, 10_000, 20_000, 40_000)
      assert.isTrue(new Uint8Array(buffer.take().buffer).every((byte) => byte === 0))
    }
  })
})
