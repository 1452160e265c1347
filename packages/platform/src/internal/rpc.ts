/** What `@effect/rpc` has for Effect 3, and `effect/rpc` for Effect 4: the protocols of RPC clients and servers. */
import type * as Socket_ from "@effect/platform/Socket"
import * as RpcClient from "@effect/rpc/RpcClient"
import * as RpcSerialization_ from "@effect/rpc/RpcSerialization"
import * as RpcServer from "@effect/rpc/RpcServer"
import { isWebSocketError } from "@effect-websocket/protocol/Errors"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { HttpServerRequest, HttpServerResponse } from "./httpServer.js"

/** The serialisation of messages. */
export const RpcSerialization: typeof RpcSerialization_.RpcSerialization = RpcSerialization_.RpcSerialization
export type RpcSerialization = RpcSerialization_.RpcSerialization

/** The protocol of a client, and the protocol of a server. */
export const ClientProtocol: typeof RpcClient.Protocol = RpcClient.Protocol
export type ClientProtocol = RpcClient.Protocol
export const ServerProtocol: typeof RpcServer.Protocol = RpcServer.Protocol
export type ServerProtocol = RpcServer.Protocol

/** The members of the protocols. */
export type ClientProtocolService = Context.Tag.Service<RpcClient.Protocol>
export type ServerProtocolService = Context.Tag.Service<RpcServer.Protocol>

/** The options of `RpcClient.layerProtocolSocket`. */
export type ClientProtocolOptions = NonNullable<Parameters<typeof RpcClient.layerProtocolSocket>[0]>

/** The protocol of a client over a socket. It pings every 10 seconds; that cannot be turned off. */
export const makeClientProtocol = (
  options?: ClientProtocolOptions
): Effect.Effect<ClientProtocolService, never, Socket_.Socket | RpcSerialization | Scope.Scope> =>
  RpcClient.makeProtocolSocket(options)

/**
 * Options with which the client reads again at once, unless there will be no other connection. Its own pings that have no
 * answer are an `OpenTimeout`, too, but not one of an attempt.
 */
export const readAgain: ClientProtocolOptions = {
  retrySchedule: Schedule.recurWhile(
    ({ cause, reason }: Socket_.SocketError) =>
      reason !== "Open" && (reason !== "OpenTimeout" || !isWebSocketError(cause))
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
> = Effect.map(RpcServer.makeProtocolWithHttpAppWebsocket, ({ httpApp, protocol }) => ({ protocol, response: httpApp }))
