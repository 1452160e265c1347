/** What `@effect/rpc` has for Effect 3, and `effect/rpc` for Effect 4: the protocols of RPC clients and servers. */
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as RpcClient_ from "effect/rpc/RpcClient"
import type * as RpcServer_ from "effect/rpc/RpcServer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Socket_ from "effect/socket/Socket"
import type { HttpServerRequest, HttpServerResponse } from "./httpServer.js"
import {
  makeProtocolSocket,
  makeProtocolWithHttpEffectWebsocket,
  type RpcSerialization
} from "./install-effect@4-or-platform@3/rpc.js"

/** The serialisation of messages, the protocol of a client, and the protocol of a server. */
export { ClientProtocol, RpcSerialization, ServerProtocol } from "./install-effect@4-or-platform@3/rpc.js"

/** The members of the protocols. */
export type ClientProtocolService = Context.Service.Shape<typeof RpcClient_.Protocol>
export type ServerProtocolService = Context.Service.Shape<typeof RpcServer_.Protocol>

/** The options of `RpcClient.layerProtocolSocket`. */
export type ClientProtocolOptions = NonNullable<Parameters<typeof makeProtocolSocket>[0]>

/**
 * The protocol of a client over a socket. It sends no pings of its own by default. They would come on top of the heartbeat,
 * and the client would take a server for dead while it waits for a slow reader of a stream.
 */
export const makeClientProtocol = (
  options?: ClientProtocolOptions
): Effect.Effect<ClientProtocolService, never, Socket_.Socket | RpcSerialization | Scope.Scope> =>
  makeProtocolSocket({ pingInterval: Duration.infinity, ...options })

/** Options with which the client reads again at once, unless there will be no other connection. */
export const readAgain: ClientProtocolOptions = {
  retryPolicy: Schedule.while(
    Schedule.forever,
    ({ input }: Schedule.Metadata<number, Socket_.SocketError>) => input.reason._tag !== "SocketOpenError"
  )
}

/**
 * The protocol of a server, and the response to a request that is upgraded. It ends with the connection. Each call has the
 * headers of the request, before its own.
 */
export const makeServerProtocol: Effect.Effect<
  {
    readonly protocol: ServerProtocolService
    readonly response: Effect.Effect<HttpServerResponse, never, HttpServerRequest | Scope.Scope>
  },
  never,
  RpcSerialization
> = Effect.map(makeProtocolWithHttpEffectWebsocket, ({ httpEffect, protocol }) => ({ protocol, response: httpEffect }))
