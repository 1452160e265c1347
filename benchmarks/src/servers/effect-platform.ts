/** The socket server of `@effect/platform`. */
import { type Socket, SocketServer } from "@effect/platform"
import { NodeSocketServer } from "@effect/platform-node"
import { Effect } from "effect"
import { options, serve } from "./serve.js"

type Write = Effect.Effect.Success<Socket.Socket["writer"]>

const writers = new Set<Write>()

const handler = (socket: Socket.Socket) =>
  Effect.flatMap(socket.writer, (write) => {
    if (!options.broadcast) return socket.runRaw((data) => write(data))
    writers.add(write)
    return Effect.ensuring(
      socket.runRaw((data) => Effect.forEach(writers, (each) => Effect.ignore(each(data)), { discard: true })),
      Effect.sync(() => writers.delete(write))
    )
  }).pipe(Effect.scoped)

const program = Effect.gen(function* () {
  const server = yield* SocketServer.SocketServer
  if (server.address._tag === "TcpAddress") serve(server.address.port)
  yield* server.run(handler)
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
