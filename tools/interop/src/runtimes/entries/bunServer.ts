import { BunWebSocketServer } from "@effect-websocket/platform/bun"
import { serveAll } from "../hosts/app.js"
import { lines } from "./lines.js"

declare const Bun: {
  serve(options: {
    readonly port: number
    readonly hostname: string
    readonly fetch: (request: Request, server: BunWebSocketServer.BunServer) => unknown
    readonly websocket: BunWebSocketServer.BunHandlers
  }): BunWebSocketServer.BunServer
}

await serveAll(
  {
    make: ({ unread, watches, ...options }) =>
      BunWebSocketServer.make({
        ...options,
        ...(unread === undefined ? {} : { receiveHighWaterMark: unread }),
        ...(watches === true ? { heartbeatInterval: "1 second", heartbeatTimeout: "500 millis" } : {})
      }),
    attach: BunWebSocketServer.attach(({ fetch, websocket }) =>
      Bun.serve({
        port: 0,
        hostname: "127.0.0.1",
        fetch: (request, server) => fetch(request, server) ?? new Response("healthy"),
        websocket
      })
    )
  },
  lines()
)
