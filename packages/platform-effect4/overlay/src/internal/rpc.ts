/** What `@effect/rpc` has for Effect 3, and `effect/rpc` for Effect 4: the protocols of RPC clients and servers. */
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as RpcClient_ from "effect/rpc/RpcClient"
import type * as RpcSerialization_ from "effect/rpc/RpcSerialization"
import type * as RpcServer_ from "effect/rpc/RpcServer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Socket_ from "effect/socket/Socket"
import { HttpServerRequest } from "./install-effect@4-or-platform@3/httpServer.js"
import { layerProtocolSocket, makeProtocolWithHttpEffectWebsocket } from "./install-effect@4-or-platform@3/rpc.js"
import { upgradedRequest } from "./upgradedRequest.js"

/** The serialisation of messages. */
export type RpcSerialization = RpcSerialization_.RpcSerialization

/** The protocol of a client, and the protocol of a server. */
export type ClientProtocol = RpcClient_.Protocol
export { ServerProtocol } from "./install-effect@4-or-platform@3/rpc.js"

/** The members of the server's protocol. */
export type ServerProtocolService = Context.Service.Shape<typeof RpcServer_.Protocol>

/** The options of `RpcClient.layerProtocolSocket`. */
export type ClientProtocolOptions = NonNullable<Parameters<typeof layerProtocolSocket>[0]>

/**
 * The protocol of a client over a socket. It sends no pings of its own by default. They would come on top of the heartbeat,
 * and the client would take a server for dead while it waits for a slow reader of a stream.
 */
export const layerClientProtocol = (
  options?: ClientProtocolOptions
): Layer.Layer<ClientProtocol, never, Socket_.Socket | RpcSerialization> =>
  layerProtocolSocket({ pingInterval: Duration.infinity, ...options })

/** Options with which the client reads again at once, unless there will be no other connection. */
export const readAgain: ClientProtocolOptions = {
  retryPolicy: Schedule.while(
    Schedule.forever,
    ({ input }: Schedule.Metadata<number, Socket_.SocketError>) => input.reason._tag !== "SocketOpenError"
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
  makeProtocolWithHttpEffectWebsocket,
  ({ httpEffect, protocol }) => ({
    protocol,
    serve: (socket, headers) =>
      Effect.asVoid(Effect.provideService(httpEffect, HttpServerRequest, upgradedRequest(socket, headers)))
  })
)
