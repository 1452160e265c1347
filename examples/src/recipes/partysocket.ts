/** PartySocket, a WebSocket that reconnects, over this library's connections. */
import { StandardWebSocket, WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Console, Effect, Layer } from "effect"
import { WebSocket as PartySocket } from "partysocket"

/** Answers each message, and then restarts: it closes the connection with 1012. */
export const Restarting = WebSocketServer.layerHandler((socket) =>
  socket.run((message) => Effect.andThen(socket.send(`${message.data}, too`), socket.close("ServiceRestart")))
)

/** A socket that reconnects for as long as the scope lasts. */
export const connect = (url: string) =>
  Effect.gen(function* () {
    const WebSocket = yield* StandardWebSocket.make()
    return yield* Effect.acquireRelease(
      Effect.sync(() => new PartySocket(url, [], { WebSocket, minReconnectionDelay: 10, maxReconnectionDelay: 100 })),
      (socket) => Effect.sync(() => socket.close())
    )
  })

/** Sends a text, on the next connection if there is none, and waits for the answer. */
export const ask = (socket: PartySocket, text: string) =>
  Effect.async<string>((resume) => {
    socket.addEventListener("message", ({ data }) => resume(Effect.succeed(String(data))), { once: true })
    socket.send(text)
  })

export const program = Effect.gen(function* () {
  const { url } = yield* WebSocketServer.address
  const socket = yield* connect(url)
  const closed = new Promise((resolve) => socket.addEventListener("close", resolve, { once: true }))
  yield* Console.log(yield* ask(socket, "hello"))
  yield* Effect.promise(() => closed)
  yield* Console.log(yield* ask(socket, "hello again"))
}).pipe(
  Effect.scoped,
  Effect.provide(Restarting.pipe(Layer.provideMerge(NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1" })))),
  Effect.provide(NodeWebSocketClient.layer)
)
