import { BrowserWebSocketClient } from "@effect-websocket/platform/browser"
import * as ReconnectingWebSocket from "@effect-websocket/platform/ReconnectingWebSocket"
import * as UpgradeCheck from "@effect-websocket/platform/UpgradeCheck"
import * as WebSocketChannel from "@effect-websocket/platform/WebSocketChannel"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import { Stream } from "effect"
import { WebSocket as UndiciWebSocket } from "undici"
import { Deferred, Effect, Exit, Fiber, Layer, Schema, Scope } from "../effect/index.js"
import { assert, beforeEach, describe, it, vi } from "../effect/vitest.js"
import { restoreGlobals } from "../native/stubWebSocket.js"
import { serve, serveEcho } from "../node/support.js"

// Node 22 has the WebSocket of browsers. It is that of undici.
beforeEach(() => {
  if (!("WebSocket" in globalThis)) vi.stubGlobal("WebSocket", UndiciWebSocket)
})
restoreGlobals()

const connect = (url: string, options?: WebSocketClient.ConnectOptions) =>
  Effect.provide(WebSocketClient.connect(url, options), BrowserWebSocketClient.layer)

describe("BrowserWebSocketClient", () => {
  it.live("exchanges texts and bytes in order", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho({ protocols: ["chat"] })
      const socket = yield* connect(server.address.url, { protocols: ["chat"] })
      assert.strictEqual(socket.protocol, "chat")
      yield* socket.sendAll(["hello", new Uint8Array([1, 2, 3]), ""])
      for (const expected of ["hello", new Uint8Array([1, 2, 3]), ""]) {
        assert.deepStrictEqual((yield* socket.receive).data, expected)
      }
      const collected = yield* Effect.forkChild(Stream.runCollect(Stream.take(socket.messages, 1)))
      yield* socket.send("last")
      assert.deepStrictEqual(
        Array.from(yield* Fiber.join(collected), ({ data }) => data),
        ["last"]
      )
    }).pipe(Effect.scoped)
  )

  it.live("closes with the handshake, as its scope ends", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const codes: Array<number | undefined> = []
      for (const exit of [Exit.void, Exit.fail("failure")]) {
        const accepted = yield* Effect.forkChild(server.accept())
        const scope = yield* Scope.make()
        yield* Scope.provide(connect(server.address.url), scope)
        const peer = yield* Fiber.join(accepted)
        yield* Scope.close(scope, exit)
        const { clean, received } = yield* peer.closeStatus
        assert.isTrue(clean)
        codes.push(received?.code)
      }
      assert.deepStrictEqual(codes, [1000, 4011])
    }).pipe(Effect.scoped)
  )

  it.live("fails with the code of the peer, and with 1006 after a drop", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      for (const [code, end] of [
        [4321, "close"],
        [1006, "abort"]
      ] as const) {
        const accepted = yield* Effect.forkChild(server.accept())
        const socket = yield* connect(server.address.url)
        const peer = yield* Fiber.join(accepted)
        yield* end === "close" ? peer.close(code) : peer.abort
        const error = yield* Effect.flip(socket.receive)
        assert.deepInclude({ ...error }, { code, clean: end === "close" })
        assert.strictEqual(yield* Effect.flip(socket.send("late")), error)
      }
    }).pipe(Effect.scoped)
  )

  it.live("fails if the server refuses", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      yield* Layer.build(
        WebSocketServer.layerHandler(() => Effect.void, {
          check: () => Effect.succeed(UpgradeCheck.reject(403))
        }).pipe(Layer.provide(Layer.succeed(WebSocketServer.WebSocketServer, server)))
      )
      const error = yield* Effect.flip(Effect.asVoid(connect(server.address.url)))
      assert.deepInclude({ ...error }, { _tag: "Io_error", reason: "Connect" })
    }).pipe(Effect.scoped)
  )

  it.live("ends the connection if nobody reads", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const accepted = yield* Effect.forkChild(server.accept())
      const socket = yield* BrowserWebSocketClient.connect(server.address.url, { maxUnreadBytes: 1000 })
      const peer = yield* Fiber.join(accepted)
      yield* peer.sendAll(Array.from({ length: 20 }, () => "x".repeat(100)))
      const { error } = yield* socket.closeStatus
      assert.deepInclude({ ...error }, { _tag: "Payload_too_large", limit: "unread", max: 1000 })
      assert.strictEqual(Array.from(yield* socket.receiveAll).length, 7)
      assert.strictEqual((yield* peer.closeStatus).received?.code, 4009)
    }).pipe(Effect.scoped)
  )

  it.live("carries reconnecting and typed connections", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const channel = WebSocketChannel.make({ fromClient: Schema.String, fromServer: Schema.Number })
      const dropped = yield* Deferred.make<void>()
      yield* Effect.forkChild(
        server.run((socket) =>
          socket.run((message) =>
            message.data === "drop"
              ? Effect.andThen(Deferred.succeed(dropped, undefined), Effect.forkDetach(socket.abort))
              : socket.send("42")
          )
        )
      )
      const reconnecting = yield* ReconnectingWebSocket.make(server.address.url, {
        onConnect: (socket) => socket.send("connected")
      })
      yield* reconnecting.receive
      yield* reconnecting.send("drop")
      yield* Deferred.await(dropped)
      assert.strictEqual((yield* reconnecting.receive).data, "42")
      const typed = yield* WebSocketChannel.connect(channel, server.address.url)
      yield* typed.send("hello")
      assert.strictEqual(yield* typed.receive, 42)
    }).pipe(Effect.scoped, Effect.provide(BrowserWebSocketClient.layer))
  )
})
