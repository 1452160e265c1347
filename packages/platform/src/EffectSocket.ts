/**
 * WebSockets as the `Socket` and the `SocketServer` of Effect, for what is built upon them: RPC, Cluster, channels. They are
 * those of `@effect/platform` on Effect 3, and those of `effect/socket` on Effect 4.
 *
 * - `run` (Effect 3) and `reader` (Effect 4) connect anew each time, and close the connection at their end. On Effect 3
 *   handlers begin in order and run at the same time. On Effect 4 nothing is read before it is pulled.
 * - `writer` is independent of a single connection. While there is none, a write waits for the next one. Above
 *   `sendHighWaterMark` it waits for the peer. What is written to a connection that is closing or over is dropped, as by the
 *   standard `WebSocket`, because the reader reports that end. A message above `maxSendBytes`, and a `CloseEvent` that may
 *   not be sent, are write errors; nothing is sent then.
 * - The end of a connection is a `SocketCloseError` with the code of the Close that ended it, 1005 if that had none, or 1006 if
 *   there was no Close. Its `cause` is the error of the connection; on Effect 4 that is the `cause` of the error's `reason`. On
 *   Effect 3 `run` succeeds after 1000.
 * - A failed attempt to connect is an open error, whose `cause` says why: `HandshakeRejected`, `IoError`, or `ProtocolError`.
 *
 * @since 0.1.0
 */
import { isIoError, isWebSocketError } from "@effect-websocket/protocol/Errors"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { closeCodeOfExit } from "./internal/closeCodeOfExit.js"
import { CurrentWebSocket } from "./internal/currentWebSocket.js"
import { layerEffect } from "./internal/effect.js"
import {
  makeSocket,
  Socket,
  socketOpenError,
  SocketServer,
  socketServerAddress,
  type SocketServerService
} from "./internal/socket.js"
import { Sessions } from "./internal/sessions.js"
import * as ReconnectingWebSocket from "./ReconnectingWebSocket.js"
import type * as WebSocket from "./WebSocket.js"
import { connect, type ConnectOptions, type WebSocketClient } from "./WebSocketClient.js"
import { WebSocketServer, type RouteOptions } from "./WebSocketServer.js"

/**
 * The options of each connection, as those of `WebSocketClient.connect`. A message always waits for room on its connection,
 * so there is no `sendStrategy`.
 *
 * @since 0.1.0
 * @category models
 */
export type Options = Omit<
  ConnectOptions,
  "delivery" | "answerPings" | "answerClose" | "rsv" | "opcodes" | "sendStrategy"
>

/**
 * A socket over one connection that is open. Writes need no `run` and no `reader`. At the end of `run` (Effect 3), or of the
 * scope of `reader` (Effect 4), the connection is closed: with 1000 after a success, 1001 after an interruption and 1011 after
 * a failure. A second `run` or `reader` then reports that end.
 *
 * @example
 * ```ts
 * import { EffectSocket, WebSocketClient } from "@effect-websocket/platform"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const socket = EffectSocket.fromWebSocket(yield* WebSocketClient.connect("ws://127.0.0.1:8080"))
 *   yield* socket.writer
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromWebSocket = (socket: WebSocket.WebSocket): Socket =>
  makeSocket(
    Effect.acquireRelease(Effect.succeed(socket), (socket, exit) => Effect.orDie(socket.close(closeCodeOfExit(exit)))),
    new CurrentWebSocket(socket)
  )

/**
 * A socket that connects to a URL whenever it is read. The URL may be an effect, which runs before each attempt, for example to
 * get a token.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <E = never, R = never>(
  url: string | URL | Effect.Effect<string | URL, E, R>,
  options?: Options
): Effect.Effect<Socket, never, WebSocketClient | Exclude<R, Scope.Scope>> =>
  Effect.map(Effect.context<WebSocketClient | Exclude<R, Scope.Scope>>(), (context) => {
    const attempt = Effect.flatMap(Effect.isEffect(url) ? url : Effect.succeed(url), (url) => connect(url, options))
    return makeSocket(
      Effect.flatMap(Effect.scope, (scope) =>
        attempt.pipe(
          Effect.mapError((error) => socketOpenError(error, isTimeout(error))),
          // The context may have a scope, too: that of whoever makes the socket.
          Effect.provideService(Scope.Scope, scope),
          Effect.provide(context)
        )
      ),
      new CurrentWebSocket()
    )
  })

const isTimeout = (error: unknown): boolean => isWebSocketError(error) && isIoError(error) && error.reason === "Timeout"

/**
 * The service `Socket` that `make` makes.
 *
 * @example
 * ```ts
 * import { EffectSocket } from "@effect-websocket/platform"
 * import { NodeWebSocketClient } from "@effect-websocket/platform/node"
 * import { Layer } from "effect"
 *
 * const SocketLive = EffectSocket.layer("wss://example.com/rpc").pipe(Layer.provide(NodeWebSocketClient.layer))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <E = never, R = never>(
  url: string | URL | Effect.Effect<string | URL, E, R>,
  options?: Options
): Layer.Layer<Socket, never, WebSocketClient | Exclude<R, Scope.Scope>> => layerEffect(Socket, make(url, options))

/**
 * As `make`, but a `ReconnectingWebSocket` makes the connections: its `schedule`, `classify`, `onConnect` and the server's
 * `Retry-After` decide when it connects again. It connects at once, and until the scope ends. A reader waits for the next
 * connection, so it sees no attempt that failed. After the failure that is final, or that is classified as an end, each reader
 * fails with an open error. By default 1000 is such an end, also if a reader closes with it at the end of a success.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeReconnecting = <E = never, R = never>(
  url: string | URL | Effect.Effect<string | URL, E, R>,
  { onConnect = () => Effect.void, ...options }: ReconnectingOptions<E, R> = {}
): Effect.Effect<Socket, never, WebSocketClient | Scope.Scope | R> =>
  Effect.gen(function* () {
    const sessions = new Sessions<ReconnectingWebSocket.Failure<E>>()
    const reconnecting = yield* ReconnectingWebSocket.make(url, {
      ...options,
      onConnect: (socket, connection) => Effect.andThen(onConnect(socket, connection), sessions.session(socket))
    })
    // Ends with the failure, also after a normal end. What a connection leaves unread is dropped with it.
    const end = Effect.andThen(Effect.exit(Stream.runDrain(reconnecting.messages)), reconnecting.receive)
    yield* Effect.forkScoped(
      Effect.map(Effect.exit(end), (exit) => {
        if (Exit.isFailure(exit)) sessions.endWith(Exit.failCause(exit.cause))
      })
    )
    const connect = Effect.mapError(sessions.next, (error) => socketOpenError(error, isTimeout(error)))
    return makeSocket(connect, new CurrentWebSocket())
  })

/**
 * The options of `makeReconnecting`: those of `ReconnectingWebSocket.make`, except those of its outbox.
 *
 * @since 0.1.0
 * @category models
 */
export type ReconnectingOptions<E = never, R = never> = Omit<
  ReconnectingWebSocket.Options<E, R>,
  "outboxCapacity" | "outboxStrategy"
>

/**
 * The service `Socket` that `makeReconnecting` makes.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerReconnecting = <E = never, R = never>(
  url: string | URL | Effect.Effect<string | URL, E, R>,
  options?: ReconnectingOptions<E, R>
): Layer.Layer<Socket, never, WebSocketClient | Exclude<R, Scope.Scope>> =>
  layerEffect(Socket, makeReconnecting(url, options))

/**
 * The service `SocketServer` over a `WebSocketServer`, whose `run` runs a handler for each connection; see
 * `WebSocketServer.run`. With options it is a route of the server, which lives as long as the scope.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeServer = <Value = undefined, E = never, R = never>(
  options?: RouteOptions<Value, E, R>
): Effect.Effect<SocketServerService, never, WebSocketServer | Scope.Scope | R> =>
  Effect.gen(function* () {
    const server = yield* WebSocketServer
    const source = options === undefined ? server : yield* server.route(options)
    const { hostname, port, socketPath } = server.address
    return {
      address: socketServerAddress(hostname, port, socketPath),
      run: (handler) => source.run((socket) => handler(fromWebSocket(socket)))
    }
  })

/**
 * The service `SocketServer` that `makeServer` makes.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerServer = <Value = undefined, E = never, R = never>(
  options?: RouteOptions<Value, E, R>
): Layer.Layer<SocketServer, never, WebSocketServer | Exclude<R, Scope.Scope>> =>
  layerEffect(SocketServer, makeServer(options))
