import * as UpgradeCheck from "@effect-websocket/platform/UpgradeCheck"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"

/** As another copy of the package makes it. */
class OtherReject {
  readonly _tag = "Reject"
  readonly status = 403
  readonly headers = {}
  readonly body = ""
  get [Symbol.for("@effect-websocket/platform/UpgradeCheck")](): symbol {
    return UpgradeCheck.TypeId
  }
}

describe("guards", () => {
  it("recognise an answer of any copy of the package", () => {
    assert.isTrue(UpgradeCheck.isReject(UpgradeCheck.reject(403)))
    assert.isTrue(UpgradeCheck.isReject(new OtherReject()))
    assert.isTrue(UpgradeCheck.isAccept(UpgradeCheck.accept()))
    for (const other of [undefined, null, "Reject", { _tag: "Reject" }, UpgradeCheck.accept()]) {
      assert.isFalse(UpgradeCheck.isReject(other))
    }
    for (const other of [undefined, null, "Accept", {}, UpgradeCheck.reject(403)]) {
      assert.isFalse(UpgradeCheck.isAccept(other))
    }
  })

  it.effect("leave a rejection what it was: an error that an effect may fail with", () =>
    Effect.gen(function* () {
      const rejection = yield* Effect.flip(UpgradeCheck.reject(401, { body: "Log in first" }))
      assert.deepStrictEqual([rejection._tag, rejection.status, rejection.body], ["Reject", 401, "Log in first"])
      assert.isFalse(Object.getOwnPropertySymbols(rejection).includes(UpgradeCheck.TypeId))
    })
  )
})
