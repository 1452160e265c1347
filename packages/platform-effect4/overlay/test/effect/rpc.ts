/** RPC of `effect/rpc`, as both Effects have it, and its own WebSockets on Node. */
import { NodeHttpServer, NodeSocket } from "@effect/platform-node"
import { Effect, Layer, Schedule, Schema } from "effect"
import { HttpRouter } from "effect/http"
import { RpcClient, RpcMiddleware, RpcSerialization, RpcServer, type RpcClientError } from "effect/rpc"
import { Socket } from "effect/socket"
import type * as Http from "node:http"
import * as Context from "./Context.js"

export { Rpc, RpcClient, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"

export type ClientError = RpcClientError.RpcClientError

/** The name that a header of the call has. */
export class CurrentName extends Context.Service<CurrentName, string>()("CurrentName") {}

export class Named extends RpcMiddleware.Service<Named, { provides: CurrentName }>()("Named", {
  error: Schema.String
}) {}

export const NamedLive = Layer.succeed(Named, (effect, { headers }) => {
  const name = headers["x-name"]
  return name === undefined ? Effect.fail("nobody") : Effect.provideService(effect, CurrentName, name)
})

export const serializations: Readonly<Record<string, Layer.Layer<RpcSerialization.RpcSerialization>>> = {
  JSON: RpcSerialization.layerJson,
  NDJSON: RpcSerialization.layerNdjson,
  SchemaBinary: RpcSerialization.layerSchemaBinary()
}

/** The code with which the connection was closed that a call was lost with. `undefined` for another error. */
export const closeCodeOf = ({ reason }: ClientError): number | undefined =>
  reason._tag === "SocketCloseError" ? reason.code : undefined

/** Calls by name. */
export const calling = RpcClient.withHeaders

/** An app on the server that Effect has, at `/rpc`. */
export const builtInServer = (
  app: Layer.Layer<never, never, RpcServer.Protocol>,
  server: Http.Server,
  port: number
): Layer.Layer<never, never, RpcSerialization.RpcSerialization> =>
  HttpRouter.serve(Layer.provide(app, RpcServer.layerProtocolWebsocket({ path: "/rpc" }))).pipe(
    Layer.provide(NodeHttpServer.layer(() => server, { port, host: "127.0.0.1", disablePreemptiveShutdown: true })),
    Layer.orDie
  )

/** Connects again soon. */
export const soon = { retryPolicy: Schedule.spaced("10 millis") }

/** The client that Effect has. */
export const builtInClient = (url: string): Layer.Layer<RpcClient.Protocol, never, RpcSerialization.RpcSerialization> =>
  RpcClient.layerProtocolSocket(soon).pipe(
    Layer.provide(Socket.layerWebSocket(url)),
    Layer.provide(NodeSocket.layerWebSocketConstructor)
  )

/** Whether a stream that nobody reads leaves its connection to other calls. */
export const streamsDoNotBlock = false

/** Whether the client of Effect drops a connection with a stream that nobody reads. */
export const builtInDropsSlowReaders = true

/** How the client of Effect reports a server of Effect that stops, and a network that breaks. */
export const builtInLosses = { stopped: 1001, broken: "other" }

/** How many pings the client of RPC sends in a minute. */
export const clientPings = 0

/** Has the client of RPC ping every 10 seconds. */
export const pings = { pingInterval: "10 seconds" } as const

/** Whether the client of RPC learns of the end of a connection some steps after its socket has none. */
export const learnsOfEndLate = false
