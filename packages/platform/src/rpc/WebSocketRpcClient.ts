/**
 * The protocol of an RPC client over WebSockets of this library. The client itself is `RpcClient.make` of `@effect/rpc`
 * (Effect 3) or `effect/rpc` (Effect 4).
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as EffectSocket from "../EffectSocket.js"
import { layerEffect } from "../internal/effect.js"
import {
  ClientProtocol,
  makeClientProtocol,
  readAgain,
  type ClientProtocolOptions,
  type ClientProtocolService,
  type RpcSerialization
} from "../internal/rpc.js"
import { Socket } from "../internal/socket.js"
import type { WebSocketClient } from "../WebSocketClient.js"

/**
 * The options of each connection, and those of `RpcClient.layerProtocolSocket`:
 *
 * - `rpc`: when the client connects again, and on Effect 4 its own pings. Default: that of Effect, which connects again after
 *   half a second at first and after 5 seconds in the end, but without pings on Effect 4.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends EffectSocket.Options {
  readonly rpc?: ClientProtocolOptions | undefined
}

/**
 * The protocol of an RPC client that connects to a URL, and again whenever its connection has ended. The URL may be an effect,
 * which runs before each attempt.
 *
 * When a connection ends, each call in flight fails with `RpcClientError`. Calls fail with the same error until there is the
 * next connection. Calls before the first connection wait for it, unless an attempt fails. No call is sent twice.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeProtocol = <E = never, R = never>(
  url: string | URL | Effect.Effect<string | URL, E, R>,
  { rpc, ...options }: Options = {}
): Effect.Effect<
  ClientProtocolService,
  never,
  WebSocketClient | RpcSerialization | Scope.Scope | Exclude<R, Scope.Scope>
> =>
  Effect.flatMap(EffectSocket.make(url, options), (socket) =>
    Effect.provideService(makeClientProtocol(rpc), Socket, socket)
  )

/**
 * The protocol that `makeProtocol` makes.
 *
 * @example
 * ```ts
 * import { WebSocketRpcClient } from "@effect-websocket/platform/rpc"
 * import { NodeWebSocketClient } from "@effect-websocket/platform/node"
 * import { Layer } from "effect"
 *
 * // Needs `RpcSerialization`, such as `RpcSerialization.layerNdjson`.
 * const Protocol = WebSocketRpcClient.layerProtocol("wss://example.com/rpc").pipe(
 *   Layer.provide(NodeWebSocketClient.layer)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerProtocol = <E = never, R = never>(
  url: string | URL | Effect.Effect<string | URL, E, R>,
  options?: Options
): Layer.Layer<ClientProtocol, never, WebSocketClient | RpcSerialization | Exclude<R, Scope.Scope>> =>
  layerEffect(ClientProtocol, makeProtocol(url, options))

/**
 * The options of `makeProtocolReconnecting`: those of `EffectSocket.makeReconnecting`, and `rpc`, as in `Options`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReconnectingOptions<E = never, R = never> extends EffectSocket.ReconnectingOptions<E, R> {
  readonly rpc?: ClientProtocolOptions | undefined
}

/**
 * As `makeProtocol`, but a `ReconnectingWebSocket` makes the connections: its `schedule`, `classify`, `onConnect` and the
 * server's `Retry-After` decide when it connects again. An attempt that fails does not fail a call: calls before the first
 * connection wait for it. After the final failure, all calls fail with it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeProtocolReconnecting = <E = never, R = never>(
  url: string | URL | Effect.Effect<string | URL, E, R>,
  { rpc, ...options }: ReconnectingOptions<E, R> = {}
): Effect.Effect<ClientProtocolService, never, WebSocketClient | RpcSerialization | Scope.Scope | R> =>
  Effect.flatMap(EffectSocket.makeReconnecting(url, options), (socket) =>
    Effect.provideService(makeClientProtocol({ ...readAgain, ...rpc }), Socket, socket)
  )

/**
 * The protocol that `makeProtocolReconnecting` makes.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerProtocolReconnecting = <E = never, R = never>(
  url: string | URL | Effect.Effect<string | URL, E, R>,
  options?: ReconnectingOptions<E, R>
): Layer.Layer<ClientProtocol, never, WebSocketClient | RpcSerialization | Exclude<R, Scope.Scope>> =>
  layerEffect(ClientProtocol, makeProtocolReconnecting(url, options))
