/**
 * The server: a service with `accept`, one scoped connection per call, and `run`, a fiber and a scope per connection.
 *
 * @since 0.1.0
 */
import type { Delivery } from "@effect-websocket/protocol/Connection"
import { IoError, ProtocolError, type HeaderRecord, type PayloadTooLarge } from "@effect-websocket/protocol/Errors"
import type { Name as CloseCodeName } from "@effect-websocket/protocol/CloseCode"
import type * as Handshake from "@effect-websocket/protocol/Handshake"
import type * as Origin from "@effect-websocket/protocol/Origin"
import type * as Subprotocol from "@effect-websocket/protocol/Subprotocol"
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import {
  Acceptor,
  checkHandshake,
  checkOrigin,
  Defect,
  jobOf,
  open,
  rejectRefused,
  resolvePolicy,
  resolveProtocols,
  Route as InternalRoute,
  withValue,
  type Policy,
  type Refused
} from "./internal/acceptor.js"
import { annotations } from "./internal/annotations.js"
import { logReport } from "./internal/drain.js"
import { timers } from "./internal/timers.js"
import { resolveMode } from "./internal/deliveries.js"
import { Handlers } from "./internal/handlers.js"
import { placeIn } from "./internal/scopes.js"
import { ServerRequest } from "./engine/server/ServerRequest.js"
import { count } from "./engine/checks.js"
import { shown } from "./internal/settings.js"
import type { DrainOptions, ServerMakeOptions, ServerOptions } from "./Options.js"
import type { Transport } from "./Transport.js"
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
 * What came of the connections that were open when a server began to stop: how many were closed with a handshake, and how
 * many dropped, by either side; and how many handlers were interrupted at the deadline.
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
 * The options of a server over something that does not come with the library; see `Options.ServerMakeOptions`.
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
 * What a connection has that a server accepted: the request that asked for it, and the value that its check accepted it
 * with.
 *
 * @since 0.1.0
 * @category models
 */
export interface Accepted<out Value = undefined> {
  readonly request: UpgradeCheck.Request
  readonly value: Value
}

/**
 * A connection that a server accepted; of whole messages, unless another delivery was asked for.
 *
 * @since 0.1.0
 * @category models
 */
export type ServerWebSocket<D extends Delivery = "messages", Value = undefined> = WebSocket.Deliveries[D] &
  Accepted<Value>

/**
 * An open connection as its server sees it, with what was counted until it was asked for: messages that have ended, and
 * bytes of the transport without the handshake. `unreadBytes` wait for the app, `unsentBytes` for the peer.
 *
 * - `id`: counts the connections of the server, from 1.
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
   * What is done when a handler fails, while the connection is still as the handler left it. It gets the cause. Failures of the
   * connection itself count, interruptions do not. Default: none, so that failures are logged. Defects of `onError` are logged.
   */
  readonly onError?:
    ((cause: Cause.Cause<E>, socket: ServerWebSocket<D, Value>) => Effect.Effect<unknown, never, R>) | undefined
}

/**
 * Which requests a route takes, and on what terms.
 *
 * @since 0.1.0
 * @category models
 */
export interface RouteOptions<Value = undefined, E = never, R = never> {
  /**
   * The path of the request, as it is sent; with `/*` at the end, all paths that begin so. If several match, the longest wins.
   * Default: whatever no other route takes.
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
 * The options of `layerHandler`: those of `run`, and the terms on which a request gets a connection, as those of a route.
 *
 * @since 0.1.0
 * @category models
 */
export interface HandlerOptions<D extends Delivery, Value, E, R, CheckError, CheckServices>
  extends RunOptions<D, Value, E, R>, Omit<RouteOptions<Value, CheckError, CheckServices>, "path"> {}

/**
 * What takes connections: a server, for what none of its routes takes, or a route.
 *
 * - `accept`: the next connection. The answer 101 is written when it is taken. It belongs to the scope, which closes it.
 *   Never fails; when the server is released, it is interrupted.
 * - `acceptWith`: the same, with another delivery than whole messages.
 * - `run`: a handler for each connection, in a fiber and a scope of its own. See `run`.
 * - `serve`: `run`, in a fiber of the scope, whose end drains where the options of the server say so.
 * - `drain`: answers 503 from now on, and closes the connections that are open; see `DrainOptions`, whose defaults are the
 *   server's. Concurrent calls share one drain and get the same report; interrupting a call does not stop it. Never fails.
 *
 * @since 0.1.0
 * @category models
 */
export interface Route<Value = undefined> {
  readonly accept: Effect.Effect<ServerWebSocket<"messages", Value>, never, Scope.Scope>
  readonly acceptWith: <D extends Delivery = "messages">(
    options: WebSocket.DeliveryOptions<D>
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
 * The service: what every route has, for the requests that no route takes, and besides
 *
 * - `route`: a route, as long as the scope. Where there are routes and nobody has asked the server itself for connections,
 *   other paths get 404.
 * - `connections`: those that are open.
 * - `drain`: of all routes.
 * - `stop`: accepts no more requests; see `stop`.
 * - `address`: where the server listens; with port 0 the one that was chosen.
 *
 * @since 0.1.0
 * @category tags
 */
export class WebSocketServer extends Context.Tag("@effect-websocket/platform/WebSocketServer")<
  WebSocketServer,
  Route & {
    readonly route: <Value = undefined, E = never, R = never>(
      options: RouteOptions<Value, E, R>
    ) => Effect.Effect<Route<Value>, never, R | Scope.Scope>
    readonly connections: Effect.Effect<ReadonlyArray<ConnectionHandle>>
    readonly stop: Effect.Effect<void>
    readonly address: Address
  }
>() {}

/**
 * Accepts the next connection, which belongs to the scope.
 *
 * @since 0.1.0
 * @category accessors
 */
export const accept: Effect.Effect<ServerWebSocket, never, WebSocketServer | Scope.Scope> = Effect.flatMap(
  WebSocketServer,
  (server) => server.accept
)

/**
 * Accepts the next connection, which belongs to the scope, with another delivery than whole messages. Options that belong to
 * another delivery are a defect.
 *
 * @example
 * ```ts
 * import { WebSocketServer } from "@effect-websocket/platform"
 * import { Effect } from "effect"
 *
 * // Echoes each message while it still arrives.
 * const echo = Effect.gen(function* () {
 *   const socket = yield* WebSocketServer.acceptWith({ delivery: "streams" })
 *   yield* Effect.forever(Effect.flatMap(socket.receive, (message) => socket.sendStream(message)))
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const acceptWith = <D extends Delivery = "messages">(
  options: WebSocket.DeliveryOptions<D>
): Effect.Effect<ServerWebSocket<D>, never, WebSocketServer | Scope.Scope> =>
  Effect.flatMap(WebSocketServer, (server) => server.acceptWith(options))

/**
 * Runs a handler for each connection, for ever. Each has a fiber and a scope of its own, and is closed when its handler
 * ends: with 1000 after a success, 1001 after an interruption, 1011 after a failure.
 *
 * A handler that fails or dies touches no other connection: `Connection_closed` is logged at debug level, other errors at
 * warning, defects at error; or `onError` is told. Interrupting `run` interrupts all handlers and waits for their closing handshakes.
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
 * A route of the server, as long as the scope. See `layerRoute`.
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
 * Accepts no more requests. The server answers 503 with `Retry-After` and `Connection: close` to those that still come, to
 * those whose check is under way, and to those that wait for an `accept`. Connections that are open go on, and so do their
 * handlers; `drain` or the end of the scope closes them. A server that listens by itself also closes its listener, so that
 * its port is free.
 *
 * It is done when nobody can be accepted any more. Idempotent, never fails, and cannot be undone. An `accept` that waits goes
 * on waiting until the server is released.
 *
 * @example
 * ```ts
 * import { WebSocketServer } from "@effect-websocket/platform"
 * import { Effect } from "effect"
 *
 * // Stops accepting once a promise resolves.
 * const stopAfter = (promise: Promise<void>) => Effect.zipRight(Effect.promise(() => promise), WebSocketServer.stop)
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
 * A layer that runs a handler for each connection, as `run` does, until it is released; see `drain` in the options of the
 * server.
 *
 * With `check`, `origin` or `protocols` it is a route without a path, as of `layerRoute`: no connection gets past these terms.
 * It takes every request that no other route takes; `accept` and `run` of the server itself, and handlers without such
 * options, get none as long as the layer lives. Of several such layers the first takes all.
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
 * // What the check accepts with is `socket.value`. The type of `request` is written, because TypeScript comes to the check
 * // after the handler.
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
  Layer.scopedDiscard(
    Effect.flatMap(WebSocketServer, (server) =>
      Effect.flatMap(onTerms(server, options), (route) => route.serve(handler, options))
    )
  )

/** The server itself, unless it has other terms than the handler. Then a route has what no other takes. */
const onTerms = <Value, E, R>(
  server: Context.Tag.Service<WebSocketServer>,
  options: Omit<RouteOptions<Value, E, R>, "path"> = {}
): Effect.Effect<Route<Value>, never, R | Scope.Scope> => {
  const { check, origin, protocols } = options
  // Without a check there is no value, as in `RouteOptions`.
  return (check ?? origin ?? protocols) === undefined
    ? Effect.succeed(server as Route<unknown> as Route<Value>)
    : server.route({ check, origin, protocols })
}

/**
 * A layer with a route of the server and a handler for each of its connections. What the check accepts with is the handler's
 * `socket.value`.
 *
 * @example
 * ```ts
 * import { UpgradeCheck, WebSocketServer } from "@effect-websocket/platform"
 * import { NodeWebSocketServer } from "@effect-websocket/platform/node"
 * import { Context, Effect, Layer } from "effect"
 *
 * class Users extends Context.Tag("Users")<
 *   Users,
 *   { readonly ofToken: (token: string) => Effect.Effect<{ readonly name: string }, "unknown"> }
 * >() {}
 *
 * const Chat = WebSocketServer.layerRoute({
 *   path: "/chat",
 *   check: (request) =>
 *     Effect.flatMap(Users, (users) => users.ofToken(request.cookies["token"] ?? "")).pipe(
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
  Layer.scopedDiscard(
    Effect.flatMap(WebSocketServer, (server) =>
      Effect.flatMap(server.route(options), (route) => route.serve(options.handler, options))
    )
  )

/**
 * A request to upgrade, before it is answered, as something that speaks HTTP hands it over. Exactly one of `upgrade` and
 * `reject` is called, once, unless `isGone`. What one of them throws is logged, and costs this request only.
 *
 * @since 0.1.0
 * @category models
 */
export interface UpgradeAttempt {
  readonly request: Handshake.HttpRequest
  readonly remoteAddress: string | undefined
  /** Whether the client went away, or ended what it sends: it waits for no answer. */
  readonly isGone: () => boolean
  /** Tells one listener when the client goes away before it is answered; a later listener takes its place. */
  readonly onGone?: ((listener: () => void) => void) | undefined
  /** Answers 101 with headers. The transport begins right behind the request. */
  readonly upgrade: (headers: HeaderRecord) => Transport
  /** Answers with an HTTP status and ends. */
  readonly reject: (status: number, headers: HeaderRecord, body: string) => void
}

/**
 * A server without a listener of its own: `offer` takes requests to upgrade from whatever speaks HTTP. For other routes
 * than the ones that come with the library. The scope stops it: it offers 503 to who waits, and closes all connections
 * with 1001 within one `closeTimeout`. `claims` tells whether a request target is one that somebody takes here, for
 * listeners that are shared with others.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  listening: Address | (() => Address),
  options: MakeOptions = {}
): Effect.Effect<
  {
    readonly service: Context.Tag.Service<WebSocketServer>
    readonly offer: (attempt: UpgradeAttempt) => void
    readonly claims: (url: string) => boolean
  },
  never,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const policy = yield* Effect.sync(() => resolvePolicy(options))
    const acceptor = new Acceptor(policy, yield* timers, yield* Effect.runtime<never>())
    yield* Effect.addFinalizer(() => acceptor.release)
    const service: Context.Tag.Service<WebSocketServer> = {
      ...routeOf<undefined>(acceptor, acceptor.fallback),
      route: (options) => makeRoute(acceptor, options),
      drain: (options) => Effect.suspend(() => acceptor.drain(acceptor.drainSettings(options))),
      connections: Effect.sync(() => acceptor.connections.handles),
      stop: Effect.sync(() => acceptor.stop()),
      get address() {
        return typeof listening === "function" ? listening() : listening
      }
    }
    return { service, offer: (attempt) => acceptor.offer(attempt), claims: (url) => acceptor.claims(url) }
  })

const makeRoute = <Value, E, R>(
  acceptor: Acceptor,
  options: RouteOptions<Value, E, R>
): Effect.Effect<Route<Value>, never, R | Scope.Scope> =>
  Effect.gen(function* () {
    const runtime = yield* Effect.runtime<R>()
    const { check, path } = options
    const { policy } = acceptor
    if (path !== undefined && !/^\/[^?#]*$/.test(path)) {
      const message = `path must begin with "/" and have no query, but is ${shown(path)}`
      return yield* Effect.die(new RangeError(message))
    }
    const select = options.protocols && (yield* Effect.sync(() => resolveProtocols(options.protocols ?? [])))
    const route = new InternalRoute(
      {
        path,
        origin: options.origin ?? policy.origin,
        select: select ?? policy.select,
        check:
          check &&
          ((request) =>
            Runtime.runFork(runtime)(
              Effect.suspend(() => check(request)).pipe(
                Effect.annotateLogs(annotations(request.url, request.remoteAddress)),
                Effect.exit,
                // Whoever builds the layer.
                Effect.interruptible
              )
            ))
      },
      acceptor
    )
    yield* Effect.acquireRelease(
      Effect.sync(() => acceptor.add(route)),
      () => Effect.sync(() => acceptor.remove(route))
    )
    return routeOf<Value>(acceptor, route)
  })

/** `Value` is what the check of the route accepts with. */
const routeOf = <Value>(acceptor: Acceptor, route: InternalRoute): Route<Value> => {
  const { policy } = acceptor
  const acceptWith = <D extends Delivery = "messages">(
    options: WebSocket.DeliveryOptions<D>
  ): Effect.Effect<ServerWebSocket<D, Value>, never, Scope.Scope> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const mode = yield* Effect.sync(() => resolveMode(options))
        const scope = yield* Effect.scope
        const socket = yield* route.next(restore, mode)
        socket.link.addOwner(placeIn(scope))
        return withValue<D, Value>(socket)
      })
    )
  return {
    accept: acceptWith({}),
    acceptWith,
    run: (handler, options) => runHandlers(route, handler, options),
    serve: (handler, options) =>
      // Finalizers run from last to first: drain, and then interrupt what is left. It can be interrupted, whoever builds
      // the layer.
      Effect.zipRight(
        Effect.forkScoped(Effect.interruptible(runHandlers(route, handler, options))),
        policy.drains ? Effect.addFinalizer(() => logReport(route.drain(policy.drain))) : Effect.void
      ),
    drain: (options) => Effect.suspend(() => route.drain(acceptor.drainSettings(options)))
  }
}

/**
 * Answers one request to upgrade and returns its connection, which belongs to the scope: for servers that listen by
 * themselves. Fails with a remote `ProtocolError` for a request that breaks the handshake or comes from an origin that is
 * not allowed, after it was answered with 400, 426 or 403; with `IoError` (`Budget`) if the `budget` is exhausted, after
 * 503; and with `IoError` (`Reset`) if the client has gone. Options of a whole server, such as `admission`, do nothing here.
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
      const mode = yield* Effect.sync(() => resolveMode(options))
      const policy = yield* Effect.sync(() => resolvePolicy(options))
      const scope = yield* Effect.scope
      if (attempt.isGone()) return yield* Effect.fail(new IoError({ reason: "Reset", operation: "handshake" }))
      // A policy of the app's that throws must not leave the client waiting.
      const request = yield* Effect.onError(
        Effect.sync(() => admissible(attempt, policy)),
        () => Effect.sync(() => attempt.reject(500, {}, "The server could not check the request"))
      )
      if (!(request instanceof ServerRequest)) {
        rejectRefused(attempt, request)
        return yield* Effect.fail(request.error)
      }
      const { select } = policy
      const opening = { attempt, request, select, accepted: { _tag: "Accept" as const, value: undefined } }
      const socket = open(opening, policy, yield* timers, mode)
      if (socket instanceof Defect) return yield* Effect.die(socket.cause)
      if (socket instanceof ProtocolError) return yield* Effect.fail(socket)
      socket.link.start(placeIn(scope))
      return withValue<D, undefined>(socket)
    })
  )

const admissible = (attempt: UpgradeAttempt, { origin, proxies, settings }: Policy): ServerRequest | Refused => {
  const request = checkHandshake(attempt, proxies)
  return request instanceof ServerRequest ? (checkOrigin(request, origin, settings) ?? request) : request
}

const runHandlers = <A, E, R, D extends Delivery, Value, R2>(
  route: InternalRoute,
  handler: (socket: ServerWebSocket<D, Value>) => Effect.Effect<A, E, R>,
  options: RunOptions<D, Value, E, R2> = {}
): Effect.Effect<never, never, Exclude<R | R2, Scope.Scope>> =>
  Effect.flatMap(Effect.runtime<Exclude<R | R2, Scope.Scope>>(), (runtime) =>
    Effect.uninterruptibleMask((restore) => {
      const { concurrency, onError } = options
      const mode = resolveMode(options)
      const handlers = new Handlers(
        concurrency === undefined || concurrency === "unbounded" ? undefined : count("concurrency", concurrency)
      )
      route.handlers.add(handlers)
      const job = jobOf(runtime, handler, onError)
      const next = Effect.zipRight(restore(handlers.awaitRoom), route.next(restore, mode))
      return Effect.onExit(
        // Started in the step that took it, so that a connection always has someone to close it.
        Effect.forever(Effect.map(next, (socket) => handlers.start(socket, job))),
        () =>
          Effect.map(handlers.stop, () => {
            route.handlers.delete(handlers)
          })
      )
    })
  )
