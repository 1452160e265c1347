/**
 * WebSockets in the routes of Effect's HTTP server: behind its middleware, on the port of its HTTP.
 *
 * @since 0.1.0
 */
import type { Delivery } from "@effect-websocket/protocol/Connection"
import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Acceptor, type Admitted } from "./engine/server/Acceptor.js"
import { endsWith } from "./engine/server/ObservedAttempt.js"
import * as internal from "./internal/accept.js"
import { connectionHandles } from "./internal/connectionHandle.js"
import * as internalDrain from "./internal/drain.js"
import { resolveMode } from "./internal/deliveries.js"
import { ContextService, runtime as inheritedRuntime } from "./internal/effect.js"
import { Handlers } from "./internal/handlers.js"
import {
  appendPreResponseHandler,
  emptyResponse,
  HttpServerRequest,
  setHeader,
  textResponse,
  toSetCookieHeaders,
  type HttpServerResponse
} from "./internal/httpServer.js"
import { logWith } from "./internal/serverLog.js"
import { meteredServer } from "./internal/metered.js"
import { drainSettings, resolveOwn, resolvePolicy, type ServerPolicy } from "./internal/serverPolicy.js"
import { timers } from "./internal/timers.js"
import { observedPolicy } from "./internal/traced.js"
import type { AcceptOptions } from "./UpgradeCheck.js"
import type {
  ConnectionHandle,
  DrainOptions,
  DrainReport,
  MakeOptions,
  RunOptions,
  ServerWebSocket,
  UpgradeAttempt
} from "./WebSocketServer.js"

/**
 * The options of one upgrade. The 101 also has the headers and cookies of the response, to which middleware may add
 * some.
 *
 * @since 0.1.0
 * @category models
 */
export interface UpgradeOptions<D extends Delivery, Value, E, R>
  extends AcceptOptions, Omit<RunOptions<D, Value, E, R>, "concurrency"> {
  /** The value that the connection has as `socket.value`, for the list of connections. Default: none. */
  readonly value?: Value | undefined
}

/**
 * The members of the service.
 *
 * - `upgrade`: the response of a route; see `upgrade`.
 * - `connections`: the open connections.
 * - `drain`: answers 503 from now on, closes all connections, and waits for their handlers.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly upgrade: <A, E, R, D extends Delivery = "messages", Value = undefined, R2 = never>(
    handler: (socket: ServerWebSocket<D, Value>) => Effect.Effect<A, E, R>,
    options?: UpgradeOptions<D, Value, E, R2>
  ) => Effect.Effect<HttpServerResponse, never, HttpServerRequest | Scope.Scope | Exclude<R | R2, Scope.Scope>>
  readonly connections: Effect.Effect<ReadonlyArray<ConnectionHandle>>
  readonly drain: (options?: DrainOptions) => Effect.Effect<DrainReport>
}

/**
 * The service that upgrades requests of Effect's HTTP server. See `Service`.
 *
 * @since 0.1.0
 * @category tags
 */
export class WebSocketUpgrade extends ContextService<WebSocketUpgrade, Service>()(
  "@effect-websocket/platform/WebSocketUpgrade"
) {}

/**
 * The response of a route that upgrades its request, and then runs a handler for the connection. It never fails: a refused
 * request gets a response that says why (400, 403, 426, 429, 503), and a request that is not an upgrade gets 426.
 *
 * The 101 is written once the route and its middleware have finished the response, with the headers and cookies that it has
 * then. The request ends there, and with it its span, its log and its scope. The handler has a fiber and a scope of its own,
 * which live as long as the connection, and the services of the route. Resources that middleware acquired for the request
 * alone are released by then.
 *
 * @example
 * ```ts effect-4
 * import { WebSocketUpgrade } from "@effect-websocket/platform"
 * import { NodeWebSocketUpgrade } from "@effect-websocket/platform/node"
 * import { NodeHttpServer } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { createServer } from "node:http"
 *
 * const App = Layer.merge(
 *   HttpRouter.add("GET", "/", HttpServerResponse.text("hello")),
 *   HttpRouter.add(
 *     "GET",
 *     "/echo",
 *     WebSocketUpgrade.upgrade((socket) => socket.run((message) => socket.send(message)))
 *   )
 * )
 *
 * const server = createServer()
 * const Main = HttpRouter.serve(App).pipe(
 *   Layer.provide(NodeWebSocketUpgrade.layer(server)),
 *   Layer.provide(NodeHttpServer.layer(() => server, { port: 8080 }))
 * )
 * ```
 *
 * On Effect 3 the HTTP server is that of `@effect/platform`:
 *
 * ```ts effect-3
 * import { WebSocketUpgrade } from "@effect-websocket/platform"
 * import { NodeWebSocketUpgrade } from "@effect-websocket/platform/node"
 * import { HttpMiddleware, HttpRouter, HttpServer, HttpServerResponse } from "@effect/platform"
 * import { NodeHttpServer } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { createServer } from "node:http"
 *
 * const App = HttpRouter.empty.pipe(
 *   HttpRouter.get("/", HttpServerResponse.text("hello")),
 *   HttpRouter.get(
 *     "/echo",
 *     WebSocketUpgrade.upgrade((socket) => socket.run((message) => socket.send(message)))
 *   )
 * )
 *
 * const server = createServer()
 * const Main = HttpServer.serve(App, HttpMiddleware.logger).pipe(
 *   Layer.provide(NodeWebSocketUpgrade.layer(server)),
 *   Layer.provide(NodeHttpServer.layer(() => server, { port: 8080 }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const upgrade = <A, E, R, D extends Delivery = "messages", Value = undefined, R2 = never>(
  handler: (socket: ServerWebSocket<D, Value>) => Effect.Effect<A, E, R>,
  options?: UpgradeOptions<D, Value, E, R2>
): Effect.Effect<
  HttpServerResponse,
  never,
  WebSocketUpgrade | HttpServerRequest | Scope.Scope | Exclude<R | R2, Scope.Scope>
> => Effect.flatMap(WebSocketUpgrade, (service) => service.upgrade(handler, options))

/**
 * The connections that are open.
 *
 * @since 0.1.0
 * @category accessors
 */
export const connections: Effect.Effect<ReadonlyArray<ConnectionHandle>, never, WebSocketUpgrade> = Effect.flatMap(
  WebSocketUpgrade,
  (service) => service.connections
)

/**
 * Stops gracefully; see `WebSocketServer.drain`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const drain = (options?: DrainOptions): Effect.Effect<DrainReport, never, WebSocketUpgrade> =>
  Effect.flatMap(WebSocketUpgrade, (service) => service.drain(options))

/**
 * Makes the service from a function that returns the upgrade attempt of a request, or `undefined` if the request is not
 * an upgrade. The end of the scope stops the service as the option `drain` says. Without that option it interrupts the
 * handlers at once and closes the connections with 1001.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  attemptOf: (request: HttpServerRequest) => UpgradeAttempt | undefined,
  options: MakeOptions = {}
): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const policy = yield* observedPolicy(yield* Effect.sync(() => resolvePolicy(options)))
    const acceptor = new Acceptor(policy, yield* timers, logWith(yield* inheritedRuntime<never>()))
    yield* meteredServer(acceptor)
    const handlers = new Handlers()
    acceptor.fallback.handlers.add(handlers)
    const drain = (options?: DrainOptions): Effect.Effect<DrainReport> =>
      Effect.suspend(() => {
        const settings = drainSettings(policy, options)
        return internalDrain.drain((random) => acceptor.drain(settings, random))
      })
    // Finalizers run from last to first.
    yield* Effect.addFinalizer(() => Effect.andThen(handlers.stop, internal.release(acceptor, policy.drain.code)))
    if (policy.drains) yield* Effect.addFinalizer(() => internalDrain.logReport(drain()))
    const server = { acceptor, attemptOf, handlers, policy }
    return {
      upgrade: (handler, options) => upgradeWith(server, handler, options),
      connections: Effect.sync(() => connectionHandles(acceptor)),
      drain
    }
  })

interface Server {
  readonly acceptor: Acceptor
  readonly attemptOf: (request: HttpServerRequest) => UpgradeAttempt | undefined
  readonly handlers: Handlers
  readonly policy: ServerPolicy
}

const upgradeWith = <A, E, R, D extends Delivery, Value, R2>(
  { acceptor, attemptOf, handlers, policy }: Server,
  handler: (socket: ServerWebSocket<D, Value>) => Effect.Effect<A, E, R>,
  options: UpgradeOptions<D, Value, E, R2> = {}
): Effect.Effect<HttpServerResponse, never, HttpServerRequest | Scope.Scope | Exclude<R | R2, Scope.Scope>> =>
  Effect.gen(function* () {
    const { onError, protocol, value } = options
    const connector = yield* Effect.sync(() => internal.connectorOf<D>(resolveMode(options), acceptor.timers))
    const found = attemptOf(yield* HttpServerRequest)
    if (found === undefined) return notAnUpgrade
    let refusal = refused(503, {}, "The client is gone")
    const attempt = acceptor.observed({
      ...found,
      reject: (status, headers, body) => {
        refusal = refused(status, headers, body)
      }
    })
    let opened = false
    let admitted: Admitted | undefined
    const leave = (): void => {
      if (opened) return
      endsWith(attempt, "gone")
      admitted?.entry.leave()
    }
    // Added before the request has a place, because an interruption in between would keep the place forever.
    yield* Effect.addFinalizer(() => Effect.sync(leave))
    const own = (admitted = acceptor.admit(attempt, acceptor.fallback))
    if (own === undefined) return refusal
    // If the client goes, its place is free at once, however long the middleware takes.
    found.onGone?.(leave)
    const runtime = yield* inheritedRuntime<Exclude<R | R2, Scope.Scope>>()
    const job = internal.jobOf<A, E, R, D, Value, R2>(runtime, handler, onError)
    yield* appendPreResponseHandler((_, response) =>
      Effect.sync(() => {
        // Middleware has replaced the 101.
        if (response.status !== 101) {
          endsWith(attempt, "replaced", response.status)
          return setHeader(response, "connection", "close")
        }
        if (acceptor.refuseLate(attempt, own)) return refusal
        const { entry, request, route } = own
        const headers = { ...headersOf(response), ...options.headers }
        const settings = resolveOwn(policy, options.options)
        const accepted = { _tag: "Acceptance" as const, value, protocol, headers, settings }
        const socket = acceptor.open({ attempt, request, select: route.select, accepted }, entry, connector, route)
        if (socket === undefined) return refusal
        opened = true
        handlers.start(socket, job)
        return response
      })
    )
    return emptyResponse({ status: 101 })
  })

const contentType = "text/plain; charset=utf-8"

const refused = (status: number, headers: HeaderRecord, body: string): HttpServerResponse =>
  textResponse(`${body}\n`, {
    status,
    contentType,
    headers: { ...headers, connection: "close" }
  })

const notAnUpgrade = textResponse("This is a WebSocket: upgrade to connect\n", {
  status: 426,
  contentType,
  headers: { upgrade: "websocket", connection: "Upgrade, close" }
})

/** The headers and cookies of a response without a body. */
const headersOf = (response: HttpServerResponse): HeaderRecord => {
  const { connection: _, "content-length": _length, "content-type": _type, ...headers } = response.headers
  const cookies = toSetCookieHeaders(response.cookies)
  return cookies.length === 0 ? headers : { ...headers, "set-cookie": cookies }
}
