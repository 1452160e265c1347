/** HTTP apps that upgrade requests, on a server of Node. */
import * as WebSocketUpgrade from "@effect-websocket/platform/WebSocketUpgrade"
import type * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as NodeWebSocketUpgrade from "@effect-websocket/platform/node/NodeWebSocketUpgrade"
import { NodeHttpServer } from "@effect/platform-node"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import type { HttpServices } from "../effect/http.js"
import { Context, Effect, Layer, Logger } from "../effect/index.js"

export type App = Layer.Layer<never, never, HttpServices | WebSocketUpgrade.WebSocketUpgrade>

/** An app on an ephemeral port, as long as the scope. */
export const serve = (
  app: App,
  options?: WebSocketServer.Options,
  logger: Layer.Layer<never> = Logger.withoutDefault
) =>
  Effect.gen(function* () {
    const server = Http.createServer()
    const services = Layer.orDie(
      Layer.provideMerge(
        NodeWebSocketUpgrade.layer(server, options),
        NodeHttpServer.layer(() => server, { port: 0, host: "127.0.0.1" })
      )
    )
    const context = yield* Layer.build(Layer.provideMerge(Layer.provideMerge(app, services), logger))
    const { port } = server.address() as AddressInfo
    return { server, port, service: Context.get(context, WebSocketUpgrade.WebSocketUpgrade) }
  })
