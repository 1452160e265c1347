/**
 * WebSockets in the routes of an `@effect/platform` server: behind its middleware, on the port of its HTTP.
 *
 * @since 0.1.0
 */
import type { Delivery } from "@effect-websocket/protocol/Connection"
import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Cookies from "@effect/platform/Cookies"
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Acceptor, jobOf, resolvePolicy } from "./internal/acceptor.js"
import { logReport } from "./internal/drain.js"
import { timers } from "./internal/timers.js"
import { resolveMode } from "./internal/deliveries.js"
import type { Entry } from "./engine/server/Gate.js"
import { Handlers } from "./internal/handlers.js"
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
 * The options of one upgrade. The 101 has the headers and cookies of the response too, which middleware may add to.
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
 * The service.
 *
 * - `upgrade`: the response of a route; see `upgrade`.
 * - `connections`: those that are open.
 * - `drain`: answers 503 from now on, closes all connections, and waits for their handlers.
 *
 * @since 0.1.0
 * @category tags
 */
export class WebSocketUpgrade extends Context.Tag("@effect-websocket/platform/WebSocketUpgrade")<
  WebSocketUpgrade,
  {
    readonly upgrade: <A, E, R, D extends Delivery = "messages", Value = undefined, R2 = never>(
      handler: (socket: ServerWebSocket<D, Value>) => Effect.Effect<A, E, R>,
      options?: UpgradeOptions<D, Value, E, R2>
    ) => Effect.Effect<
      HttpServerResponse.HttpServerResponse,
      never,
      HttpServerRequest.HttpServerRequest | Scope.Scope | Exclude<R | R2, Scope.Scope>
    >
    readonly connections: Effect.Effect<ReadonlyArray<ConnectionHandle>>
    readonly drain: (options?: DrainOptions) => Effect.Effect<DrainReport>
  }
>() {}

/**
 * The response of a route that upgrades its request, and then runs a handler for the connection. It never fails: what is
 * refused gets a response that says why (400, 403, 426, 429, 503), and what is no upgrade gets 426.
 *
 * The 101 is written when the route and its middleware are done with the response, with the headers and cookies that it has
 * then; the request ends there, and with it its span, its log and its scope. The handler has a fiber and a scope of its own,
 * which live as long as the connection, and the services of the route. What middleware acquired for the request alone is
 * gone by then.
 *
 * @example
 * ```ts
 * import { WebSocketUpgrade } from "@effect-websocket/platform"
 * import * as NodeWebSocketUpgrade from "@effect-websocket/platform/node/NodeWebSocketUpgrade"
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
  HttpServerResponse.HttpServerResponse,
  never,
  WebSocketUpgrade | HttpServerRequest.HttpServerRequest | Scope.Scope | Exclude<R | R2, Scope.Scope>
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
 * The service over something that knows the attempt behind a request; there is none where the request is no upgrade. The
 * scope stops it: with the option `drain` as that says, else handlers are interrupted at once and connections closed with
 * 1001.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  attemptOf: (request: HttpServerRequest.HttpServerRequest) => UpgradeAttempt | undefined,
  options: MakeOptions = {}
): Effect.Effect<Context.Tag.Service<WebSocketUpgrade>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const policy = yield* Effect.sync(() => resolvePolicy(options))
    const acceptor = new Acceptor(policy, yield* timers, yield* Effect.runtime<never>())
    const handlers = new Handlers()
    acceptor.fallback.handlers.add(handlers)
    // Finalizers run from last to first.
    yield* Effect.addFinalizer(() => Effect.zipRight(handlers.stop, acceptor.release))
    if (policy.drains) yield* Effect.addFinalizer(() => logReport(acceptor.drain(policy.drain)))
    return {
      upgrade: (handler, options) => upgradeWith(attemptOf, acceptor, handlers, handler, options),
      connections: Effect.sync(() => acceptor.connections.handles),
      drain: (options) => acceptor.drain(acceptor.drainSettings(options))
    }
  })

const upgradeWith = <A, E, R, D extends Delivery, Value, R2>(
  attemptOf: (request: HttpServerRequest.HttpServerRequest) => UpgradeAttempt | undefined,
  acceptor: Acceptor,
  handlers: Handlers,
  handler: (socket: ServerWebSocket<D, Value>) => Effect.Effect<A, E, R>,
  options: UpgradeOptions<D, Value, E, R2> = {}
): Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  never,
  HttpServerRequest.HttpServerRequest | Scope.Scope | Exclude<R | R2, Scope.Scope>
> =>
  Effect.gen(function* () {
    const { onError, value } = options
    const mode = yield* Effect.sync(() => resolveMode<D>(options))
    const found = attemptOf(yield* HttpServerRequest.HttpServerRequest)
    if (found === undefined) return notAnUpgrade
    let refusal = refused(503, {}, "The client is gone")
    const attempt: UpgradeAttempt = {
      ...found,
      reject: (status, headers, body) => {
        refusal = refused(status, headers, body)
      }
    }
    let opened = false
    let entry: Entry | undefined
    const leave = (): void => {
      if (!opened) entry?.leave()
    }
    // Before it has a place: after that, an interruption would keep the place for ever.
    yield* Effect.addFinalizer(() => Effect.sync(leave))
    const entered = acceptor.enter(attempt, acceptor.fallback)
    if (entered === undefined) return refusal
    const { request, route } = entered
    entry = entered.entry
    // The place is free at once, however long the middleware takes.
    found.onGone?.(leave)
    const runtime = yield* Effect.runtime<Exclude<R | R2, Scope.Scope>>()
    const job = jobOf(runtime, handler, onError)
    yield* HttpApp.appendPreResponseHandler((_, response) =>
      Effect.sync(() => {
        // Middleware has decided otherwise.
        if (response.status !== 101) return HttpServerResponse.setHeader(response, "connection", "close")
        if (acceptor.refuseLate(attempt, entered.entry, route)) return refusal
        const headers = { ...headersOf(response), ...options.headers }
        const accepted = { ...options, _tag: "Accept" as const, value, headers }
        const socket = acceptor.open(
          { attempt, request, select: route.settings.select, accepted },
          entered.entry,
          mode,
          route
        )
        if (socket === undefined) return refusal
        opened = true
        handlers.start(socket, job)
        return response
      })
    )
    return HttpServerResponse.empty({ status: 101 })
  })

const contentType = "text/plain; charset=utf-8"

const refused = (status: number, headers: HeaderRecord, body: string): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(`${body}\n`, {
    status,
    contentType,
    headers: { ...headers, connection: "close" }
  })

const notAnUpgrade = HttpServerResponse.text("This is a WebSocket: upgrade to connect\n", {
  status: 426,
  contentType,
  headers: { upgrade: "websocket", connection: "Upgrade, close" }
})

/** What a response without a body has for the client. */
const headersOf = (response: HttpServerResponse.HttpServerResponse): HeaderRecord => {
  const { connection: _, "content-length": _length, "content-type": _type, ...headers } = response.headers
  const cookies = Cookies.toSetCookieHeaders(response.cookies)
  return cookies.length === 0 ? headers : { ...headers, "set-cookie": cookies }
}
