/** What only the sockets of `@effect/platform` have: `run`. */
import * as EffectSocket from "@effect-websocket/platform/EffectSocket"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as WebSocketTest from "@effect-websocket/platform/WebSocketTest"
import { Deferred, Effect, Fiber } from "effect"
import { assert, describe, it } from "../effect/vitest.js"

describe("run", () => {
  it.effect("reads while `onOpen` waits for a reply", () =>
    Effect.gen(function* () {
      const socket = yield* EffectSocket.make("ws://test")
      const write = yield* socket.writer
      const reply = yield* Deferred.make<string>()
      const greeted = yield* Deferred.make<string>()
      const onOpen = Effect.orDie(write("hello")).pipe(
        Effect.andThen(Deferred.await(reply)),
        Effect.flatMap((text) => Deferred.succeed(greeted, text))
      )
      const handler = (data: string | Uint8Array) => Deferred.succeed(reply, String(data))
      yield* Effect.forkScoped(socket.runRaw(handler, { onOpen: Effect.asVoid(onOpen) }))
      const peer = yield* WebSocketServer.accept()
      yield* WebSocketTest.expectMessage(peer, "hello")
      yield* peer.send("welcome")
      assert.strictEqual(yield* Deferred.await(greeted), "welcome")
    }).pipe(Effect.provide(WebSocketTest.layer))
  )

  it.effect("can be interrupted also where its caller cannot", () =>
    Effect.gen(function* () {
      const socket = yield* EffectSocket.make("ws://test")
      const opened = yield* Deferred.make<void>()
      const onOpen = Effect.asVoid(Deferred.succeed(opened, undefined))
      const fiber = yield* Effect.uninterruptible(Effect.forkScoped(socket.run(() => {}, { onOpen })))
      const peer = yield* WebSocketServer.accept()
      yield* Deferred.await(opened)
      const interrupting = yield* Effect.forkScoped(Fiber.interrupt(fiber))
      yield* WebSocketTest.expectClose(peer, { code: 1001 })
      yield* Fiber.join(interrupting)
    }).pipe(Effect.provide(WebSocketTest.layer))
  )

  it.effect("fails with the error of a handler, and closes with 1011", () =>
    Effect.gen(function* () {
      const socket = yield* EffectSocket.make("ws://test")
      const running = yield* Effect.forkScoped(Effect.flip(socket.run(() => Effect.fail("no"))))
      const peer = yield* WebSocketServer.accept()
      yield* peer.send("hello")
      yield* WebSocketTest.expectClose(peer, { code: 1011 })
      assert.strictEqual(yield* Fiber.join(running), "no")
    }).pipe(Effect.provide(WebSocketTest.layer))
  )
})
