/** A server that prints its port and then every message, and sends each back. Its argument is the port; 0 for any. */
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as NodeWebSocketServer from "@effect-websocket/platform/node/NodeWebSocketServer"
import * as Console from "effect/Console"
import * as Effect from "../../effect/Effect.js"
import * as Layer from "../../effect/Layer.js"
import { runMain } from "./main.js"

const Recorder = WebSocketServer.layerHandler((socket) =>
  socket.run((message) => Effect.andThen(Console.log(message.data), socket.send(message)))
)

const Ready = Layer.effectDiscard(Effect.flatMap(WebSocketServer.address, ({ port }) => Console.log(port)))

runMain(
  Layer.launch(
    Layer.merge(Recorder, Ready).pipe(
      Layer.provide(NodeWebSocketServer.layer({ port: Number(process.argv[2]), host: "127.0.0.1" }))
    )
  )
)
