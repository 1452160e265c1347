import { assert, describe, it, vi } from "vitest"
import * as fc from "fast-check"
import type * as Memory from "../../src/internal/memory.js"

/** A new instance of the module, which keeps no memory yet. */
const fresh = async (): Promise<typeof Memory> => {
  vi.resetModules()
  return import("../../src/internal/memory.js")
}

/** The same on a runtime whose buffers have this method `transfer`, or none. */
const withTransfer = async (value: ((this: ArrayBuffer) => ArrayBuffer) | undefined): Promise<typeof Memory> => {
  const { prototype } = ArrayBuffer
  const own = Object.getOwnPropertyDescriptor(prototype, "transfer")
  Object.defineProperty(prototype, "transfer", { value, configurable: true })
  try {
    return await fresh()
  } finally {
    if (own === undefined) Reflect.deleteProperty(prototype, "transfer")
    else Object.defineProperty(prototype, "transfer", own)
  }
}

const transfer = function (this: ArrayBuffer): ArrayBuffer {
  return structuredClone(this, { transfer: [this] })
}

const mebibyte = 1024 * 1024

describe.each([
  ["with transfer", () => withTransfer(transfer)],
  ["without transfer", () => withTransfer(undefined)]
])("memory, on a runtime %s", (_, load) => {
  it("has the size that was asked for, in a buffer of at most twice that size", async () => {
    const { take } = await load()
    fc.assert(
      fc.property(fc.integer({ min: 33, max: 3 * mebibyte }), (size) => {
        const bytes = take(size)
        assert.strictEqual(bytes.length, size)
        assert.isAtMost(bytes.buffer.byteLength, 2 * size)
      }),
      { numRuns: 50 }
    )
  })

  it("uses memory again that was put back, whatever its size was", async () => {
    const { putBack, take } = await load()
    const first = take(700)
    putBack(first)
    const second = take(1000)
    assert.strictEqual(second.buffer, first.buffer)
    assert.strictEqual(second.length, 1000)
    assert.notStrictEqual(take(1000).buffer, first.buffer)
  })

  it("makes room for memory of another size than what fills it", async () => {
    const { putBack, take } = await load()
    for (const bytes of [take(2 * mebibyte), take(2 * mebibyte)]) putBack(bytes)
    const first = take(1000)
    putBack(first)
    assert.strictEqual(take(1000).buffer, first.buffer)
  })

  it("uses memory again that was given back, and leaves the borrower with empty views", async () => {
    const { giveBack, isGivenBack, lend, take } = await load()
    const bytes = lend(take(700))
    bytes.fill(7)
    const part = bytes.subarray(10, 20)
    assert.isFalse(isGivenBack(bytes))
    giveBack(bytes)
    assert.deepStrictEqual([bytes.length, part.length], [0, 0])
    assert.isTrue(isGivenBack(bytes) && isGivenBack(part))
    // The same memory: it still has the old bytes.
    assert.deepStrictEqual([...take(700).subarray(0, 3)], [7, 7, 7])
  })

  it("leaves memory alone that was not lent, or was given back before", async () => {
    const { giveBack, lend, take } = await load()
    const own = new Uint8Array(1024).fill(1)
    giveBack(own)
    assert.strictEqual(own.length, 1024)
    const lent = lend(take(1024))
    giveBack(lent)
    giveBack(lent)
    assert.notStrictEqual(take(1024).buffer, take(1024).buffer)
  })

  it("leaves memory to its borrower while it is being written", async () => {
    const { giveBack, lend, leaseOf, take } = await load()
    const bytes = lend(take(1024))
    const lease = leaseOf(bytes.subarray(5))
    assert.isDefined(lease)
    lease!.uses++
    giveBack(bytes)
    assert.strictEqual(bytes.length, 1024)
    lease!.uses--
    giveBack(bytes)
    assert.strictEqual(bytes.length, 0)
    assert.isUndefined(leaseOf(bytes))
  })

  it("keeps at most 4 MiB, and no buffer of more than 2 MiB", async () => {
    const { giveBack, lend, take } = await load()
    const lent = [1, 1, 1, 1, 1].map((size) => lend(take(size * mebibyte)))
    const large = lend(take(3 * mebibyte))
    for (const bytes of [large, ...lent]) giveBack(bytes)
    assert.deepStrictEqual(
      [large, ...lent].map(({ length }) => length > 0),
      [true, false, false, false, false, true]
    )
  })

  it("keeps nothing of a buffer that is not its own, or is shared", async () => {
    const { giveBack, lend, putBack, take } = await load()
    putBack(new Uint8Array(0))
    putBack(new Uint8Array(1000))
    const shared: Uint8Array = new Uint8Array(new SharedArrayBuffer(1024))
    giveBack(lend(shared as Uint8Array<ArrayBuffer>))
    assert.strictEqual(shared.length, 1024)
    assert.strictEqual(take(1000).buffer.byteLength, 1024)
  })
})
