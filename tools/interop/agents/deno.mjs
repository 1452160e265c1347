/* global Deno, WebSocket */
import process from "node:process"
import { serveJobs } from "./lines.mjs"
import { react, remember, webClient } from "./shared.mjs"

if (process.argv[2] === "server") {
  Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: ({ port }) => console.log(`listening ${port}`) },
    (request) => {
      const offered = (request.headers.get("sec-websocket-protocol") ?? "").split(/\s*,\s*/)
      // Nothing of a request can be read once it is upgraded.
      const origin = request.headers.get("origin")
      const { response, socket } = Deno.upgradeWebSocket(
        request,
        offered.includes("chat.v1") ? { protocol: "chat.v1" } : {}
      )
      const api = {
        origin,
        send: (reply) => socket.send(reply),
        close: (code, reason) => socket.close(code, reason)
      }
      socket.binaryType = "arraybuffer"
      socket.addEventListener("message", ({ data }) => react(api, data))
      socket.addEventListener("error", () => {})
      socket.addEventListener("close", ({ code, reason }) => remember(code, reason))
      return response
    }
  )
} else {
  serveJobs(({ origin, protocols, url }) =>
    webClient(WebSocket, { url, protocols, ...(origin ? { options: { headers: { origin } } } : {}) })
  )
}
