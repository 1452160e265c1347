/**
 * The server: `accept` returns one scoped connection per call, `run` gives each connection a fiber and a scope of its own.
 *
 * @since 0.1.0
 */
import type { Delivery } from "@effect-websocket/protocol/Connection"
import type { IoError, PayloadTooLarge, ProtocolError } from "@effect-websocket/protocol/Errors"
import type { Name as CloseCodeName } from "@effect-websocket/protocol/CloseCode"
import type * as Origin from "@effect-websocket/protocol/Origin"
import type * as Subprotocol from "@effect-websocket/protocol/Subprotocol"
import type * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { count } from "./engine/checks.js"
import { Acceptor } from "./engine/server/Acceptor.js"
import { Route as EngineRoute } from "./engine/server/Route.js"
import type { UpgradeAttempt as EngineAttempt } from "./engine/server/UpgradeAttempt.js"
import * as internal from "./internal/accept.js"
import { connectionHandles } from "./internal/connectionHandle.js"
import { ContextService, layerEffectDiscard, runtime as inheritedRuntime } from "./internal/effect.js"
import * as internalDrain from "./internal/drain.js"
import { resolveMode } from "./internal/deliveries.js"
import { logWith } from "./internal/serverLog.js"
import { meteredServer } from "./internal/metered.js"
import { drainSettings, resolvePolicy, resolveProtocols, type ServerPolicy } from "./internal/serverPolicy.js"
import { shown } from "./internal/settings.js"
import { timers } from "./internal/timers.js"
import { observedPolicy } from "./internal/traced.js"
import { checkWith } from "./internal/upgradeCheck.js"
import type { DrainOptions, ServerMakeOptions, ServerOptions } from "./Options.js"
import type * as UpgradeCheck from "./UpgradeCheck.js"
import type * as WebSocket from "./WebSocket.js"

/**
 * What a server admits, which proxies it trusts, and how it stops; see `Options`.
 *
 * @since 0.1.0
 * @category models
 */
export type { AdmissionOptions, DrainOptions, KeyRequest, Proxies, Rate } from "./Options.js"

/**
 * The outcome of a drain.
 *
 * - `closed`: connections that ended with a closing handshake.
 * - `dropped`: connections that either side dropped.
 * - `interrupted`: handlers that were interrupted at the deadline.
 *
 * @since 0.1.0
 * @category models
 */
export interface DrainReport {
  readonly closed: number
  readonly dropped: number
  readonly interrupted: number
}

/**
 * The options of a server, besides those of every connection; see `Options.ServerOptions`.
 *
 * @since 0.1.0
 * @category models
 */
export type Options = ServerOptions

/**
 * The options of a server that gets its requests from an HTTP implementation of the app; see
 * `Options.ServerMakeOptions`.
 *
 * @since 0.1.0
 * @category models
 */
export type MakeOptions = ServerMakeOptions

/**
 * Where a server listens. `url` is what a client on the same machine connects to; the path of a request is appended to it.
 *
 * - `socketPath`: the Unix domain socket, or the Windows pipe, that the server listens on in place of a port. `hostname` is
 *   `"localhost"` then, `port` is 0, and `url` is `ws+unix:///path/to.sock:`; with TLS it is `wss://localhost`, for a client
 *   with the option `socketPath`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Address {
  readonly hostname: string
  readonly port: number
  readonly url: string
  readonly socketPath?: string | undefined
}

/**
 * The additional members of a server's connection: the request that asked for it, and the value with which its check
 * accepted.
 *
 * @since 0.1.0
 * @category models
 */
export interface Accepted<out Value = undefined> {
  readonly request: UpgradeCheck.Request
  readonly value: Value
}

/**
 * A connection of a server. It delivers whole messages, unless the options name another delivery.
 *
 * @since 0.1.0
 * @category models
 */
export type ServerWebSocket<D extends Delivery = "messages", Value = undefined> = WebSocket.Deliveries[D] &
  Accepted<Value>

/**
 * An open connection as its server sees it, at the time of the call.
 *
 * - `id`: counts the connections of the server, from 1.
 * - `receivedMessages`, `sentMessages`: messages that have ended.
 * - `receivedBytes`, `sentBytes`: bytes of the transport, without the handshake.
 * - `unreadBytes`, `unsentBytes`: bytes that wait for the app, and bytes that wait for the peer.
 * - `close`, `abort`: as those of the connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectionHandle {
  readonly id: number
  readonly url: string
  readonly delivery: Delivery
  readonly protocol: string | undefined
  readonly remoteAddress: string | undefined
  readonly clientAddress: string | undefined
  readonly value: unknown
  readonly age: Duration.Duration
  readonly receivedMessages: number
  readonly receivedBytes: number
  readonly sentMessages: number
  readonly sentBytes: number
  readonly unreadBytes: number
  readonly unsentBytes: number
  readonly close: (
    code?: number | CloseCodeName,
    reason?: string
  ) => Effect.Effect<void, ProtocolError | PayloadTooLarge>
  readonly abort: Effect.Effect<void>
}

/**
 * The options of `run`, besides those of the delivery.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunOptions<D extends Delivery, Value, E, R> extends WebSocket.DeliveryOptions<D> {
  /** The number of handlers that run at once. Default: any number. Further requests wait, at most `handshakeTimeout`. */
  readonly concurrency?: number | "unbounded" | undefined
  /**
   * Runs when a handler fails, with the cause, before the finalizers of the handler and the Close. Failures of the
   * connection itself count, interruptions do not. Default: none, so that failures are logged. Defects of `onError` are
   * logged.
   */
  readonly onError?:
    ((cause: Cause.Cause<E>, socket: ServerWebSocket<D, Value>) => Effect.Effect<unknown, never, R>) | undefined
}

/**
 * Which requests a route takes, and how it answers them.
 *
 * @since 0.1.0
 * @category models
 */
export interface RouteOptions<Value = undefined, E = never, R = never> {
  /**
   * The path of the requests, as clients send it. With `/*` at the end it matches all paths that begin with it. If
   * several routes match, the one with the longest path takes the request. Default: every request that no other route
   * takes.
   */
  readonly path?: string | undefined
  /** Decides about each request. Default: none, so that all requests are accepted. */
  readonly check?: UpgradeCheck.Check<Value, E, R> | undefined
  /** The policy that says which web pages may connect, in place of that of the server. Default: that of the server. */
  readonly origin?: Origin.Policy | undefined
  /** The subprotocols of the route, in place of those of the server. Default: those of the server. */
  readonly protocols?: ReadonlyArray<string> | Subprotocol.Selector | undefined
}

/**
 * The options of `layerHandler`: those of `run`, and those of a route except its path.
 *
 * @since 0.1.0
 * @category models
 */
export interface HandlerOptions<D extends Delivery, Value, E, R, CheckError, CheckServices>
  extends RunOptions<D, Value, E, R>, Omit<RouteOptions<Value, CheckError, CheckServices>, "path"> {}

/**
 * A source of connections: a route, or a server for the requests that none of its routes takes.
 *
 * - `accept`: returns the next connection, with the delivery that the options name. The server answers 101 in the same
 *   step. The scope owns the connection and closes it. Never fails; it is interrupted when the server is released.
 *   Options that belong to another delivery are a defect.
 * - `run`: runs a handler for each connection, in a fiber and a scope of its own. See `run`.
 * - `serve`: `run`, in a fiber of the scope. The end of the scope drains if the server has the option `drain`.
 * - `drain`: answers 503 from now on, and closes the open connections; see `DrainOptions`, whose defaults are those of the
 *   server. Concurrent calls share one drain and get the same report; interrupting a call does not stop it. Never fails.
 *
 * @since 0.1.0
 * @category models
 */
export interface Route<Value = undefined> {
  readonly accept: <D extends Delivery = "messages">(
    options?: WebSocket.DeliveryOptions<D>
  ) => Effect.Effect<ServerWebSocket<D, Value>, never, Scope.Scope>
  readonly run: <A, E, R, D extends Delivery = "messages", R2 = never>(
    handler: (socket: ServerWebSocket<D, Value>) => Effect.Effect<A, E, R>,
    options?: RunOptions<D, Value, E, R2>
  ) => Effect.Effect<never, never, Exclude<R | R2, Scope.Scope>>
  readonly serve: <A, E, R, D extends Delivery = "messages", R2 = never>(
    handler: (socket: ServerWebSocket<D, Value>) => Effect.Effect<A, E, R>,
    options?: RunOptions<D, Value, E, R2>
  ) => Effect.Effect<void, never, Scope.Scope | Exclude<R | R2, Scope.Scope>>
  readonly drain: (options?: DrainOptions) => Effect.Effect<DrainReport>
}

/**
 * The members of the service: those of every route, for the requests that no route takes, and in addition:
 *
 * - `route`: adds a route, which lives as long as the scope. If there are routes, and nobody has asked the server
 *   itself for a connection, the server answers 404 for other paths.
 * - `connections`: the open connections.
 * - `drain`: drains all routes.
 * - `stop`: accepts no more requests; see `stop`.
 * - `address`: where the server listens; with port 0, the port that the system chose.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service extends Route {
  readonly route: <Value = undefined, E = never, R = never>(
    options: RouteOptions<Value, E, R>
  ) => Effect.Effect<Route<Value>, never, R | Scope.Scope>
  readonly connections: Effect.Effect<ReadonlyArray<ConnectionHandle>>
  readonly stop: Effect.Effect<void>
  readonly address: Address
}

/**
 * The service of a server. See `Service`.
 *
 * @since 0.1.0
 * @category tags
 */
export class WebSocketServer extends ContextService<WebSocketServer, Service>()(
  "@effect-websocket/platform/WebSocketServer"
) {}

/**
 * Accepts the next connection, which belongs to the scope. It delivers whole messages, or what the option `delivery`
 * names. Options that belong to another delivery are a defect.
 *
 * @example
 * ```ts
 * import { WebSocketServer } from "@effect-websocket/platform"
 * import { Effect } from "effect"
 *
 * const greet = Effect.gen(function* () {
 *   const socket = yield* WebSocketServer.accept()
 *   yield* socket.send("hello")
 * }).pipe(Effect.scoped)
 *
 * // Echoes each message while it still arrives.
 * const echo = Effect.gen(function* () {
 *   const socket = yield* WebSocketServer.accept({ delivery: "streams" })
 *   yield* Effect.forever(Effect.flatMap(socket.receive, (message) => socket.sendStream(message)))
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const accept = <D extends Delivery = "messages">(
  options?: WebSocket.DeliveryOptions<D>
): Effect.Effect<ServerWebSocket<D>, never, WebSocketServer | Scope.Scope> =>
  Effect.flatMap(WebSocketServer, (server) => server.accept(options))

/**
 * Runs a handler for each connection, and never ends by itself. Each handler has a fiber and a scope of its own. When a
 * handler ends, its connection is closed: with 1000 after a success, 1001 after an interruption, 1011 after a failure.
 *
 * A handler that fails or dies does not affect other connections. The server logs `Connection_closed` at debug level,
 * other errors as warnings, and defects as errors. If there is an `onError`, the server calls it instead. Interrupting
 * `run` interrupts all handlers and waits for their closing handshakes.
 *
 * @since 0.1.0
 * @category accessors
 */
export const run = <A, E, R, D extends Delivery = "messages", R2 = never>(
  handler: (socket: ServerWebSocket<D>) => Effect.Effect<A, E, R>,
  options?: RunOptions<D, undefined, E, R2>
): Effect.Effect<never, never, WebSocketServer | Exclude<R | R2, Scope.Scope>> =>
  Effect.flatMap(WebSocketServer, (server) => server.run(handler, options))

/**
 * Adds a route to the server, which lives as long as the scope. See `layerRoute`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const route = <Value = undefined, E = never, R = never>(
  options: RouteOptions<Value, E, R>
): Effect.Effect<Route<Value>, never, WebSocketServer | R | Scope.Scope> =>
  Effect.flatMap(WebSocketServer, (server) => server.route(options))

/**
 * The connections that are open.
 *
 * @example
 * ```ts
 * import { WebSocketServer } from "@effect-websocket/platform"
 * import { Effect } from "effect"
 *
 * const kick = (id: number) =>
 *   Effect.gen(function* () {
 *     const connections = yield* WebSocketServer.connections
 *     const found = connections.find((connection) => connection.id === id)
 *     if (found !== undefined) yield* found.close(1008, "kicked")
 *   })
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const connections: Effect.Effect<ReadonlyArray<ConnectionHandle>, never, WebSocketServer> = Effect.flatMap(
  WebSocketServer,
  (server) => server.connections
)

/**
 * Stops the server gracefully: answers 503 from now on, closes all connections, and waits for their handlers. Concurrent calls
 * share one drain and get the same report; interrupting a call does not stop it.
 *
 * @since 0.1.0
 * @category accessors
 */
export const drain = (options?: DrainOptions): Effect.Effect<DrainReport, never, WebSocketServer> =>
  Effect.flatMap(WebSocketServer, (server) => server.drain(options))

/**
 * Accepts no more requests. The server answers 503 with `Retry-After` and `Connection: close` to requests that arrive
 * later, to those whose check is under way, and to those that wait for an `accept`. Open connections and their handlers
 * continue; `drain` or the end of the scope closes them. A server that listens by itself also closes its listener, so
 * that its port is free.
 *
 * It succeeds once nothing can be accepted any more. Idempotent, never fails, and cannot be undone. An `accept` that waits
 * goes on waiting until the server is released.
 *
 * @example
 * ```ts
 * import { WebSocketServer } from "@effect-websocket/platform"
 * import { Effect } from "effect"
 *
 * // Stops accepting once a promise resolves.
 * const stopAfter = (promise: Promise<void>) => Effect.andThen(Effect.promise(() => promise), WebSocketServer.stop)
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const stop: Effect.Effect<void, never, WebSocketServer> = Effect.flatMap(
  WebSocketServer,
  (server) => server.stop
)

/**
 * Where the server listens.
 *
 * @since 0.1.0
 * @category accessors
 */
export const address: Effect.Effect<Address, never, WebSocketServer> = Effect.map(
  WebSocketServer,
  (server) => server.address
)

/**
 * A layer that runs a handler for each connection, as `run` does, until it is released. The option `drain` of the server says
 * how it stops.
 *
 * With `check`, `origin` or `protocols` it is a route without a path, as `layerRoute` makes one, so that no connection
 * bypasses these options. It takes every request that no other route takes. As long as the layer lives, `accept` and
 * `run` of the server itself, and handlers without such options, get no requests. If there are several such layers, the
 * first one takes all requests.
 *
 * @example
 * ```ts
 * import { WebSocketServer } from "@effect-websocket/platform"
 * import { NodeWebSocketServer } from "@effect-websocket/platform/node"
 * import { Layer } from "effect"
 *
 * const Echo = WebSocketServer.layerHandler((socket) => socket.run((message) => socket.send(message)))
 *
 * const Main = Echo.pipe(Layer.provide(NodeWebSocketServer.layer({ port: 8080 })))
 * ```
 *
 * @example
 * ```ts
 * import { UpgradeCheck, WebSocketServer } from "@effect-websocket/platform"
 * import { Effect } from "effect"
 *
 * // `socket.value` is the value that the check accepts with. The type of `request` is written, because TypeScript infers the
 * // handler before the check.
 * const Greeter = WebSocketServer.layerHandler((socket) => socket.send(`Hello ${socket.value.name}`), {
 *   check: (request: UpgradeCheck.Request) => {
 *     const name = request.cookies["name"]
 *     return Effect.succeed(name === undefined ? UpgradeCheck.reject(403) : UpgradeCheck.accept({ name }))
 *   }
 * })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerHandler = <
  A,
  E,
  R,
  D extends Delivery = "messages",
  R2 = never,
  Value = undefined,
  CheckError = never,
  CheckServices = never
>(
  handler: (socket: ServerWebSocket<D, Value>) => Effect.Effect<A, E, R>,
  options?: HandlerOptions<D, Value, E, R2, CheckError, CheckServices>
): Layer.Layer<never, never, WebSocketServer | Exclude<CheckServices, Scope.Scope> | Exclude<R | R2, Scope.Scope>> =>
  layerEffectDiscard(
    Effect.flatMap(WebSocketServer, (server) =>
      Effect.flatMap(onTerms(server, options), (route) => route.serve(handler, options))
    )
  )

/** The server itself, or a route without a path if the handler has a check, an origin policy or subprotocols of its own. */
const onTerms = <Value, E, R>(
  server: Service,
  options: Omit<RouteOptions<Value, E, R>, "path"> = {}
): Effect.Effect<Route<Value>, never, R | Scope.Scope> => {
  const { check, origin, protocols } = options
  // Without a check there is no value, as in `RouteOptions`.
  return (check ?? origin ?? protocols) === undefined
    ? Effect.succeed(server as Route<unknown> as Route<Value>)
    : server.route({ check, origin, protocols })
}

/**
 * A layer with a route of the server and a handler for each of its connections. `socket.value` of the handler is the value
 * that the check accepts with.
 *
 * @example
 * ```ts
 * import { UpgradeCheck, WebSocketServer } from "@effect-websocket/platform"
 * import { NodeWebSocketServer } from "@effect-websocket/platform/node"
 * import { Effect, Layer } from "effect"
 *
 * declare const userOf: (token: string) => Effect.Effect<{ readonly name: string }, "unknown">
 *
 * const Chat = WebSocketServer.layerRoute({
 *   path: "/chat",
 *   check: (request) =>
 *     userOf(request.cookies["token"] ?? "").pipe(
 *       Effect.map((user) => UpgradeCheck.accept(user)),
 *       Effect.mapError(() => UpgradeCheck.reject(401, { body: "Log in first" }))
 *     ),
 *   handler: (socket) => socket.run((message) => socket.send(`${socket.value.name}: ${message.data}`))
 * })
 *
 * const Time = WebSocketServer.layerRoute({ path: "/time", handler: (socket) => socket.send("late") })
 *
 * const Main = Layer.merge(Chat, Time).pipe(Layer.provide(NodeWebSocketServer.layer({ port: 8080 })))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerRoute = <
  A,
  E,
  R,
  Value = undefined,
  CheckError = never,
  CheckServices = never,
  D extends Delivery = "messages",
  R2 = never
>(
  options: RouteOptions<Value, CheckError, CheckServices> &
    RunOptions<D, Value, E, R2> & {
      readonly handler: (socket: ServerWebSocket<D, Value>) => Effect.Effect<A, E, R>
    }
): Layer.Layer<never, never, WebSocketServer | Exclude<CheckServices, Scope.Scope> | Exclude<R | R2, Scope.Scope>> =>
  layerEffectDiscard(
    Effect.flatMap(WebSocketServer, (server) =>
      Effect.flatMap(server.route(options), (route) => route.serve(options.handler, options))
    )
  )

/**
 * A request to upgrade that is not answered yet, from any HTTP implementation. The library calls exactly one of
 * `upgrade` and `reject`, once, unless `isGone`. If one of them throws, the library logs the error, and other requests
 * are not affected.
 *
 * - `request`, `remoteAddress`: the request, and the address of its transport. For version `"2.0"` of HTTP, the headers have the
 *   pseudo-headers of an extended `CONNECT` (RFC 8441).
 * - `isCut`: whether the host has dropped headers of the request because there were too many. Then the answer is 431. Default: no.
 * - `isGone`: whether the client has disconnected or ended its side. Then it gets no answer.
 * - `onGone`: tells one listener when the client goes away before it is answered; a later listener replaces it.
 * - `upgrade`: answers with headers and status 101, or with the `:status` in them over HTTP/2. The transport begins with the bytes
 *   behind the request.
 * - `reject`: answers with an HTTP status, headers and a text, and ends the connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface UpgradeAttempt extends EngineAttempt {}

/**
 * A server without a listener of its own.
 *
 * - `service`: the server.
 * - `offer`: hands over a request to upgrade.
 * - `claims`: whether some route takes the requests for a target (path and query), for listeners that are shared with others.
 *
 * @since 0.1.0
 * @category models
 */
export interface Made {
  readonly service: Service
  readonly offer: (attempt: UpgradeAttempt) => void
  readonly claims: (url: string) => boolean
}

/**
 * Makes a server without a listener of its own, which gets its requests to upgrade from any HTTP implementation. When
 * the scope ends, the server answers 503 to waiting requests, and closes all connections with 1001 within one
 * `closeTimeout`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  listening: Address | (() => Address),
  options: MakeOptions = {}
): Effect.Effect<Made, never, Scope.Scope> =>
  Effect.gen(function* () {
    const policy = yield* observedPolicy(yield* Effect.sync(() => resolvePolicy(options)))
    const acceptor = new Acceptor(policy, yield* timers, logWith(yield* inheritedRuntime<never>()))
    yield* meteredServer(acceptor)
    yield* Effect.addFinalizer(() => internal.release(acceptor, policy.drain.code))
    const service: Service = {
      ...routeOf<undefined>(acceptor.fallback, policy),
      route: (options) => makeRoute(acceptor, policy, options),
      drain: (options) => drainWith(acceptor, policy, options),
      connections: Effect.sync(() => connectionHandles(acceptor)),
      stop: Effect.sync(() => acceptor.close()),
      get address() {
        return typeof listening === "function" ? listening() : listening
      }
    }
    return { service, offer: (attempt) => acceptor.offer(attempt), claims: (url) => acceptor.claims(url) }
  })

const makeRoute = <Value, E, R>(
  acceptor: Acceptor,
  policy: ServerPolicy,
  options: RouteOptions<Value, E, R>
): Effect.Effect<Route<Value>, never, R | Scope.Scope> =>
  Effect.gen(function* () {
    const runtime = yield* inheritedRuntime<R>()
    const route = yield* Effect.sync(() => {
      const { check, origin = policy.origin, path, protocols } = options
      if (path !== undefined && !/^\/[^?#]*$/.test(path)) {
        throw new RangeError(`path must begin with "/" and have no query, but is ${shown(path)}`)
      }
      const select = protocols === undefined ? policy.select : resolveProtocols(protocols)
      return new EngineRoute({ path, origin, select, check: check && checkWith(runtime, check, policy) }, acceptor)
    })
    yield* Effect.acquireRelease(
      Effect.sync(() => acceptor.add(route)),
      () => Effect.sync(() => acceptor.remove(route))
    )
    return routeOf<Value>(route, policy)
  })

/** `Value` is the type of the value with which the check of the route accepts. */
const routeOf = <Value>(route: EngineRoute, policy: ServerPolicy): Route<Value> => ({
  accept: <D extends Delivery = "messages">(options: WebSocket.DeliveryOptions<D> = {}) =>
    Effect.suspend(() => Effect.map(internal.accept(route, connector(route, options)), internal.withValue<D, Value>)),
  run: (handler, options) => runHandlers(route, handler, options),
  serve: (handler, options) =>
    // Finalizers run from last to first: drain, and then interrupt the handlers that are left. These can be interrupted
    // even if the layer is built in an uninterruptible region.
    Effect.andThen(
      Effect.forkScoped(Effect.interruptible(runHandlers(route, handler, options))),
      policy.drains
        ? Effect.addFinalizer(() => internalDrain.logReport(drainWith(route, policy, undefined)))
        : Effect.void
    ),
  drain: (options) => drainWith(route, policy, options)
})

const connector = <D extends Delivery>({ timers }: EngineRoute, options: WebSocket.DeliveryOptions<D>) =>
  internal.connectorOf(resolveMode(options), timers)

const drainWith = (
  drained: Acceptor | EngineRoute,
  policy: ServerPolicy,
  options: DrainOptions | undefined
): Effect.Effect<DrainReport> =>
  Effect.suspend(() => {
    const settings = drainSettings(policy, options)
    return internalDrain.drain((random) => drained.drain(settings, random))
  })

const runHandlers = <A, E, R, D extends Delivery, Value, R2>(
  route: EngineRoute,
  handler: (socket: ServerWebSocket<D, Value>) => Effect.Effect<A, E, R>,
  options: RunOptions<D, Value, E, R2> = {}
): Effect.Effect<never, never, Exclude<R | R2, Scope.Scope>> =>
  Effect.flatMap(inheritedRuntime<Exclude<R | R2, Scope.Scope>>(), (runtime) => {
    const { concurrency, onError } = options
    const maximum =
      concurrency === undefined || concurrency === "unbounded" ? undefined : count("concurrency", concurrency)
    const job = internal.jobOf<A, E, R, D, Value, R2>(runtime, handler, onError)
    return internal.runHandlers(route, connector(route, options), maximum, job)
  })

/**
 * Answers one request to upgrade, for HTTP servers of the app, and returns its connection, which belongs to the scope.
 * Options of a whole server, such as `admission`, have no effect. It fails after it has answered the request: with a
 * remote `ProtocolError` if the request breaks the handshake (400, 426) or its origin is not allowed (403), and with
 * `IoError` (`Budget`) if the `budget` is exhausted (503). It fails with `IoError` (`Reset`) if the client has gone.
 *
 * @since 0.1.0
 * @category constructors
 */
export const acceptAttempt = <D extends Delivery = "messages">(
  attempt: UpgradeAttempt,
  options: MakeOptions & WebSocket.DeliveryOptions<D> = {}
): Effect.Effect<ServerWebSocket<D>, ProtocolError | IoError, Scope.Scope> =>
  Effect.uninterruptible(
    Effect.gen(function* () {
      const connector = internal.connectorOf(resolveMode(options), yield* timers)
      const policy = yield* observedPolicy(resolvePolicy(options))
      return internal.withValue<D, undefined>(yield* internal.acceptAttempt(attempt, policy, connector))
    })
  )
