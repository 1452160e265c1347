/** The socket server of Effect 4. `scripts/assembleEffect4.ts` copies this file to the package that has Effect 4. */
import { NodeSocketServer } from "@effect/platform-node"
import { Effect } from "effect"
import { type Socket, SocketServer } from "effect/socket"
import { options, serve } from "./serve.js"

const writers = new Set<Socket.Writer>()

// Each end of a connection is a failure of `pull`.
const handler = (socket: Socket.Socket) =>
  Effect.gen(function* () {
    const writer = yield* socket.writer
    const { pull } = yield* socket.reader
    if (!options.broadcast) for (;;) yield* writer.writeAll(yield* pull)
    writers.add(writer)
    yield* Effect.addFinalizer(() => Effect.sync(() => writers.delete(writer)))
    for (;;) {
      const messages = yield* pull
      for (const each of writers) yield* Effect.ignore(each.writeAll(messages))
    }
  }).pipe(Effect.scoped, Effect.ignore)

const program = Effect.gen(function* () {
  const server = yield* SocketServer.SocketServer
  if (server.address._tag === "InetAddressV4") serve(server.address.port)
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
