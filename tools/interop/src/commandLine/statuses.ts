/** With which status a command ends. */
import type { WebSocketServer } from "@effect-websocket/platform"
import { Effect, type Scope } from "effect"
import { freePort } from "../proxies.js"
import { tls } from "../fixtures.js"
import type { Row } from "./rows.js"
import { start } from "./Run.js"
import { serve, serveHttp } from "./servers.js"

const statusWith =
  (url: Effect.Effect<string, unknown, Scope.Scope>): Row =>
  (client) =>
    Effect.gen(function* () {
      const run = yield* start(client.connect(yield* url, ...client.stays))
      return String(yield* run.status)
    })

/** The status after the server has done something with the connection. */
const statusAfter = (end: (socket: WebSocketServer.ServerWebSocket) => Effect.Effect<void, unknown>): Row =>
  statusWith(
    Effect.gen(function* () {
      const server = yield* serve()
      yield* Effect.forkScoped(Effect.flatMap(server.accept(), end))
      return server.address.url
    })
  )

export const statuses: Readonly<Record<string, Row>> = {
  "status after a Close with 1000": statusAfter((socket) => socket.close(1000)),
  "status after a Close with 4000": statusAfter((socket) => socket.close(4000)),
  "status after the connection is lost": statusAfter((socket) => socket.abort),
  "status if the server answers 403": statusWith(
    Effect.map(
      serveHttp((_, socket) => socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")),
      (port) => `ws://127.0.0.1:${port}`
    )
  ),
  "status if nobody listens": statusWith(Effect.map(freePort, (port) => `ws://127.0.0.1:${port}`)),
  "status if the certificate is not valid": statusWith(Effect.map(serve({ tls }), (server) => server.address.url))
}
