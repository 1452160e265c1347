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
  const countOutside = node.counterOf(node.maxOutsideOn("24.0.0"))

  it("fills nothing before Node 24", () => {
    assert.strictEqual(node.maxOutsideOn("22.23.3"), Number.POSITIVE_INFINITY)
    assert.strictEqual(node.maxOutsideOn("26.12.1"), 32 * mebibyte)
  })

  it("makes V8 collect young garbage once 32 MiB lie outside of the heap", () => {
    countOutside(32 * mebibyte)
    fillMost()
    countOutside(31 * mebibyte)
    assert.isAbove(young().used, young().capacity * 0.5)
    countOutside(mebibyte)
    assert.isBelow(young().used, young().capacity * 0.5)
    assert.isEmpty(node.garbage)
  })

  it("fills no young generation that is larger than Node's default, because that would be a long pause", () => {
    const countOutside = node.counterOf(1, () => 65 * mebibyte)
    fillMost()
    countOutside(1)
    assert.isAbove(young().used, young().capacity * 0.5)
  })
})

describe("countOutside.ts", () => {
  it("does nothing", () => {
    fillMost()
    portable.countOutside(64 * mebibyte)
    assert.isAbove(young().used, young().capacity * 0.5)
  })
})
