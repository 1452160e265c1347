/** What `@effect/rpc` has for Effect 3, and `effect/rpc` for Effect 4: the protocols of RPC clients and servers. */
import type * as Socket_ from "@effect/platform/Socket"
import * as RpcClient from "@effect/rpc/RpcClient"
import type * as RpcSerialization_ from "@effect/rpc/RpcSerialization"
import * as RpcServer from "@effect/rpc/RpcServer"
import { isWebSocketError } from "@effect-websocket/protocol/Errors"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { HttpServerRequest } from "./install-effect@3-or-platform@4/httpServer.js"
import { upgradedRequest } from "./upgradedRequest.js"

/** The serialisation of messages. */
export type RpcSerialization = RpcSerialization_.RpcSerialization

/** The protocol of a client, and the protocol of a server. */
export type ClientProtocol = RpcClient.Protocol
export const ServerProtocol: typeof RpcServer.Protocol = RpcServer.Protocol
export type ServerProtocol = RpcServer.Protocol

/** The members of the server's protocol. */
export type ServerProtocolService = Context.Tag.Service<RpcServer.Protocol>

/** The options of `RpcClient.layerProtocolSocket`. */
export type ClientProtocolOptions = NonNullable<Parameters<typeof RpcClient.layerProtocolSocket>[0]>

/** The protocol of a client over a socket. It pings every 10 seconds; that cannot be turned off. */
export const layerClientProtocol = (
  options?: ClientProtocolOptions
): Layer.Layer<ClientProtocol, never, Socket_.Socket | RpcSerialization> => RpcClient.layerProtocolSocket(options)

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

/** The protocol of a server, and a function that serves one connection. */
export interface ServerConnections {
  readonly protocol: ServerProtocolService
  /** Ends with the connection. Each call has the headers, before its own. */
  readonly serve: (
    socket: Socket_.Socket,
    headers: Readonly<Record<string, string>>
  ) => Effect.Effect<void, never, Scope.Scope>
}

export const makeServerConnections: Effect.Effect<ServerConnections, never, RpcSerialization> = Effect.map(
  RpcServer.makeProtocolWithHttpAppWebsocket,
  ({ httpApp, protocol }) => ({
    protocol,
    serve: (socket, headers) =>
      Effect.asVoid(Effect.provideService(httpApp, HttpServerRequest, upgradedRequest(socket, headers)))
  })
)
