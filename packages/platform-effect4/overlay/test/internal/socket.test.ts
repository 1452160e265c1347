/** What only the sockets of `effect/socket` have: `reader`. */
import * as EffectSocket from "@effect-websocket/platform/EffectSocket"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as WebSocketTest from "@effect-websocket/platform/WebSocketTest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { assert, describe, it } from "../effect/vitest.js"

describe("reader", () => {
  it.effect("fails a pull that waits once its scope ends, and cannot be upgraded", () =>
    Effect.gen(function* () {
      const socket = yield* EffectSocket.make("ws://test")
      const scope = yield* Scope.make()
      const connecting = yield* Effect.forkScoped(Scope.provide(socket.reader, scope))
      const peer = yield* WebSocketServer.accept()
      const { pull, upgrade } = yield* Fiber.join(connecting)
      assert.strictEqual((yield* Effect.flip(upgrade())).reason._tag, "SocketUpgradeError")
      const pulling = yield* Effect.forkScoped(Effect.flip(pull))
      const closing = yield* Effect.forkScoped(Scope.close(scope, Exit.fail("no")))
      yield* WebSocketTest.expectClose(peer, { code: 1011 })
      yield* Fiber.join(closing)
      assert.strictEqual((yield* Fiber.join(pulling)).reason._tag, "SocketCloseError")
    }).pipe(Effect.provide(WebSocketTest.layer))
  )
})
