import { assert, describe, it } from "vitest"
import * as node from "../../src/internal/allocate.node.js"
import * as portable from "../../src/internal/allocate.js"

describe.each([
  ["allocate.ts", portable],
  ["allocate.node.ts", node]
])("%s", (_, { allocate }) => {
  it.each([0, 1, 4095, 4096, 100_000])("makes a Uint8Array of %i bytes, in a buffer of its own", (size) => {
    const bytes = allocate(size)
    assert.strictEqual(Object.getPrototypeOf(bytes), Uint8Array.prototype)
    assert.deepStrictEqual([bytes.length, bytes.byteOffset, bytes.buffer.byteLength], [size, 0, size])
  })
})
