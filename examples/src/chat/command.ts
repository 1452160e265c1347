/** What the programs of the chat have in common: their options, and what a process does with them. */
import { HttpServer } from "@effect/platform"
import { Options } from "@effect/cli"
import { Console, Layer, Option } from "effect"
import { layer, type Settings } from "./ChatServer.js"

export const options = {
  port: Options.integer("port").pipe(
    Options.withDescription("The port to listen on; 0 for any"),
    Options.withDefault(8080)
  ),
  host: Options.text("host").pipe(
    Options.withDescription("The address to listen on"),
    Options.withDefault("127.0.0.1")
  ),
  proxies: Options.text("proxy").pipe(
    Options.withDescription("The address or network of a proxy whose X-Forwarded-For counts"),
    Options.repeated
  )
}

export const redis = Options.text("redis").pipe(
  Options.withDescription("The URL of a Redis server, such as redis://127.0.0.1:6379, for a chat of several processes"),
  Options.filterMap(
    Option.liftPredicate((text) => /^rediss?:\/\/./.test(text) && URL.canParse(text)),
    "--redis is the URL of a Redis server, such as redis://127.0.0.1:6379"
  )
)

const Ready = Layer.effectDiscard(HttpServer.addressFormattedWith((address) => Console.log(`listening on ${address}`)))

/** Serves the chat until it is interrupted. */
export const serve = (settings: Settings) => Layer.launch(Layer.provide(Ready, layer(settings)))
