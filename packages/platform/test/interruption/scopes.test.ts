import { Effect } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import { maxOperations } from "../operations.js"
import { enumerations } from "./scopes.js"

describe("interrupted before any operation", () => {
  for (const [name, at] of Object.entries(enumerations)) {
    it.effect(name, () =>
      Effect.gen(function* () {
        const max = maxOperations(name === "echo" ? 40 : 200)
        let k = 1
        while (k <= max && (yield* at(k))) k++
        assert.isAbove(k, 5)
      })
    )
  }
})
