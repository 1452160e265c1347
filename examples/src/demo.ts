/**
 * `pnpm demo`: runs a server and a client over real TCP in one process, and shows step by step what the library does.
 */
import { type WebSocket, WebSocketClient, WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { NodeRuntime } from "@effect/platform-node"
import { Console, Deferred, Duration, Effect, Layer, Logger, LogLevel } from "effect"

// Echoes text as text and binary as binary. `run` calls this for one message after another.
const Echo = WebSocketServer.layerHandler((socket) => socket.run((message) => socket.send(message)))

const Server = NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1", limits: { maxMessageBytes: 1024 } })

const say = (step: string, result: string) => Console.log(`${step.padEnd(34)} ${result}`)

const echoes = Effect.gen(function* () {
  const { url } = yield* WebSocketServer.address
  yield* say("WebSocketServer.address", url)

  const socket = yield* WebSocketClient.connect(url)
  yield* socket.send("hello")
  yield* say('send("hello")', `came back: ${JSON.stringify((yield* socket.receive).data)}`)

  yield* socket.send(new Uint8Array([1, 2, 3]))
  yield* say("send(Uint8Array [1, 2, 3])", `came back: ${format((yield* socket.receive).data)}`)

  yield* say("ping", `round trip: ${Duration.toMillis(yield* socket.ping()).toFixed(2)} ms`)
})

const fragments = Effect.gen(function* () {
  const { url } = yield* WebSocketServer.address
  const socket = yield* WebSocketClient.connect(url, { maxFrameSize: 4 })
  yield* socket.send("in fragments of 4 bytes")
  yield* say("send, maxFrameSize: 4", `came back: ${JSON.stringify((yield* socket.receive).data)}`)
})

// A server with small limits answers a large message with close code 1009. A client's own limits apply to the messages that
// it receives, and the error has the numbers.
const tooLarge = Effect.gen(function* () {
  const { url } = yield* WebSocketServer.address
  const socket = yield* WebSocketClient.connect(url, { limits: { maxMessageBytes: 8 } })
  yield* socket.send("more than 8 bytes")
  yield* socket.receive
}).pipe(
  Effect.scoped,
  Effect.catchTag("Payload_too_large", (error) => say("catchTag(Payload_too_large)", error.message))
)

const closedByServer = Effect.gen(function* () {
  const { url } = yield* WebSocketServer.address
  const socket = yield* WebSocketClient.connect(url)
  yield* socket.send("x".repeat(2000))
  yield* socket.receive
}).pipe(
  Effect.scoped,
  Effect.catchTag("Connection_closed", (error) =>
    say("catchTag(Connection_closed)", `the server closed: ${error.code}`)
  )
)

// A page of another site: by default a server accepts only pages of its own host.
const rejected = Effect.gen(function* () {
  const { url } = yield* WebSocketServer.address
  yield* WebSocketClient.connect(url, { origin: "https://evil.example" })
}).pipe(
  Effect.scoped,
  Effect.catchTag("Handshake_rejected", (error) =>
    say("catchTag(Handshake_rejected)", `${error.status} ${new TextDecoder().decode(error.body).trim()}`)
  )
)

// However a scope ends, it performs the closing handshake. Here a fiber is interrupted while it waits for a message.
const interrupted = Effect.gen(function* () {
  const { url } = yield* WebSocketServer.address
  const opened = yield* Deferred.make<WebSocket.WebSocket>()
  const fiber = yield* Effect.fork(
    Effect.scoped(
      Effect.gen(function* () {
        const socket = yield* WebSocketClient.connect(url)
        yield* Deferred.succeed(opened, socket)
        yield* socket.receive
      })
    )
  )
  const socket = yield* Deferred.await(opened)
  yield* fiber.interruptAsFork(fiber.id())
  const { clean, received, sent } = yield* socket.closeStatus
  yield* say(
    "an interrupted fiber",
    `sent Close ${sent?.code}, received Close ${received?.code}, ${clean ? "clean" : "not clean"}`
  )
})

const format = (data: string | Uint8Array) =>
  typeof data === "string" ? JSON.stringify(data) : `Uint8Array [${data.join(", ")}]`

const demo = Effect.gen(function* () {
  yield* Effect.scoped(echoes)
  yield* Effect.scoped(fragments)
  yield* tooLarge
  yield* closedByServer
  yield* rejected
  yield* interrupted
  yield* Console.log("Every connection above was closed with a handshake. The server's layer is released now.")
})

demo.pipe(
  Effect.provide(Layer.provideMerge(Echo, Layer.merge(Server, NodeWebSocketClient.layer))),
  // The server would warn about the exceeded limit and the refused origin, which this demo causes on purpose.
  Logger.withMinimumLogLevel(LogLevel.Error),
  NodeRuntime.runMain
)
