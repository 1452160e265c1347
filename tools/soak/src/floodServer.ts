/** The server of `pnpm --filter soak flood`: an echo with limits, which tells twice a second what it holds. Its argument is `maxConnections`. */
import { UpgradeCheck, WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Effect, Layer, Logger, Schedule } from "effect"
import { tell } from "./programs.js"

const maxConnections = Number(process.argv[2])

const Echo = WebSocketServer.layerRoute({
  path: "/echo",
  check: ({ headers }) =>
    Effect.succeed(headers["x-flood"] === undefined ? UpgradeCheck.accept() : UpgradeCheck.reject(401)),
  handler: (socket) => socket.run((message) => socket.send(message))
})

const Telling = Layer.scopedDiscard(
  Effect.gen(function* () {
    const server = yield* WebSocketServer.WebSocketServer
    tell({ port: server.address.port })
    const look = Effect.map(server.connections, ({ length }) => {
      const { arrayBuffers, heapUsed, rss } = process.memoryUsage()
      const sockets = process.getActiveResourcesInfo().filter((name) => name.startsWith("TCPSocket")).length
      tell({ connections: length, sockets, held: heapUsed + arrayBuffers, rss })
    })
    yield* Effect.forkScoped(Effect.repeat(look, Schedule.spaced("500 millis")))
  })
)

const Server = NodeWebSocketServer.layer({
  port: 0,
  host: "127.0.0.1",
  admission: { maxConnections, maxHandshakes: 256, handshakeRate: { limit: 2000, interval: "1 seconds" } }
})

const Main = Layer.merge(Echo, Telling).pipe(Layer.provide(Server), Layer.provide(Logger.remove(Logger.defaultLogger)))
await Effect.runPromise(Layer.launch(Main))
