import type { Delivery } from "@effect-websocket/protocol/Connection"
import { IoError, ProtocolError } from "@effect-websocket/protocol/Errors"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { nothingToUndo } from "../engine/connection/Closables.js"
import { goingAway } from "../engine/connection/closeCodes.js"
import { Defect } from "../engine/Defect.js"
import type { Acceptor } from "../engine/server/Acceptor.js"
import { acceptAll } from "../engine/server/Check.js"
import type { Policy } from "../engine/server/Policy.js"
import { checkBudget, checkHandshake, checkOrigin, refuse, type Refused } from "../engine/server/Refused.js"
import type { Route } from "../engine/server/Route.js"
import { observedAttempt } from "../engine/server/ObservedAttempt.js"
import type { ServerRequest } from "../engine/server/ServerRequest.js"
import { open, prepare, type Connector, type Upgraded } from "../engine/server/Upgrade.js"
import type { UpgradeAttempt } from "../engine/server/UpgradeAttempt.js"
import type { Settings } from "../engine/Settings.js"
import type { Timers } from "../engine/time/Timers.js"
import type { Transport } from "../Transport.js"
import type { Request } from "../UpgradeCheck.js"
import type { Deliveries } from "../WebSocket.js"
import type { Mode } from "../engine/connection/Link.js"
import { makeWebSocket, settingsFor, type WebSockets } from "./deliveries.js"
import { callback, handlerRuntime, type Runtime } from "./effect.js"
import { Handlers, type Job } from "./handlers.js"
import { closeAll, placeIn } from "./scopes.js"

export type ServerWebSockets = WebSockets<ServerRequest>

/** Makes connections of one delivery. */
class DeliveryConnector<D extends Delivery, Request> implements Connector<WebSockets<Request>[D], Request> {
  private readonly mode: Mode & { readonly delivery: D }
  private readonly timers: Timers

  constructor(mode: Mode & { readonly delivery: D }, timers: Timers) {
    this.mode = mode
    this.timers = timers
  }

  settingsFor(settings: Settings): Settings {
    return settingsFor(settings, this.mode)
  }

  make(transport: Transport, settings: Settings, upgraded: Upgraded<Request>): WebSockets<Request>[D] {
    return makeWebSocket("server", transport, settings, this.timers, upgraded, this.mode, upgraded.request)
  }
}

export const connectorOf = <D extends Delivery, Request = ServerRequest>(
  mode: Mode & { readonly delivery: D },
  timers: Timers
): Connector<WebSockets<Request>[D], Request> => new DeliveryConnector<D, Request>(mode, timers)

type ServerConnector<D extends Delivery> = Connector<ServerWebSockets[D], ServerRequest>

/**
 * The next connection of a route, started. `restore` makes the wait interruptible; once a request is taken, nothing can be
 * interrupted until the connection has an owner.
 */
const next = <D extends Delivery>(
  route: Route,
  restore: <A>(effect: Effect.Effect<A>) => Effect.Effect<A>,
  connector: ServerConnector<D>
): Effect.Effect<ServerWebSockets[D]> =>
  Effect.suspend(() => {
    const socket = route.take(connector)
    if (socket !== undefined) return Effect.succeed(socket)
    return Effect.andThen(awaitRequest(route, restore), next(route, restore, connector))
  })

const awaitRequest = (route: Route, restore: <A>(effect: Effect.Effect<A>) => Effect.Effect<A>): Effect.Effect<void> =>
  Effect.suspend(() => {
    let giveUp = (): void => {}
    const woken = callback<void>((resume) => {
      giveUp = route.whenReady(() => resume(route.stopped ? Effect.interrupt : Effect.void))
    })
    // Around the whole wait, because a finalizer inside of it may not be installed yet, or may have been removed. If
    // this fiber has already been woken, its request goes to another one.
    return Effect.onInterrupt(restore(woken), () => Effect.sync(() => giveUp()))
  })

/** The next connection of a route. It belongs to the scope. */
export const accept = <D extends Delivery>(
  route: Route,
  connector: ServerConnector<D>
): Effect.Effect<ServerWebSockets[D], never, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.scope, (scope) =>
      Effect.map(next(route, restore, connector), (socket) => {
        socket.link.addOwner(placeIn(scope))
        return socket
      })
    )
  )

/** A connection as its handler sees it. The public `ServerWebSocket` documents it. */
export type Accepted<D extends Delivery, Value> = Deliveries[D] & { readonly request: Request; readonly value: Value }

/** A connection has the value that its check accepted with, and `undefined` without a check. */
export const withValue = <D extends Delivery, Value>(socket: ServerWebSockets[D]): Accepted<D, Value> =>
  socket as ServerWebSockets[D] & Accepted<D, Value>

/** A handler of the app, which runs for each connection. */
export const jobOf = <A, E, R, D extends Delivery, Value, R2>(
  runtime: Runtime<Exclude<R | R2, Scope.Scope>>,
  handler: (socket: Accepted<D, Value>) => Effect.Effect<A, E, R>,
  onError: ((cause: Cause.Cause<E>, socket: Accepted<D, Value>) => Effect.Effect<unknown, never, R2>) | undefined
): Job<ServerWebSockets[D], A, E, R | R2> => ({
  runtime: handlerRuntime(runtime),
  handler: (socket) => handler(withValue<D, Value>(socket)),
  onError: onError && ((cause, socket) => onError(cause, withValue<D, Value>(socket)))
})

/** Takes each request of a route in the step in which it is ready, and starts a handler for its connection. */
class Serving<D extends Delivery, A, E, R> {
  private readonly route: Route
  private readonly connector: ServerConnector<D>
  private readonly handlers: Handlers
  private readonly job: Job<ServerWebSockets[D], A, E, R>
  private stopWaiting = nothingToUndo
  private forgetRoute = nothingToUndo
  private stopped = false

  constructor(route: Route, connector: ServerConnector<D>, handlers: Handlers, job: Job<ServerWebSockets[D], A, E, R>) {
    this.route = route
    this.connector = connector
    this.handlers = handlers
    this.job = job
  }

  /** Waits until the route has stopped. */
  readonly untilRouteStops = callback<never>((resume) => {
    // Also if there is no room for a handler, and so nothing waits for a request.
    this.forgetRoute = this.route.whenStopped(() => resume(Effect.interrupt))
    this.serve()
  })

  stop(): void {
    this.stopped = true
    this.stopWaiting()
    this.forgetRoute()
  }

  private readonly serve = (): void => {
    const { connector, handlers, job, route } = this
    while (!this.stopped && !route.stopped) {
      if (!handlers.hasRoom) {
        this.stopWaiting = handlers.whenRoom(this.serve)
        return
      }
      const socket = route.take(connector)
      // The 101 is the app's, too, and may have interrupted `run`.
      if (this.stopped) return socket?.link.beginClose(goingAway)
      if (socket !== undefined) handlers.start(socket, job)
      else if (!route.isReady) {
        this.stopWaiting = route.whenReady(this.serve)
        return
      }
    }
  }
}

/** Runs a handler for each connection of a route, and never ends by itself. */
export const runHandlers = <D extends Delivery, A, E, R>(
  route: Route,
  connector: ServerConnector<D>,
  concurrency: number | undefined,
  job: Job<ServerWebSockets[D], A, E, R>
): Effect.Effect<never> =>
  Effect.uninterruptibleMask((restore) => {
    const handlers = new Handlers(concurrency)
    const serving = new Serving(route, connector, handlers, job)
    route.handlers.add(handlers)
    return Effect.onExit(restore(serving.untilRouteStops), () =>
      Effect.suspend(() => {
        serving.stop()
        return Effect.map(handlers.stop, () => {
          route.handlers.delete(handlers)
        })
      })
    )
  })

/** Answers one request, and returns its connection, which belongs to the scope. */
export const acceptAttempt = <D extends Delivery>(
  offered: UpgradeAttempt,
  policy: Policy,
  connector: ServerConnector<D>
): Effect.Effect<ServerWebSockets[D], ProtocolError | IoError, Scope.Scope> =>
  Effect.uninterruptible(
    Effect.gen(function* () {
      const scope = yield* Effect.scope
      const attempt = observedAttempt(offered, policy.observeHandshake)
      if (attempt.isGone()) return yield* Effect.fail(new IoError({ reason: "Reset", operation: "handshake" }))
      // If a function of the app throws, the client must not be left waiting.
      const request = yield* Effect.onError(
        Effect.sync(() => admissible(attempt, policy)),
        () => Effect.sync(() => attempt.reject(500, {}, "The server could not check the request"))
      )
      if (request._tag === "RefusedRequest") {
        refuse(attempt, request)
        return yield* Effect.fail(request.error)
      }
      const accepted = { attempt, request, select: policy.select, accepted: acceptAll }
      const prepared = prepare(accepted, policy.settings)
      const socket = prepared instanceof Defect ? prepared : open(prepared, connector)
      if (socket instanceof Defect) return yield* Effect.die(socket.cause)
      if (socket instanceof ProtocolError) return yield* Effect.fail(socket)
      socket.link.start(placeIn(scope))
      return socket
    })
  )

const admissible = (attempt: UpgradeAttempt, policy: Policy): ServerRequest | Refused => {
  const request = checkHandshake(attempt, policy)
  if (request._tag === "RefusedRequest") return request
  return checkOrigin(request, policy.origin) ?? checkBudget(policy) ?? request
}

/** Stops a server, closes its connections with a code, and waits for them. */
export const release = (acceptor: Acceptor, code: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    acceptor.stop()
    return closeAll(acceptor.connections, code)
  })
