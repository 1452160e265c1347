/* global Bun, WebSocket */
import process from "node:process"
import { serveJobs } from "./lines.mjs"
import { react, remember, webClient } from "./shared.mjs"

if (process.argv[2] === "server") {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request, own) => {
      const offered = (request.headers.get("sec-websocket-protocol") ?? "").split(/\s*,\s*/)
      const headers = offered.includes("chat.v1") ? { "Sec-WebSocket-Protocol": "chat.v1" } : {}
      const upgraded = own.upgrade(request, { headers, data: { origin: request.headers.get("origin") } })
      return upgraded ? undefined : new Response("no upgrade", { status: 400 })
    },
    websocket: {
      perMessageDeflate: true,
      maxPayloadLength: 2 ** 22,
      message: (socket, data) =>
        react(
          {
            origin: socket.data.origin,
            send: (reply) => socket.send(reply, true),
            close: (code, reason) => socket.close(code, reason),
            ping: () => socket.ping("from the peer")
          },
          data
        ),
      close: (_, code, reason) => remember(code, reason)
    }
  })
  console.log(`listening ${server.port}`)
} else {
  serveJobs(({ origin, protocols, url }) =>
    webClient(WebSocket, { url, protocols, ...(origin ? { options: { headers: { origin } } } : {}) })
  )
}
