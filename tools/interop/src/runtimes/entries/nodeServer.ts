import { NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Effect } from "effect"
import { createServer } from "node:http"
import { serveAll } from "../hosts/app.js"
import { lines } from "./lines.js"

/** A server of the app, for as long as the scope. */
const listening = Effect.acquireRelease(
  Effect.async<ReturnType<typeof createServer>>((resume) => {
    const server = createServer((_, response) => response.end("healthy"))
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.sync(() => void server.close())
)

await serveAll(
  {
    make: ({ tls, unread, watches, ...options }) =>
      NodeWebSocketServer.make({
        ...options,
        ...(tls === undefined ? {} : { tls, http2: true }),
        ...(unread === undefined ? {} : { receiveHighWaterMark: unread }),
        ...(watches === true ? { heartbeatInterval: "1 second", heartbeatTimeout: "500 millis" } : {})
      }),
    attach: Effect.flatMap(listening, (server) => NodeWebSocketServer.attach(server))
  },
  lines()
)
