/** This library's server, in each of its ways to read. */
import { WebSocket, WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Duration, Effect, Layer, Stream } from "effect"
import { options, serve } from "./serve.js"

type Socket = WebSocketServer.ServerWebSocket

const echo = {
  run: (socket: Socket) => socket.run((message) => socket.send(message)),
  receive: (socket: Socket) =>
    Effect.gen(function* () {
      for (;;) yield* socket.send(yield* socket.receive)
    }),
  receiveAll: (socket: Socket) =>
    Effect.gen(function* () {
      for (;;) yield* socket.sendAll(yield* socket.receiveAll)
    }),
  messages: (socket: Socket) => Stream.runForEach(socket.messages, (message) => socket.send(message))
}

const sockets = new Set<Socket>()
const broadcast = (socket: Socket) => {
  sockets.add(socket)
  return Effect.ensuring(
    socket.run((message) => WebSocket.broadcast(sockets, message)),
    Effect.sync(() => sockets.delete(socket))
  )
}

const echoApi = Object.entries(echo).find(([api]) => api === options.api)?.[1] ?? echo.run
const handler: (socket: Socket) => Effect.Effect<unknown, unknown> = options.broadcast ? broadcast : echoApi

WebSocketServer.layerHandler(handler).pipe(
  Layer.merge(Layer.effectDiscard(Effect.map(WebSocketServer.address, ({ port }) => serve(port)))),
  Layer.provide(
    NodeWebSocketServer.layer({
      port: 0,
      host: "127.0.0.1",
      limits: { maxMessageBytes: options.maxMessageBytes },
      compression: options.compression,
      ...(options.heartbeat ? {} : { heartbeatInterval: Duration.infinity })
    })
  ),
  Layer.launch,
  Effect.runFork
)
