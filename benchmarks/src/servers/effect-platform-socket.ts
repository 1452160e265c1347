/** The socket server of `@effect/platform`. */
import { SocketServer } from "@effect/platform"
import { NodeSocketServer } from "@effect/platform-node"
import { Effect } from "effect"
import { options, serve } from "./serve.js"

const program = Effect.gen(function* () {
  const server = yield* SocketServer.SocketServer
  if (server.address._tag === "TcpAddress") serve(server.address.port)
  yield* server.run((socket) =>
    Effect.scoped(Effect.flatMap(socket.writer, (write) => socket.runRaw((data) => write(data))))
  )
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
