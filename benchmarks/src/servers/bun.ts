/** Bun's own server. Bun runs this file. */
import { nextTopic, options, serve } from "./serve.js"

interface BunSocket {
  send(data: string | Uint8Array): number
  subscribe(topic: string): void
}

declare const Bun: {
  serve(options: {
    readonly port: number
    readonly hostname: string
    fetch(request: unknown, server: { upgrade(request: unknown): boolean }): undefined
    readonly websocket: {
      readonly perMessageDeflate: boolean
      readonly maxPayloadLength: number
      readonly idleTimeout: number
      open(socket: BunSocket): void
      message(socket: BunSocket, data: string | Uint8Array): void
      close(socket: BunSocket): void
    }
  }): { readonly port: number; publish(topic: string, data: string | Uint8Array): number }
}

const everyone = "everyone"

const sockets = new Set<BunSocket>()

const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: (request, server) => {
    server.upgrade(request)
    return undefined
  },
  websocket: {
    perMessageDeflate: options.compression,
    maxPayloadLength: options.maxMessageBytes,
    idleTimeout: 0,
    open: (socket) => {
      sockets.add(socket)
      if (options.topics.length > 0) socket.subscribe(nextTopic())
      else if (options.broadcast) socket.subscribe(everyone)
    },
    message: (socket, data) => {
      if (options.topics.length > 0) for (const topic of options.topics) server.publish(topic, data)
      else if (options.broadcast) server.publish(everyone, data)
      else socket.send(data)
    },
    close: (socket) => void sockets.delete(socket)
  }
})
serve(server.port, (names) => {
  for (const name of names) for (const socket of sockets) socket.subscribe(name)
})
