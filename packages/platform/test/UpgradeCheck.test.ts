import * as UpgradeCheck from "@effect-websocket/platform/UpgradeCheck"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as WebSocketTest from "@effect-websocket/platform/WebSocketTest"
import { isHandshakeRejected } from "@effect-websocket/protocol/Errors"
import { Effect } from "./effect/index.js"
import { assert, describe, it, vi } from "./effect/vitest.js"

describe("isReject", () => {
  it("holds for what reject makes, and for nothing else", () => {
    assert.isTrue(UpgradeCheck.isReject(UpgradeCheck.reject(403)))
    assert.isTrue(UpgradeCheck.isReject({ [UpgradeCheck.TypeId]: 0 }))
    for (const other of [undefined, null, 403, {}, UpgradeCheck.accept(), { _tag: "Reject", status: 403 }]) {
      assert.isFalse(UpgradeCheck.isReject(other))
    }
  })

  it.effect("lets a check reject with that of another copy of the package", () =>
    Effect.gen(function* () {
      vi.resetModules()
      const other: typeof UpgradeCheck = yield* Effect.promise(() => import("@effect-websocket/platform/UpgradeCheck"))
      const rejection = other.reject(418, { body: "short and stout" })
      assert.notInstanceOf(rejection, UpgradeCheck.Reject)
      yield* Effect.forkScoped(
        Effect.flatMap(WebSocketServer.WebSocketServer, (server) =>
          Effect.flatMap(server.route({ check: () => Effect.fail(rejection) }), (route) => route.run(() => Effect.void))
        )
      )
      const error = yield* Effect.flip(WebSocketClient.connect("ws://test"))
      assert(isHandshakeRejected(error))
      assert.strictEqual(error.status, 418)
    }).pipe(Effect.provide(WebSocketTest.layer))
  )
})

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

  it.effect("leave a rejection unchanged: an effect may fail with it", () =>
    Effect.gen(function* () {
      const rejection = yield* Effect.flip(UpgradeCheck.reject(401, { body: "Log in first" }))
      assert.deepStrictEqual([rejection._tag, rejection.status, rejection.body], ["Reject", 401, "Log in first"])
      assert.isFalse(Object.getOwnPropertySymbols(rejection).includes(UpgradeCheck.TypeId))
    })
  )
})
