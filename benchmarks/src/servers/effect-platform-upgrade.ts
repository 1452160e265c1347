/** The HTTP server of `@effect/platform`, with a route that upgrades. It takes no options for its WebSockets. */
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { createServer } from "node:http"
import { effectPlatformHandler } from "./effectPlatformHandler.js"
import { serve } from "./serve.js"

const echo = Effect.gen(function* () {
  yield* effectPlatformHandler(yield* HttpServerRequest.upgrade)
  return HttpServerResponse.empty()
}).pipe(Effect.scoped)

const app = HttpServer.serve(HttpRouter.empty.pipe(HttpRouter.get("/", echo)))
const ready = Layer.effectDiscard(
  HttpServer.addressWith((address) => Effect.sync(() => address._tag === "TcpAddress" && serve(address.port)))
)

Layer.merge(app, ready).pipe(
  Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
  Layer.launch,
  Effect.runFork
)
