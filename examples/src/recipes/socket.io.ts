/** A client of Socket.IO over this library's connections, with the server of Socket.IO. */
import { StandardWebSocket, type WebSocketClient } from "@effect-websocket/platform"
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import { Console, Effect, type Scope } from "effect"
import { WebSocket as WebSocketTransport } from "engine.io-client"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { Server } from "socket.io"
import { io, type Socket } from "socket.io-client"

/** A server of Socket.IO, which answers `greet`. It ends with the scope. */
export const server = Effect.acquireRelease(
  Effect.async<{ readonly url: string; readonly server: Server }>((resume) => {
    const http = createServer()
    const server = new Server(http, { transports: ["websocket"] })
    server.on("connection", (socket) =>
      socket.on("greet", (name: string, bytes: Uint8Array, answer: (text: string, bytes: Uint8Array) => void) =>
        answer(`hello ${name}`, bytes)
      )
    )
    http.listen(0, "127.0.0.1", () => {
      const { port } = http.address() as AddressInfo
      resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, server }))
    })
  }),
  ({ server }) => Effect.promise(() => server.close())
)

/** A client of Socket.IO. It ends with the scope. */
export const client = (url: string): Effect.Effect<Socket, never, WebSocketClient.WebSocketClient | Scope.Scope> =>
  Effect.gen(function* () {
    const WebSocket = yield* StandardWebSocket.make()
    class Transport extends WebSocketTransport {
      override createSocket(uri: string, protocols: string | Array<string> | undefined) {
        // In Node, Socket.IO asks for a type of binary data that only the package `ws` has.
        this.socket.binaryType = "arraybuffer"
        return new WebSocket(uri, protocols)
      }
    }
    return yield* Effect.acquireRelease(
      Effect.sync(() => io(url, { transports: [Transport], reconnectionDelay: 10 })),
      (socket) => Effect.sync(() => socket.disconnect())
    )
  })

export const program = Effect.gen(function* () {
  const { url } = yield* server
  const socket = yield* client(url)
  const answer = yield* Effect.promise(() => socket.emitWithAck("greet", "Ada", new Uint8Array([1, 2])))
  yield* Console.log(answer)
}).pipe(Effect.scoped, Effect.provide(NodeWebSocketClient.layer))
