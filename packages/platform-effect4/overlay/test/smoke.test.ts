/** The first thing that must work on Effect 4: a server and a client over a socket, each way to read, and both ends of a scope. */
import * as NodeWebSocketClient from "@effect-websocket/platform/node/NodeWebSocketClient"
import * as NodeWebSocketServer from "@effect-websocket/platform/node/NodeWebSocketServer"
import type * as WebSocket from "@effect-websocket/platform/WebSocket"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Layer, Stream } from "effect"

type Handler = (socket: WebSocket.WebSocket) => Effect.Effect<unknown, unknown>

const readers: Readonly<Record<string, Handler>> = {
  run: (socket) => socket.run((message) => socket.send(message)),
  receive: (socket) => Effect.forever(Effect.flatMap(socket.receive, (message) => socket.send(message))),
  receiveAll: (socket) => Effect.forever(Effect.flatMap(socket.receiveAll, (messages) => socket.sendAll(messages))),
  messages: (socket) => Stream.runForEach(socket.messages, (message) => socket.send(message))
}

/** Serves `handler`, and tells how its connection ended. */
const serve = (handler: Handler) =>
  Effect.gen(function* () {
    const ended = yield* Deferred.make<string>()
    const context = yield* Layer.build(NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1" }))
    const { url } = yield* Effect.provide(WebSocketServer.address, context)
    const server = WebSocketServer.run((socket) =>
      Effect.andThen(
        Effect.exit(handler(socket)),
        Effect.flatMap(socket.closeStatus, ({ error }) => Deferred.succeed(ended, error.message))
      )
    )
    yield* Effect.forkScoped(Effect.provide(server, context))
    return { url, ended: Deferred.await(ended) }
  })

describe("smoke", () => {
  for (const [name, handler] of Object.entries(readers)) {
    it.live(`echoes with ${name}, and closes with 1000 at the end of the client's scope`, () =>
      Effect.gen(function* () {
        const server = yield* serve(handler)
        const texts = Array.from({ length: 100 }, (_, index) => `message ${index}`)
        const echoed = yield* Effect.gen(function* () {
          const socket = yield* WebSocketClient.connect(server.url)
          yield* Effect.forkScoped(socket.sendAll(texts))
          return yield* socket.messages.pipe(
            Stream.map(({ data }) => data),
            Stream.take(texts.length),
            Stream.runCollect
          )
        }).pipe(Effect.scoped, Effect.provide(NodeWebSocketClient.layer))
        assert.deepStrictEqual(echoed, texts)
        assert.include(yield* server.ended, "1000")
      })
    )
  }

  it.live("sends and receives by a channel, and closes with 1000 after its input", () =>
    Effect.gen(function* () {
      const server = yield* serve(readers["run"]!)
      const socket = yield* WebSocketClient.connect(server.url).pipe(Effect.provide(NodeWebSocketClient.layer))
      const echoed = yield* Stream.make("a", "b").pipe(
        Stream.pipeThroughChannel(socket.channel()),
        Stream.map(({ data }) => data),
        Stream.runCollect
      )
      assert.deepStrictEqual(echoed, ["a", "b"])
      assert.include(yield* server.ended, "1000")
    })
  )

  it.live("closes with 1011 if the client's scope ends with a failure", () =>
    Effect.gen(function* () {
      const server = yield* serve(readers["run"]!)
      const exit = yield* WebSocketClient.connect(server.url).pipe(
        Effect.andThen(Effect.fail("no")),
        Effect.scoped,
        Effect.provide(NodeWebSocketClient.layer),
        Effect.exit
      )
      assert.deepStrictEqual(exit, Exit.fail("no"))
      assert.include(yield* server.ended, "1011")
    })
  )
})
