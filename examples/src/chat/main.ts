/**
 * `pnpm chat [--port N] [--host H]`: serves the chat, by default at http://127.0.0.1:8080, until SIGINT or SIGTERM. Then it
 * closes every connection with 1012, and the pages wait until the server is back.
 */
import { HttpServer } from "@effect/platform"
import { Command, Options } from "@effect/cli"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { layer } from "./ChatServer.js"

const Ready = Layer.effectDiscard(HttpServer.addressFormattedWith((address) => Console.log(`listening on ${address}`)))

const command = Command.make(
  "chat",
  {
    port: Options.integer("port").pipe(
      Options.withDescription("The port to listen on; 0 for any"),
      Options.withDefault(8080)
    ),
    host: Options.text("host").pipe(
      Options.withDescription("The address to listen on"),
      Options.withDefault("127.0.0.1")
    )
  },
  (listen) => Layer.launch(Layer.provide(Ready, layer(listen)))
)

const cli = Command.run(command, { name: "chat", version: "0.1.0" })

cli(process.argv).pipe(Effect.provide(NodeContext.layer), NodeRuntime.runMain)
