/** `ws`, as in its README. The environment decides whether it uses `bufferutil`. */
import type { AddressInfo } from "node:net"
import { type WebSocket, WebSocketServer } from "ws"
import { nextTopic, options, serve } from "./serve.js"

const topics = new Map<string, Set<WebSocket>>()
const joined = new Map<WebSocket, Array<Set<WebSocket>>>()

const join = (socket: WebSocket, topic: string): void => {
  const members = topics.get(topic) ?? new Set()
  topics.set(topic, members.add(socket))
  joined.get(socket)?.push(members)
}

const leave = (socket: WebSocket): void => {
  for (const members of joined.get(socket) ?? []) members.delete(socket)
  joined.delete(socket)
}

const server = new WebSocketServer({
  port: 0,
  host: "127.0.0.1",
  maxPayload: options.maxMessageBytes,
  perMessageDeflate: options.compression
})
server.on("connection", (socket) => {
  socket.on("error", () => {})
  joined.set(socket, [])
  socket.on("close", () => leave(socket))
  if (options.topics.length > 0) join(socket, nextTopic())
  socket.on("message", (data, isBinary) => {
    if (options.topics.length > 0) {
      for (const topic of options.topics) {
        for (const member of topics.get(topic) ?? []) member.send(data, { binary: isBinary })
      }
    } else if (!options.broadcast) socket.send(data, { binary: isBinary })
    else for (const client of server.clients) client.send(data, { binary: isBinary })
  })
})
const joinAll = (names: ReadonlyArray<string>): void => {
  for (const name of names) for (const socket of server.clients) join(socket, name)
}
server.on("listening", () => serve((server.address() as AddressInfo).port, joinAll))
