/** This library's server, in each of its ways to read. */
import {
  WebSocket,
  WebSocketChannel,
  WebSocketMetrics,
  WebSocketServer,
  WebSocketTracing
} from "@effect-websocket/platform"
import { NodeWebSocketServer, NodeZlib } from "@effect-websocket/platform/node"
import { Duration, Effect, Layer, Schema } from "effect"
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

// A module that only Effect 4 has.
const compiler: string = "effect/schema/SchemaJITCompiler/enable"
if (options.compile) await import(compiler)

const Item = Schema.Struct({
  id: Schema.Number,
  name: Schema.String,
  price: Schema.Number,
  available: Schema.Boolean,
  tags: Schema.Array(Schema.String)
})
const Items = WebSocketChannel.make({ fromClient: Item, fromServer: Item })

/** The same app with `JSON.parse`, as one writes it by hand. */
const parsed = (socket: WebSocket.WebSocket) =>
  socket.run(({ data }) => socket.send(JSON.stringify(JSON.parse(String(data)))))

const ways = {
  ...echo,
  ...(options.parse ? { run: parsed } : {}),
  typed: (socket: WebSocket.WebSocket) =>
    Effect.flatMap(WebSocketChannel.client(Items, socket), (items) => items.run((item) => items.send(item))),
  borrowed: (socket: Socket) => socket.run((message) => socket.send(message), { borrowed: true })
}

const handler = options.broadcast ? broadcast : choose(ways, options.api)

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
  Layer.provide(options.observed ? Layer.merge(WebSocketMetrics.layer, WebSocketTracing.layer) : Layer.empty),
  Layer.launch,
  Effect.runFork
)
