/**
 * `pnpm echo-server --port N [--host H] [--max-message-bytes N] [--max-fragments N] [--compress]`: sends every message
 * back, text as text and binary as binary, until SIGINT or SIGTERM. Then it closes every connection with 1001.
 */
import { WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Origin } from "@effect-websocket/protocol"
import { Command, Options } from "@effect/cli"
import { Console, Effect, Layer } from "effect"
import { compression, compressOptions } from "./compression.js"
import { limitOptions } from "./limits.js"
import { runCommand } from "./runCommand.js"

const Echo = WebSocketServer.layerHandler((socket) => socket.run((message) => socket.send(message)))

const Ready = Layer.effectDiscard(
  Effect.flatMap(WebSocketServer.address, ({ url }) => Console.log(`listening on ${url}`))
)

const command = Command.make(
  "echo-server",
  {
    port: Options.integer("port").pipe(Options.withDescription("The port to listen on; 0 for any")),
    host: Options.text("host").pipe(
      Options.withDescription("The address to listen on"),
      Options.withDefault("127.0.0.1")
    ),
    ...limitOptions,
    ...compressOptions
  },
  ({ compress, host, maxFragments, maxMessageBytes, port }) =>
    Layer.launch(
      Layer.mergeAll(Echo, Ready).pipe(
        Layer.provide(
          NodeWebSocketServer.layer({
            port,
            host,
            limits: { maxFragments, maxMessageBytes },
            compression: compression(compress),
            // Any origin is allowed: an echo server has nothing that a page could abuse.
            origin: Origin.allowAll
          })
        )
      )
    )
)

const cli = Command.run(command, { name: "echo-server", version: "0.1.0" })

runCommand(cli(process.argv))
