import { assert, it } from "@effect/vitest"
import { randomBytes, randomMaskKey } from "../../src/internal/random.js"

it("gives keys that differ, beyond the size of its pool", () => {
  const keys = new Set(Array.from({ length: 5000 }, randomMaskKey))
  // Two equal ones among 5,000 happen by chance less than once in 300 runs; five practically never.
  assert.isAbove(keys.size, 4995)
  for (const key of keys) assert.strictEqual(key, key | 0)
})

it("gives bytes of the length that is asked for, which nothing changes later", () => {
  const first = randomBytes(16)
  const copy = first.slice()
  for (let i = 0; i < 1000; i++) assert.strictEqual(randomBytes(16).length, 16)
  assert.deepStrictEqual(first, copy)
})
