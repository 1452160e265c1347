/** `ws`, as in its README. The environment decides whether it uses `bufferutil`. */
import type { AddressInfo } from "node:net"
import { WebSocketServer } from "ws"
import { options, serve } from "./serve.js"

const server = new WebSocketServer({
  port: 0,
  host: "127.0.0.1",
  maxPayload: options.maxMessageBytes,
  perMessageDeflate: options.compression
})
server.on("connection", (socket) => {
  socket.on("error", () => {})
  socket.on("message", (data, isBinary) => {
    if (!options.broadcast) socket.send(data, { binary: isBinary })
    else for (const client of server.clients) client.send(data, { binary: isBinary })
  })
})
server.on("listening", () => serve((server.address() as AddressInfo).port))
