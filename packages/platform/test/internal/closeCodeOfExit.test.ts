import { assert, describe, it } from "@effect/vitest"
import { Cause, Exit } from "../effect/index.js"
import { closeCodeOfExit } from "../../src/internal/closeCodeOfExit.js"

const interrupted = Cause.interrupt()

describe("closeCodeOfExit", () => {
  for (const [name, exit, code] of [
    ["success", Exit.void, 1000],
    ["interruption", Exit.failCause(interrupted), 1001],
    ["a failure", Exit.fail("no"), 1011],
    ["a defect", Exit.die("no"), 1011],
    ["a failure together with an interruption", Exit.failCause(Cause.combine(Cause.fail("no"), interrupted)), 1011]
  ] as const) {
    it(`is ${code} after ${name}`, () => {
      assert.strictEqual(closeCodeOfExit(exit), code)
    })
  }
})
