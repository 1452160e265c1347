/**
 * `pnpm chat [--port N] [--host H] [--redis URL] [--proxy ADDRESS …]`: serves the chat, by default at http://127.0.0.1:8080,
 * until SIGINT or SIGTERM. Then it closes every connection with 1012, and the pages go on with another process, or wait until
 * this one is back. Processes with the same Redis server are one chat.
 */
import { HttpServer } from "@effect/platform"
import { Command, Options } from "@effect/cli"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Option } from "effect"
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
    ),
    redis: Options.text("redis").pipe(
      Options.withDescription(
        "The URL of a Redis server, such as redis://127.0.0.1:6379, for a chat of several processes"
      ),
      Options.optional
    ),
    proxies: Options.text("proxy").pipe(
      Options.withDescription("The address or network of a proxy whose X-Forwarded-For counts"),
      Options.repeated
    )
  },
  ({ redis, ...settings }) =>
    Layer.launch(Layer.provide(Ready, layer({ ...settings, redis: Option.getOrUndefined(redis) })))
)

const cli = Command.run(command, { name: "chat", version: "0.1.0" })

cli(process.argv).pipe(Effect.provide(NodeContext.layer), NodeRuntime.runMain)
