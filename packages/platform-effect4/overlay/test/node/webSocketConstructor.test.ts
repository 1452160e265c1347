import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import * as StandardWebSocket from "@effect-websocket/platform/StandardWebSocket"
import * as Socket from "effect/socket/Socket"
import { Effect, Layer } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { noHandlesLeft, serve } from "./support.js"

afterEach(noHandlesLeft)

const client = Layer.provide(StandardWebSocket.layerWebSocketConstructor(), NodeWebSocketClient.layer)

describe("Effect's own Socket, over the standard class", () => {
  it.live("exchanges texts and bytes, sends headers, and ends with the code of the Close", () =>
    Effect.gen(function* () {
      const server = yield* serve({ protocols: ["echo"] })
      yield* Effect.forkScoped(
        server.run((socket) =>
          Effect.andThen(
            socket.send(String(socket.request.headers["x-test"])),
            socket.run((message) => socket.send(message))
          )
        )
      )
      const socket = yield* Socket.makeWebSocket(server.address.url, {
        protocols: ["echo"],
        headers: { "X-Test": "1" }
      })
      const { pull } = yield* socket.reader
      const { write } = yield* socket.writer
      assert.deepStrictEqual(yield* pull, ["1"])
      yield* write("hello")
      assert.deepStrictEqual(yield* pull, ["hello"])
      yield* write(new Uint8Array([1, 2]))
      assert.deepStrictEqual(yield* pull, [new Uint8Array([1, 2])])
      yield* write(new Socket.CloseEvent(3000, "bye"))
      const { reason } = yield* Effect.flip(pull)
      assert.deepInclude(reason, { _tag: "SocketCloseError", code: 3000 })
    }).pipe(Effect.provide(client))
  )

  it.live("fails if nobody listens", () =>
    Effect.gen(function* () {
      const socket = yield* Socket.makeWebSocket("ws://127.0.0.1:1")
      const { reason } = yield* Effect.flip(socket.reader)
      assert.strictEqual(reason._tag, "SocketOpenError")
    }).pipe(Effect.provide(client))
  )
})
