/** Socket.IO, over WebSockets only, with a room for each topic. */
import { createClient } from "@redis/client"
import { createAdapter } from "@socket.io/redis-streams-adapter"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { Server } from "socket.io"
import { nextTopic, options, serve } from "./serve.js"

const day = 24 * 60 * 60 * 1000

const connected = async (path: string) => {
  const client = createClient({ socket: { path, tls: false } })
  await client.connect()
  return client
}

const overRedis =
  options.redis === undefined
    ? {}
    : {
        adapter: createAdapter(await connected(options.redis), { maxLen: 30_000 }),
        connectionStateRecovery: { maxDisconnectionDuration: day }
      }

const http = createServer()
const server = new Server(http, {
  ...overRedis,
  transports: ["websocket"],
  serveClient: false,
  maxHttpBufferSize: options.maxMessageBytes,
  perMessageDeflate: options.compression,
  // No heartbeats, as with the other servers.
  pingInterval: day
})
server.on("connection", (socket) => {
  if (options.topics.length > 0 && !options.publisher) void socket.join(nextTopic())
  socket.on("message", (data: unknown) => {
    for (const topic of options.topics) server.to(topic).emit("message", data)
  })
})
http.listen(0, "127.0.0.1", () =>
  serve((http.address() as AddressInfo).port, (names) => {
    for (const name of names) server.socketsJoin(name)
  })
)
