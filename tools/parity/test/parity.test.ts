/** A test for each item of each reference library. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { failureOf } from "../src/Item.js"
import { seeds } from "../src/seeds.js"

for (const { items, name } of seeds) {
  describe(name, () => {
    for (const item of items) {
      it.live(`${item.name}: ${item.promise}`, () =>
        Effect.map(failureOf(item), (failure) => assert.isUndefined(failure, failure))
      )
    }
  })
}

describe("the items", () => {
  it("have a title each", () => {
    for (const { items } of seeds) {
      const titles = items.map(({ name, promise }) => `${name}: ${promise}`)
      assert.deepStrictEqual(titles, [...new Set(titles)])
    }
  })
})
