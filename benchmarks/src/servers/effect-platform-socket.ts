/** The socket server of `@effect/platform`. */
import { SocketServer } from "@effect/platform"
import { NodeSocketServer } from "@effect/platform-node"
import { Effect } from "effect"
import { effectPlatformHandler } from "./effectPlatformHandler.js"
import { options, serve } from "./serve.js"

const program = Effect.gen(function* () {
  const server = yield* SocketServer.SocketServer
  if (server.address._tag === "TcpAddress") serve(server.address.port)
  yield* server.run((socket) => Effect.scoped(effectPlatformHandler(socket)))
}).pipe(
  Effect.provide(
    NodeSocketServer.layerWebSocket({
      port: 0,
      host: "127.0.0.1",
      maxPayload: options.maxMessageBytes,
      perMessageDeflate: options.compression
    })
  )
)

Effect.runFork(program)
