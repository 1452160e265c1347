/**
 * The protocol of an RPC server over WebSockets of this library. The server itself is `RpcServer.layer` of `@effect/rpc`
 * (Effect 3) or `effect/rpc` (Effect 4).
 *
 * The headers of the request to upgrade are headers of each call of its connection, so middleware sees them. Headers that the
 * client gives to a call replace those of the same name. So do not trust a header of a proxy that a call can replace: check it
 * when the connection is made.
 *
 * @since 0.1.0
 */
import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { fromWebSocket } from "../EffectSocket.js"
import { layerEffect } from "../internal/effect.js"
import { HttpServerRequest, type HttpServerResponse } from "../internal/httpServer.js"
import {
  makeServerProtocol,
  ServerProtocol,
  type RpcSerialization,
  type ServerProtocolService
} from "../internal/rpc.js"
import type { Socket } from "../internal/socket.js"
import { upgradedRequest } from "../internal/upgradedRequest.js"
import { WebSocketServer, type RouteOptions } from "../WebSocketServer.js"
import { WebSocketUpgrade, type UpgradeOptions } from "../WebSocketUpgrade.js"

/**
 * The protocol of an RPC server for the connections of a `WebSocketServer`. With options it is a route of the server, which
 * lives as long as the scope.
 *
 * When a connection ends, its calls are interrupted. Replies to a client that does not read wait; they do not pile up.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeProtocol = <Value = undefined, E = never, R = never>(
  options?: RouteOptions<Value, E, R>
): Effect.Effect<ServerProtocolService, never, WebSocketServer | RpcSerialization | Scope.Scope | R> =>
  Effect.gen(function* () {
    const server = yield* WebSocketServer
    const { protocol, serve } = yield* makeConnections
    const route = options === undefined ? server : yield* server.route(options)
    yield* route.serve((socket) => serve(fromWebSocket(socket), singleHeaders(socket.request.headers)))
    return protocol
  })

/**
 * The protocol that `makeProtocol` makes.
 *
 * @example
 * ```ts
 * import { WebSocketRpcServer } from "@effect-websocket/platform/rpc"
 * import { NodeWebSocketServer } from "@effect-websocket/platform/node"
 * import { Layer } from "effect"
 *
 * // Needs `RpcSerialization`, such as `RpcSerialization.layerNdjson`.
 * const Protocol = WebSocketRpcServer.layerProtocol({ path: "/rpc" }).pipe(
 *   Layer.provide(NodeWebSocketServer.layer({ port: 8080 }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerProtocol = <Value = undefined, E = never, R = never>(
  options?: RouteOptions<Value, E, R>
): Layer.Layer<ServerProtocol, never, WebSocketServer | RpcSerialization | Exclude<R, Scope.Scope>> =>
  layerEffect(ServerProtocol, makeProtocol(options))

/**
 * The protocol of an RPC server, and the response of a route that upgrades its request for it. The route may be one of any
 * router of Effect's HTTP server; see `WebSocketUpgrade`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeProtocolUpgrade = <Value = undefined, E = never, R = never>(
  options?: UpgradeOptions<"messages", Value, E, R>
): Effect.Effect<
  {
    readonly protocol: ServerProtocolService
    readonly response: Effect.Effect<
      HttpServerResponse,
      never,
      HttpServerRequest | Scope.Scope | Exclude<R, Scope.Scope>
    >
  },
  never,
  WebSocketUpgrade | RpcSerialization
> =>
  Effect.gen(function* () {
    const { upgrade } = yield* WebSocketUpgrade
    const { protocol, serve } = yield* makeConnections
    const response = Effect.flatMap(HttpServerRequest, ({ headers }) =>
      upgrade((socket) => serve(fromWebSocket(socket), headers), options)
    )
    return { protocol, response }
  })

/** The protocol of a server, and a function that serves one connection until it ends. */
const makeConnections = Effect.map(makeServerProtocol, ({ protocol, response }) => ({
  protocol,
  serve: (socket: Socket, headers: Readonly<Record<string, string>>): Effect.Effect<void, never, Scope.Scope> =>
    Effect.asVoid(Effect.provideService(response, HttpServerRequest, upgradedRequest(socket, headers)))
}))

/** A header that came more than once has all of its values, as in a `Headers` of `fetch`. */
const singleHeaders = (headers: HeaderRecord): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, typeof value === "string" ? value : value.join(", ")]]
    )
  )
