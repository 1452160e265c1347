import * as Socket from "@effect/platform/Socket"
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import * as StandardWebSocket from "@effect-websocket/platform/StandardWebSocket"
import { Effect, Fiber, Layer, Queue } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { noHandlesLeft, serveEcho } from "./support.js"

afterEach(noHandlesLeft)

const client = Layer.provide(StandardWebSocket.layerWebSocketConstructor(), NodeWebSocketClient.layer)

describe("Effect's own Socket, over the standard class", () => {
  it.live("exchanges texts and bytes, and ends with the code of the Close", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho({ protocols: ["echo"] })
      const socket = yield* Socket.makeWebSocket(server.address.url, { protocols: ["echo"] })
      const received = yield* Queue.unbounded<string | Uint8Array>()
      const running = yield* Effect.forkScoped(
        Effect.flip(socket.runRaw((data) => Effect.asVoid(Queue.offer(received, data))))
      )
      const write = yield* socket.writer
      yield* write("hello")
      assert.strictEqual(yield* Queue.take(received), "hello")
      yield* write(new Uint8Array([1, 2]))
      const bytes = yield* Queue.take(received)
      assert.deepStrictEqual(bytes, new Uint8Array([1, 2]))
      yield* write(new Socket.CloseEvent(3000, "bye"))
      const error = yield* Fiber.join(running)
      assert.deepInclude(error, { reason: "Close", code: 3000 })
    }).pipe(Effect.provide(client))
  )

  it.live("fails if nobody listens", () =>
    Effect.gen(function* () {
      const socket = yield* Socket.makeWebSocket("ws://127.0.0.1:1")
      const error = yield* Effect.flip(socket.runRaw(() => {}))
      assert.deepInclude(error, { reason: "Open" })
    }).pipe(Effect.provide(client))
  )
})
