/** This library's client, in each of its ways to read. */
import { type WebSocket, WebSocketClient } from "@effect-websocket/platform"
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import { Effect, Stream } from "effect"
import { choose, echo } from "../servers/effectWebSocketEcho.js"
import { options } from "../servers/serve.js"
import { connectAll, opened, received, url } from "./receive.js"

type Socket = WebSocket.WebSocket

const read = {
  run: (socket: Socket) => socket.run(received),
  receiveAll: (socket: Socket) =>
    Effect.gen(function* () {
      for (;;) for (const _ of yield* socket.receiveAll) received()
    }),
  receive: (socket: Socket) =>
    Effect.gen(function* () {
      for (;;) {
        yield* socket.receive
        received()
      }
    }),
  messages: (socket: Socket) => Stream.runForEach(socket.messages, () => Effect.sync(received))
}

const handler = choose(options.echo ? echo : read, options.api)

const program = Effect.gen(function* () {
  const socket = yield* WebSocketClient.connect(url)
  opened()
  yield* handler(socket)
}).pipe(Effect.scoped, Effect.provide(NodeWebSocketClient.layerWith({ compression: options.compression })))

connectAll(() => Effect.runFork(program))
