/** WebSockets of this library over TCP on loopback, with the other end byte by byte. */
import { WebSocketClient, type WebSocket, type WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketServer } from "@effect-websocket/platform/node"
import type { Connection } from "@effect-websocket/protocol"
import { Effect, Fiber } from "effect"
import { answer, dial, listen, upgradeRequest } from "./Wire.js"

/** A client's WebSocket, the other end of it, and the head of its request. */
export const client = <D extends Connection.Delivery = "messages">(
  options?: WebSocketClient.ConnectOptions<D>,
  ...answered: ReadonlyArray<string>
) =>
  Effect.gen(function* () {
    const server = yield* listen()
    const connecting = yield* Effect.fork(WebSocketClient.connect(`${server.url}/`, options))
    const wire = yield* server.next
    const head = yield* answer(wire, ...answered)
    const socket = yield* Fiber.join(connecting)
    // The other end answers no Close by itself.
    yield* Effect.addFinalizer(() => socket.abort)
    return { socket, wire, head }
  })

/** A server on loopback. */
export const serverOf = (options?: WebSocketServer.Options) =>
  NodeWebSocketServer.make({ port: 0, host: "127.0.0.1", ...options })

/** A server's WebSocket, the other end of it, and the head of the answer. */
export const server = <D extends Connection.Delivery = "messages">(
  options: WebSocketServer.Options & WebSocket.DeliveryOptions<D> = {},
  ...asked: ReadonlyArray<string>
) =>
  Effect.gen(function* () {
    const server = yield* serverOf(options)
    const accepting = yield* Effect.fork(server.accept<D>(options))
    const wire = yield* dial(server.address.port)
    wire.write(upgradeRequest("/", ...asked))
    const head = yield* wire.head
    const socket = yield* Fiber.join(accepting)
    yield* Effect.addFinalizer(() => socket.abort)
    return { socket, wire, head }
  })

/** The URL of a server that echoes each message. */
export const echo = (options?: WebSocketServer.Options) =>
  Effect.gen(function* () {
    const server = yield* serverOf(options)
    yield* server.serve((socket) => socket.run((message) => socket.send(message)))
    return server.address.url
  })
