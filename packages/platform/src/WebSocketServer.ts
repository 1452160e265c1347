/**
 * The server: a service with `accept`, one scoped connection per call, and `run`, a fiber and a scope per connection.
 *
 * @since 0.1.0
 */
import type { Delivery } from "@effect-websocket/protocol/Connection"
import {
  IoError,
  isConnectionClosed,
  isWebSocketError,
  ProtocolError,
  type HeaderRecord
} from "@effect-websocket/protocol/Errors"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import * as Origin from "@effect-websocket/protocol/Origin"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import * as Subprotocol from "@effect-websocket/protocol/Subprotocol"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import * as Scope from "effect/Scope"
import { annotations } from "./internal/annotations.js"
import { environment, type Environment, type Mode } from "./internal/driver.js"
import { makeDriver, resolveMode, settingsFor, type AnyDriver, type Drivers } from "./internal/drivers.js"
import * as Registry from "./internal/registry.js"
import { defaults, resolve, timeout, type Settings } from "./internal/settings.js"
import { notSet, type Alarm } from "./internal/timers.js"
import type { Transport } from "./Transport.js"
import type * as WebSocket from "./WebSocket.js"
import type { Zlib } from "./Zlib.js"

/**
 * The options of a server, besides those of every connection.
 *
 * - `origin`: which web pages may connect; others get 403. Default: `Origin.sameOrigin()`.
 * - `protocols`: the subprotocols that the server speaks, in its order of preference, or a function that selects one of
 *   those a client offers. Default: none.
 * - `handshakeTimeout`: the time for a request to arrive, and again for an `accept` to take it; afterwards it gets 408 or
 *   503. Default 10 seconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends WebSocket.Options {
  readonly origin?: Origin.Policy | undefined
  readonly protocols?: ReadonlyArray<string> | Subprotocol.Selector | undefined
  readonly handshakeTimeout?: Duration.DurationInput | undefined
}

/**
 * The options of a server over something else than what comes with the library.
 *
 * - `zlib`: what compresses. Default: nothing, so that `compression` is not accepted.
 *
 * @since 0.1.0
 * @category models
 */
export interface MakeOptions extends Options {
  readonly zlib?: Zlib | undefined
}

/**
 * Where a server listens. `url` is what a client on the same machine connects to.
 *
 * @since 0.1.0
 * @category models
 */
export interface Address {
  readonly hostname: string
  readonly port: number
  readonly url: string
}

/**
 * What a connection has that a server accepted: the request that asked for it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Accepted {
  readonly request: Handshake.UpgradeRequest
}

/**
 * A connection that a server accepted; of whole messages, unless another delivery was asked for.
 *
 * @since 0.1.0
 * @category models
 */
export type ServerWebSocket<D extends Delivery = "messages"> = WebSocket.Deliveries[D] & Accepted

/**
 * The service.
 *
 * - `accept`: the next connection. The answer 101 is written when it is taken. It belongs to the scope, which closes it.
 *   Never fails; when the server is released, it is interrupted.
 * - `acceptWith`: the same, with another delivery than whole messages.
 * - `run`: a handler for each connection, in a fiber and a scope of its own. See `run`.
 * - `address`: where the server listens; with port 0 the one that was chosen.
 *
 * @since 0.1.0
 * @category tags
 */
export class WebSocketServer extends Context.Tag("@effect-websocket/platform/WebSocketServer")<
  WebSocketServer,
  {
    readonly accept: Effect.Effect<ServerWebSocket, never, Scope.Scope>
    readonly acceptWith: <D extends Delivery = "messages">(
      options: WebSocket.DeliveryOptions<D>
    ) => Effect.Effect<ServerWebSocket<D>, never, Scope.Scope>
    readonly run: <A, E, R, D extends Delivery = "messages">(
      handler: (socket: ServerWebSocket<D>) => Effect.Effect<A, E, R>,
      options?: WebSocket.DeliveryOptions<D>
    ) => Effect.Effect<never, never, Exclude<R, Scope.Scope>>
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
 * warning, defects at error. Interrupting `run` interrupts all handlers and waits for their closing handshakes.
 *
 * `options.delivery` decides what the connections deliver: whole messages by default.
 *
 * @since 0.1.0
 * @category accessors
 */
export const run = <A, E, R, D extends Delivery = "messages">(
  handler: (socket: ServerWebSocket<D>) => Effect.Effect<A, E, R>,
  options?: WebSocket.DeliveryOptions<D>
): Effect.Effect<never, never, WebSocketServer | Exclude<R, Scope.Scope>> =>
  Effect.flatMap(WebSocketServer, (server) => server.run(handler, options))

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
 * A layer that runs a handler for each connection, as `run` does, until it is released.
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
 * @since 0.1.0
 * @category layers
 */
export const layerHandler = <A, E, R, D extends Delivery = "messages">(
  handler: (socket: ServerWebSocket<D>) => Effect.Effect<A, E, R>,
  options?: WebSocket.DeliveryOptions<D>
): Layer.Layer<never, never, WebSocketServer | Exclude<R, Scope.Scope>> =>
  Layer.scopedDiscard(Effect.forkScoped(run(handler, options)))

/**
 * A request to upgrade, before it is answered, as something that speaks HTTP hands it over. Exactly one of `upgrade` and
 * `reject` is called, once, unless `isGone`.
 *
 * @since 0.1.0
 * @category models
 */
export interface UpgradeAttempt {
  readonly request: Handshake.HttpRequest
  readonly remoteAddress: string | undefined
  /** Whether the client went away. */
  readonly isGone: () => boolean
  /** Answers 101 with headers. The transport begins right behind the request. */
  readonly upgrade: (headers: HeaderRecord) => Transport
  /** Answers with an HTTP status and ends. */
  readonly reject: (status: number, headers: HeaderRecord, body: string) => void
}

/**
 * A server without a listener of its own: `offer` takes requests to upgrade from whatever speaks HTTP. For other routes
 * than the ones that come with the library. The scope stops it: it offers 503 to who waits, and closes all connections
 * with 1001 within one `closeTimeout`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  listening: Address,
  options: MakeOptions = {}
): Effect.Effect<
  {
    readonly service: Context.Tag.Service<WebSocketServer>
    readonly offer: (attempt: UpgradeAttempt) => void
  },
  never,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const policy = yield* Effect.sync(() => resolvePolicy(options))
    const acceptor = new Acceptor(policy, yield* environment, yield* Effect.runtime<never>())
    yield* Effect.addFinalizer(() => acceptor.stop)
    const acceptWith = <D extends Delivery = "messages">(
      options: WebSocket.DeliveryOptions<D>
    ): Effect.Effect<ServerDrivers[D], never, Scope.Scope> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          const mode = yield* Effect.sync(() => resolveMode(options))
          const registry = yield* Registry.ofScope(yield* Effect.scope)
          const socket = yield* acceptor.next(restore, mode)
          socket.addOwner(registry)
          return socket
        })
      )
    return {
      service: {
        accept: acceptWith({}),
        acceptWith,
        run: (handler, options) => runHandlers(acceptor, handler, options),
        address: listening
      },
      offer: (attempt) => acceptor.offer(attempt)
    }
  })

/**
 * Answers one request to upgrade and returns its connection, which belongs to the scope: for servers that listen by
 * themselves. Fails with a remote `ProtocolError` for a request that breaks the handshake or comes from an origin that is
 * not allowed, after it was answered with 400, 426 or 403; and with `IoError` (`Budget`) where the `budget` is exhausted,
 * after 503.
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
      const registry = yield* Registry.ofScope(yield* Effect.scope)
      const request = check(attempt, policy)
      if (request instanceof ProtocolError || request instanceof IoError) return yield* Effect.fail(request)
      const socket = open(attempt, request, policy, yield* environment, mode)
      if (socket instanceof ProtocolError) return yield* Effect.fail(socket)
      socket.start(registry)
      return socket
    })
  )

interface Policy {
  readonly settings: Settings
  readonly origin: Origin.Policy
  readonly select: Subprotocol.Selector
  /** In milliseconds. */
  readonly handshakeTimeout: number
}

const resolvePolicy = (options: MakeOptions): Policy => {
  const protocols = options.protocols ?? []
  if (typeof protocols !== "function") {
    const invalid = Subprotocol.format(protocols)
    if (invalid instanceof ProtocolError) throw new RangeError(`protocols: ${invalid.description}`)
  }
  return {
    settings: resolve(options, options.zlib),
    origin: options.origin ?? Origin.sameOrigin(),
    select: typeof protocols === "function" ? protocols : Subprotocol.byServerPreference(protocols),
    handshakeTimeout: timeout("handshakeTimeout", options.handshakeTimeout ?? defaults.openTimeout)
  }
}

type ServerDrivers = Drivers<Handshake.UpgradeRequest>

/** The request, where it may be accepted. Otherwise it is answered. */
const check = (attempt: UpgradeAttempt, policy: Policy): Handshake.UpgradeRequest | ProtocolError | IoError => {
  const request = Handshake.checkRequest(attempt.request)
  if (request._tag === "RefusedRequest") {
    attempt.reject(request.status, request.headers, request.error.message)
    return request.error
  }
  const refusal = policy.origin(request)
  if (refusal === undefined) {
    if (policy.settings.budget?.isExhausted !== true) return request
    attempt.reject(503, {}, "The server holds all the bytes that it may")
    return new IoError({ reason: "Budget", operation: "accept" })
  }
  attempt.reject(403, {}, refusal)
  return new ProtocolError({
    origin: "remote",
    description: refusal,
    section: "RFC 6455 §10.2",
    closeCode: undefined
  })
}

/** Answers 101. In one step with the connection, so that there is no 101 without one. */
const open = <D extends Delivery>(
  attempt: UpgradeAttempt,
  request: Handshake.UpgradeRequest,
  policy: Policy,
  services: Environment,
  mode: Mode & { readonly delivery: D }
): ServerDrivers[D] | ProtocolError => {
  const settings = settingsFor(policy.settings, mode)
  const { compression } = settings
  const deflate = compression && PermessageDeflate.accept(request.extensions, compression.settings)
  const agreement = {
    protocol: policy.select(request.protocols),
    extensions: deflate === undefined ? [] : [deflate.extension]
  }
  const headers = Handshake.responseHeaders(request, agreement)
  if (headers instanceof ProtocolError) {
    attempt.reject(500, {}, "The server selected a subprotocol that was not offered")
    return headers
  }
  const opening = { request, url: request.url, agreement, deflate }
  return makeDriver("server", attempt.upgrade(headers), settings, services, opening, mode)
}

interface Waiting extends Alarm {
  readonly attempt: UpgradeAttempt
  readonly request: Handshake.UpgradeRequest
}

/** Requests on their way to an `accept`, and the connections that came of them. */
class Acceptor {
  private readonly policy: Policy
  private readonly services: Environment
  private readonly runtime: Runtime.Runtime<never>
  private readonly connections = new Registry.Registry()
  private readonly waiting = new Set<Waiting>()
  private readonly takers = new Set<(effect: Effect.Effect<void>) => void>()
  private stopped = false

  constructor(policy: Policy, services: Environment, runtime: Runtime.Runtime<never>) {
    this.policy = policy
    this.services = services
    this.runtime = runtime
  }

  offer(attempt: UpgradeAttempt): void {
    if (this.stopped) {
      attempt.reject(503, {}, "The server is stopping")
      return
    }
    const request = check(attempt, this.policy)
    if (request instanceof ProtocolError || request instanceof IoError) {
      this.log(Effect.logWarning("Refused an upgrade request", request.message), attempt)
      return
    }
    const { timers } = this.services
    const waiting: Waiting = {
      attempt,
      request,
      alarmTime: 0,
      alarmIndex: notSet,
      ring: () => {
        this.waiting.delete(waiting)
        attempt.reject(503, {}, "No handler took the connection in time")
      }
    }
    timers.set(waiting, timers.now + this.policy.handshakeTimeout)
    this.waiting.add(waiting)
    this.wakeTaker()
  }

  /**
   * The next connection, started. `restore` makes the wait interruptible; from the moment when a request is taken nothing
   * is.
   */
  next<D extends Delivery>(
    restore: <A>(effect: Effect.Effect<A>) => Effect.Effect<A>,
    mode: Mode & { readonly delivery: D }
  ): Effect.Effect<ServerDrivers[D]> {
    return Effect.suspend(() => {
      for (const waiting of this.waiting) {
        const socket = this.take(waiting, mode)
        if (socket !== undefined) return Effect.succeed(socket)
      }
      return Effect.zipRight(restore(this.awaitRequest), this.next(restore, mode))
    })
  }

  private take<D extends Delivery>(
    waiting: Waiting,
    mode: Mode & { readonly delivery: D }
  ): ServerDrivers[D] | undefined {
    this.waiting.delete(waiting)
    this.services.timers.clear(waiting)
    if (waiting.attempt.isGone()) return undefined
    const socket = open(waiting.attempt, waiting.request, this.policy, this.services, mode)
    if (socket instanceof ProtocolError) {
      this.log(Effect.logError("Refused an upgrade request", socket.message), waiting.attempt)
      return undefined
    }
    socket.start(this.connections)
    return socket
  }

  private readonly awaitRequest: Effect.Effect<void> = Effect.async<void>((resume) => {
    if (this.stopped) {
      resume(Effect.interrupt)
      return
    }
    if (this.waiting.size > 0) {
      resume(Effect.void)
      return
    }
    this.takers.add(resume)
    return Effect.sync(() => {
      // Where this one had been woken already, its request is for another.
      if (!this.takers.delete(resume) && this.waiting.size > 0) this.wakeTaker()
    })
  })

  private wakeTaker(): void {
    for (const resume of this.takers) {
      this.takers.delete(resume)
      resume(Effect.void)
      return
    }
  }

  private log(entry: Effect.Effect<void>, { remoteAddress, request }: UpgradeAttempt): void {
    Runtime.runFork(this.runtime)(Effect.annotateLogs(entry, annotations(request.url, remoteAddress)))
  }

  readonly stop: Effect.Effect<void> = Effect.suspend(() => {
    this.stopped = true
    for (const waiting of this.waiting) {
      this.services.timers.clear(waiting)
      waiting.attempt.reject(503, {}, "The server is stopping")
    }
    this.waiting.clear()
    for (const resume of this.takers) resume(Effect.interrupt)
    this.takers.clear()
    return this.connections.closeAll(1001)
  })
}

const runHandlers = <A, E, R, D extends Delivery = "messages">(
  acceptor: Acceptor,
  handler: (socket: ServerDrivers[D]) => Effect.Effect<A, E, R>,
  options: WebSocket.DeliveryOptions<D> = {}
): Effect.Effect<never, never, Exclude<R, Scope.Scope>> =>
  Effect.flatMap(Effect.runtime<Exclude<R, Scope.Scope>>(), (runtime) =>
    Effect.uninterruptibleMask((restore) => {
      const mode = resolveMode(options)
      const handlers = new Handlers(runtime, handler)
      return Effect.onExit(
        // Started in the step that took it, so that a connection always has someone to close it.
        Effect.forever(Effect.map(acceptor.next(restore, mode), (socket) => handlers.start(socket))),
        () => handlers.stop
      )
    })
  )

/**
 * The handlers of one `run`. A connection that is idle costs one fiber and nothing around it, so what its handler needs is
 * put into the fiber's runtime, and what comes after it has a fiber of its own, for a moment.
 */
class Handlers<S extends AnyDriver<Handshake.UpgradeRequest>, A, E, R> {
  private readonly runtime: Runtime.Runtime<Exclude<R, Scope.Scope>>
  private readonly handler: (socket: S) => Effect.Effect<A, E, R>
  private readonly fibers = new Set<Fiber.RuntimeFiber<unknown, unknown>>()

  constructor(runtime: Runtime.Runtime<Exclude<R, Scope.Scope>>, handler: (socket: S) => Effect.Effect<A, E, R>) {
    this.runtime = runtime
    this.handler = handler
  }

  start(socket: S): void {
    const scope = Effect.runSync(Scope.make())
    const runtime = this.runtimeOf(socket, scope)
    // As a value, because the runtime would log a failure as one that nobody looks at. An interruption stays one.
    const handled = Effect.exit(Effect.suspend(() => this.handler(socket)))
    this.supervise(Runtime.runFork(runtime)(handled), (exit) =>
      this.supervise(Runtime.runFork(runtime)(Effect.uninterruptible(release(socket, scope, Exit.flatten(exit)))))
    )
  }

  private supervise<A1, E1>(fiber: Fiber.RuntimeFiber<A1, E1>, onExit?: (exit: Exit.Exit<A1, E1>) => void): void {
    this.fibers.add(fiber)
    fiber.addObserver((exit) => {
      this.fibers.delete(fiber)
      onExit?.(exit)
    })
  }

  private runtimeOf(socket: S, scope: Scope.Scope): Runtime.Runtime<R | Scope.Scope> {
    const inherited = FiberRefs.getOrDefault(this.runtime.fiberRefs, FiberRef.currentLogAnnotations)
    const annotated = HashMap.union(
      inherited,
      HashMap.fromIterable(Object.entries(annotations(socket.url, socket.remoteAddress)))
    )
    return this.runtime.pipe(
      Runtime.enableRuntimeFlag(RuntimeFlags.Interruption),
      Runtime.setFiberRef(FiberRef.currentLogAnnotations, annotated),
      Runtime.updateContext((context) => Context.add(context, Scope.Scope, scope))
    ) as Runtime.Runtime<R | Scope.Scope>
  }

  /** Interrupts all handlers at once and waits for what comes after them. */
  readonly stop: Effect.Effect<void> = Effect.suspend(() => {
    for (const fiber of this.fibers) fiber.unsafeInterruptAsFork(FiberId.none)
    return this.awaitAll
  })

  private readonly awaitAll: Effect.Effect<void> = Effect.suspend(() =>
    this.fibers.size === 0 ? Effect.void : Effect.zipRight(Fiber.awaitAll(this.fibers), this.awaitAll)
  )
}

/** Ends a connection as its handler ended. The app's own finalizers come first: they may still use the connection. */
const release = (
  socket: AnyDriver<Handshake.UpgradeRequest>,
  scope: Scope.CloseableScope,
  exit: Exit.Exit<unknown, unknown>
): Effect.Effect<void> =>
  Effect.zipRight(
    Effect.exit(Scope.close(scope, exit)),
    Effect.suspend(() => {
      socket.beginClose(Registry.closeCodeOf(exit))
      return Effect.zipRight(socket.awaitClosed, logFailure(exit))
    })
  )

const logFailure = (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> => {
  if (Exit.isSuccess(exit) || Cause.isInterruptedOnly(exit.cause)) return Effect.void
  const { cause } = exit
  if (Option.isSome(Cause.dieOption(cause))) return Effect.logError("The handler of a connection died", cause)
  const failure = Option.getOrUndefined(Cause.failureOption(cause))
  if (isConnectionClosed(failure)) return Effect.logDebug("The connection was closed", failure.message)
  // Where it happened in this library says nothing about it, and a hostile peer could fill the log with it.
  if (isWebSocketError(failure)) return Effect.logWarning("The connection failed", failure.message)
  return Effect.logWarning("The handler of a connection failed", cause)
}
