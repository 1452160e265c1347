/**
 * The server of `pnpm --filter soak drain`. It numbers its answers, and tells at the end of each connection how many of them `send`
 * accepted. Its arguments are the window and the deadline of its drain, in milliseconds.
 */
import { WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketServer } from "@effect-websocket/platform/node"
import { NodeRuntime } from "@effect/platform-node"
import { Cause, Effect, Exit, Layer, Logger } from "effect"
import { tell } from "./programs.js"

const [window, timeout] = process.argv.slice(2).map(Number)

const Numbering = WebSocketServer.layerHandler((socket) => {
  let accepted = 0
  return socket
    .run(({ data }) =>
      Effect.map(socket.send(`${accepted + 1} ${String(data)}`), () => {
        accepted++
      })
    )
    .pipe(Effect.ensuring(Effect.sync(() => tell({ url: socket.url, accepted }))))
})

const Ready = Layer.effectDiscard(Effect.map(WebSocketServer.address, ({ port }) => tell({ port })))

const report = Logger.replace(
  Logger.defaultLogger,
  Logger.make(({ message }) => tell({ log: String(message), rss: process.memoryUsage().rss }))
)

NodeRuntime.runMain(
  Layer.launch(
    Layer.merge(Numbering, Ready).pipe(
      Layer.provide(NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1", drain: { window, timeout } })),
      Layer.provide(report)
    )
  ),
  {
    disablePrettyLogger: true,
    // Without `process.exit`: it ends when nothing keeps it alive.
    teardown: (exit) => {
      process.exitCode = Exit.isSuccess(exit) || Cause.isInterruptedOnly(exit.cause) ? 0 : 1
    }
  }
)
