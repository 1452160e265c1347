/** Socket.IO, over WebSockets only, with a room for each topic. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { Server } from "socket.io"
import { nextTopic, options, serve } from "./serve.js"

const day = 24 * 60 * 60 * 1000

const http = createServer()
const server = new Server(http, {
  transports: ["websocket"],
  serveClient: false,
  maxHttpBufferSize: options.maxMessageBytes,
  perMessageDeflate: options.compression,
  // No heartbeats, as with the other servers.
  pingInterval: day
})
server.on("connection", (socket) => {
  if (options.topics.length > 0) void socket.join(nextTopic())
  socket.on("message", (data: unknown) => {
    for (const topic of options.topics) server.to(topic).emit("message", data)
  })
})
http.listen(0, "127.0.0.1", () =>
  serve((http.address() as AddressInfo).port, (names) => {
    for (const name of names) server.socketsJoin(name)
  })
)
