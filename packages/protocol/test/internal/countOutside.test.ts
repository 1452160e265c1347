import { getHeapSpaceStatistics } from "node:v8"
import { assert, describe, it } from "vitest"
import * as node from "../../src/internal/countOutside.node.js"
import * as portable from "../../src/internal/countOutside.js"

const mebibyte = 1024 * 1024

const young = () => {
  const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space")
  assert.isDefined(space)
  return { used: space.space_used_size, capacity: space.space_used_size + space.space_available_size }
}

// Makes garbage until most of the young generation is used.
const fillMost = (): void => {
  let { capacity, used } = young()
  while (used < capacity * 0.6) {
    Array.from({ length: 10_000 })
    ;({ capacity, used } = young())
  }
}

describe("countOutside.node.ts", () => {
  it("makes V8 collect young garbage once 32 MiB lie outside of the heap", () => {
    node.countOutside(32 * mebibyte)
    fillMost()
    node.countOutside(31 * mebibyte)
    assert.isAbove(young().used, young().capacity * 0.5)
    node.countOutside(mebibyte)
    assert.isBelow(young().used, young().capacity * 0.5)
    assert.isEmpty(node.garbage)
  })
})

describe("countOutside.ts", () => {
  it("does nothing", () => {
    fillMost()
    portable.countOutside(64 * mebibyte)
    assert.isAbove(young().used, young().capacity * 0.5)
  })
})
