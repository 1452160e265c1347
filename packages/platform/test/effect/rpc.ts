/** RPC of `@effect/rpc`, as both Effects have it, and its own WebSockets on Node. */
import { HttpRouter, Socket } from "@effect/platform"
import { NodeHttpServer, NodeSocket } from "@effect/platform-node"
import { RpcClient, RpcMiddleware, RpcSerialization, RpcServer, type RpcClientError } from "@effect/rpc"
import { Effect, Layer, Schedule, Schema } from "effect"
import type * as Http from "node:http"
import * as Context from "./Context.js"

export { Rpc, RpcClient, RpcGroup, RpcSerialization, RpcServer } from "@effect/rpc"

export type ClientError = RpcClientError.RpcClientError

/** The name that a header of the call has. */
export class CurrentName extends Context.Service<CurrentName, string>()("CurrentName") {}

export class Named extends RpcMiddleware.Tag<Named>()("Named", { provides: CurrentName, failure: Schema.String }) {}

export const NamedLive = Layer.succeed(Named, ({ headers }) => {
  const name = headers["x-name"]
  return name === undefined ? Effect.fail("nobody") : Effect.succeed(name)
})

export const serializations: Readonly<Record<string, Layer.Layer<RpcSerialization.RpcSerialization>>> = {
  JSON: RpcSerialization.layerJson,
  NDJSON: RpcSerialization.layerNdjson,
  MessagePack: RpcSerialization.layerMsgPack
}

/** The code with which the connection was closed that a call was lost with. `undefined` for another error. */
export const closeCodeOf = ({ cause }: ClientError): number | undefined =>
  Socket.isSocketError(cause) && cause.reason === "Close" ? cause.code : undefined

/** Calls by name. */
export const calling = RpcClient.withHeaders

/** An app on the server that Effect has, at `/rpc`. */
export const builtInServer = (
  app: Layer.Layer<never, never, RpcServer.Protocol>,
  server: Http.Server,
  port: number
): Layer.Layer<never, never, RpcSerialization.RpcSerialization> =>
  HttpRouter.Default.serve().pipe(
    Layer.provide(Layer.provide(app, RpcServer.layerProtocolWebsocket({ path: "/rpc" }))),
    Layer.provide(NodeHttpServer.layer(() => server, { port, host: "127.0.0.1" })),
    Layer.orDie
  )

/** Connects again soon. */
export const soon = { retrySchedule: Schedule.spaced("10 millis") }

/** The client that Effect has. */
export const builtInClient = (url: string): Layer.Layer<RpcClient.Protocol, never, RpcSerialization.RpcSerialization> =>
  RpcClient.layerProtocolSocket(soon).pipe(
    Layer.provide(Socket.layerWebSocket(url)),
    Layer.provide(NodeSocket.layerWebSocketConstructor)
  )

/** Whether a stream that nobody reads leaves its connection to other calls. */
export const streamsDoNotBlock = true

/** Whether the client of Effect drops a connection with a stream that nobody reads. */
export const builtInDropsSlowReaders = false

/** How the client of Effect reports a server of Effect that stops, and a network that breaks. */
export const builtInLosses = { stopped: 1005, broken: "WebSocket" in globalThis ? "other" : 1000 }

/** How many pings the client of RPC sends in a minute. */
export const clientPings = 6

/** Has the client of RPC ping every 10 seconds. It always does. */
export const pings = {}

/** Whether the client of RPC learns of the end of a connection some steps after its socket has none. */
export const learnsOfEndLate = true
