/** Bun's own server. Bun runs this file. */
import { options, serve } from "./serve.js"

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
    }
  }): { readonly port: number; publish(topic: string, data: string | Uint8Array): number }
}

const everyone = "everyone"

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
      if (options.broadcast) socket.subscribe(everyone)
    },
    message: (socket, data) => {
      if (options.broadcast) server.publish(everyone, data)
      else socket.send(data)
    }
  }
})
serve(server.port)
