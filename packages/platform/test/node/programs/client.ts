/** A client for the tests of signals: it receives from every URL among its arguments. The first one is `closeTimeout`. */
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as NodeWebSocketClient from "@effect-websocket/platform/node/NodeWebSocketClient"
import * as Effect from "../../effect/Effect.js"
import { runMain } from "./main.js"

const [closeTimeout, ...urls] = process.argv.slice(2)

const receive = (url: string) =>
  Effect.scoped(Effect.flatMap(WebSocketClient.connect(url), (socket) => Effect.forever(socket.receive)))

runMain(
  Effect.forEach(urls, receive, { concurrency: "unbounded" }).pipe(
    Effect.provide(NodeWebSocketClient.layerWith({ closeTimeout: Number(closeTimeout) }))
  )
)
