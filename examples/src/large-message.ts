/**
 * `pnpm --filter examples large-message [--mebibytes N]`: sends one message, by default of 1 GiB, from a stream and receives it as a stream.
 * Neither side ever holds more than a small part of it. Both sides run in this process.
 */
import { WebSocketClient, WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
// Imports single modules: all of `effect` takes more memory than this program needs for the message.
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { parseArgs } from "node:util"

const part = new Uint8Array(64 * 1024)
const partsPerMebibyte = 16

// Answers with the number of bytes after the message has ended.
const Receiver = WebSocketServer.layerHandler(
  (socket) =>
    Effect.gen(function* () {
      const message = yield* socket.receive
      if (message._tag === "Text") return
      const bytes = yield* Stream.runFold(message.data, 0, (sum, received) => sum + received.length)
      yield* socket.send(`${bytes}`)
      yield* socket.closeStatus
    }),
  { delivery: "streams" }
)

const peakMebibytes = Effect.sync(() => Math.round(process.resourceUsage().maxRSS / 1024))

const { values } = parseArgs({ options: { mebibytes: { type: "string", default: "1024" } } })

const program = Effect.gen(function* () {
  const { url } = yield* WebSocketServer.address
  const socket = yield* WebSocketClient.connect(url)
  const before = yield* peakMebibytes
  // Reads one part at a time, as from a file.
  yield* socket.sendStream(Stream.take(Stream.repeatValue(part), Number(values.mebibytes) * partsPerMebibyte))
  const { data } = yield* socket.receive
  const peak = yield* peakMebibytes
  yield* Console.log(
    `received ${data} bytes; the process took ${peak} MiB at most, ${peak - before} MiB more than before`
  )
}).pipe(Effect.scoped)

const Live = Receiver.pipe(
  Layer.provideMerge(NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1" })),
  Layer.provideMerge(NodeWebSocketClient.layer)
)

void Effect.runPromise(Effect.provide(program, Live))
