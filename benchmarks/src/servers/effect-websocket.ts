/** This library's server, in each of its ways to read. */
import { WebSocket, WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketServer, NodeZlib } from "@effect-websocket/platform/node"
import { Duration, Effect, Layer } from "effect"
import * as minizlib from "minizlib"
import { choose, echo } from "./effectWebSocketEcho.js"
import { options, serve } from "./serve.js"

type Socket = WebSocketServer.ServerWebSocket

const sockets = new Set<Socket>()
const broadcast = (socket: Socket) => {
  sockets.add(socket)
  return Effect.ensuring(
    socket.run((message) => WebSocket.broadcast(sockets, message)),
    Effect.sync(() => sockets.delete(socket))
  )
}

const borrowing = {
  ...echo,
  borrowed: (socket: Socket) => socket.run((message) => socket.send(message), { borrowed: true })
}

const handler = options.broadcast ? broadcast : choose(borrowing, options.api)

WebSocketServer.layerHandler(handler).pipe(
  Layer.merge(Layer.effectDiscard(Effect.map(WebSocketServer.address, ({ port }) => serve(port)))),
  Layer.provide(
    NodeWebSocketServer.layer({
      port: 0,
      host: "127.0.0.1",
      limits: { maxMessageBytes: options.maxMessageBytes },
      compression: options.compression,
      ...(options.minizlib ? { zlib: NodeZlib.fromMinizlib(minizlib) } : {}),
      unsafeReadBuffer: options["read-buffer"],
      ...(options.heartbeat ? {} : { heartbeatInterval: Duration.infinity })
    })
  ),
  Layer.launch,
  Effect.runFork
)
