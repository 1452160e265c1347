import type { Delivery } from "@effect-websocket/protocol/Connection"
import { IoError, ProtocolError, type HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import * as HeaderField from "@effect-websocket/protocol/HeaderField"
import * as Origin from "@effect-websocket/protocol/Origin"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import * as Subprotocol from "@effect-websocket/protocol/Subprotocol"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as Predicate from "effect/Predicate"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import type * as Scope from "effect/Scope"
import type { Transport } from "../Transport.js"
import { isReject, type Accept, type Reject } from "../UpgradeCheck.js"
import type { Deliveries } from "../WebSocket.js"
import type {
  Accepted,
  DrainOptions,
  DrainReport,
  MakeOptions,
  RunOptions,
  ServerWebSocket,
  UpgradeAttempt
} from "../WebSocketServer.js"
import { annotations } from "./annotations.js"
import { Connections } from "./connections.js"
import { drain, mergeReports, resolveDrain, starting, type DrainSettings, type Start } from "./drain.js"
import type { Mode } from "../engine/connection/Link.js"
import { makeWebSocket, settingsFor, type WebSockets } from "./deliveries.js"
import { clientAddress, resolveProxies, type ProxySettings } from "../engine/server/forwarded.js"
import { Entry, Gate, resolveGate, type GateSettings } from "../engine/server/Gate.js"
import { schedulerOver } from "./handOver.js"
import type { Handlers, Job } from "./handlers.js"
import { pathOf, ServerRequest } from "../engine/server/ServerRequest.js"
import { closeAll } from "./scopes.js"
import type { Settings } from "../engine/Settings.js"
import { checkProtocols, defaults, resolve, timeout } from "./settings.js"
import { notSet, type Alarm, type Timers } from "../engine/time/Timers.js"

/** What a request is measured by. */
export interface Policy {
  readonly options: MakeOptions
  readonly settings: Settings
  readonly origin: Origin.Policy
  readonly select: Subprotocol.Selector
  /** In milliseconds. */
  readonly handshakeTimeout: number
  /** In milliseconds; infinite where there is none. */
  readonly firstMessageTimeout: number
  readonly gate: GateSettings
  readonly proxies: ProxySettings | undefined
  readonly drain: DrainSettings
  /** Whether the release of a layer drains. */
  readonly drains: boolean
}

export const resolvePolicy = (options: MakeOptions): Policy => {
  const drain = resolveDrain(options.drain ?? {})
  return {
    options,
    settings: resolve(options, options.zlib),
    origin: options.origin ?? Origin.sameOrigin(),
    select: resolveProtocols(options.protocols ?? []),
    handshakeTimeout: timeout("handshakeTimeout", options.handshakeTimeout ?? defaults.handshakeTimeout),
    firstMessageTimeout:
      options.firstMessageTimeout === undefined
        ? Number.POSITIVE_INFINITY
        : timeout("firstMessageTimeout", options.firstMessageTimeout),
    gate: resolveGate(options.admission ?? {}, options.retryAfter),
    proxies: resolveProxies(options.proxies),
    drain,
    drains: options.drain !== undefined
  }
}

export const resolveProtocols = (protocols: ReadonlyArray<string> | Subprotocol.Selector): Subprotocol.Selector => {
  if (typeof protocols === "function") return protocols
  checkProtocols(protocols)
  return Subprotocol.byServerPreference(protocols)
}

export type ServerDrivers = WebSockets<ServerRequest>

/** It has the value that it was accepted with, and none where there was no check. */
export const withValue = <D extends Delivery, Value>(socket: ServerDrivers[D]): ServerWebSocket<D, Value> =>
  socket as ServerDrivers[D] & Deliveries[D] & Accepted<Value>

/** What a handler of the app's does for each of its connections. */
export const jobOf = <A, E, R, D extends Delivery, Value, R2>(
  runtime: Runtime.Runtime<Exclude<R | R2, Scope.Scope>>,
  handler: (socket: ServerWebSocket<D, Value>) => Effect.Effect<A, E, R>,
  onError: RunOptions<D, Value, E, R2>["onError"]
): Job<ServerDrivers[D], A, E, R | R2> => ({
  runtime: runtime.pipe(
    Runtime.enableRuntimeFlag(RuntimeFlags.Interruption),
    // Flags of the fiber that asked for the runtime. One reference less makes the table of each connection's smaller.
    Runtime.deleteFiberRef(FiberRef.currentRuntimeFlags),
    // Once for all connections, in place of once in each `run`.
    Runtime.setFiberRef(
      FiberRef.currentScheduler,
      schedulerOver(FiberRefs.getOrDefault(runtime.fiberRefs, FiberRef.currentScheduler))
    )
  ),
  handler: (socket) => handler(withValue<D, Value>(socket)),
  onError: onError && ((cause, socket) => onError(cause, withValue<D, Value>(socket)))
})

/** A request that does not get its 101: the answer, and what is said about it here. */
export interface Refused {
  readonly status: number
  readonly headers: HeaderRecord
  readonly error: ProtocolError | IoError
}

/** The request, where it keeps to the handshake. */
export const checkHandshake = (
  attempt: UpgradeAttempt,
  proxies: ProxySettings | undefined
): ServerRequest | Refused => {
  const request = Handshake.checkRequest(attempt.request)
  if (request._tag === "RefusedRequest") return request
  const address = clientAddress(attempt.remoteAddress, request.headers, proxies)
  return new ServerRequest(request, attempt.remoteAddress, address)
}

/** Why a request may not be accepted, by what costs nothing to know. */
export const checkOrigin = (request: ServerRequest, origin: Origin.Policy, settings: Settings): Refused | undefined => {
  const refusal = origin(request)
  if (refusal === undefined) {
    if (settings.budget?.isExhausted !== true) return undefined
    return { status: 503, headers: {}, error: new IoError({ reason: "Budget", operation: "accept" }) }
  }
  const section = "RFC 6455 §10.2"
  return {
    status: 403,
    headers: {},
    error: new ProtocolError({ origin: "remote", description: refusal, section, closeCode: undefined })
  }
}

/**
 * Answers a request, which gets no connection. What an attempt of the app's throws is not thrown on: this may be a callback of a
 * timer or a fiber.
 */
const reject = (attempt: UpgradeAttempt, status: number, headers: HeaderRecord, body: string): void => {
  try {
    attempt.reject(status, headers, body)
  } catch {
    // Nobody is left to tell: the client has been given up.
  }
}

/** Answers a request that is refused. */
export const rejectRefused = (attempt: UpgradeAttempt, { error, headers, status }: Refused): void =>
  reject(
    attempt,
    status,
    headers,
    error._tag === "Io_error"
      ? "The server holds all the bytes that it may"
      : status === 403
        ? error.description
        : error.message
  )

interface Opening {
  readonly attempt: UpgradeAttempt
  readonly request: ServerRequest
  readonly select: Subprotocol.Selector
  readonly accepted: Accept<unknown>
}

/** What an app's function threw, or would: a bug, which must not end the server. */
export class Defect {
  readonly cause: unknown

  constructor(cause: unknown) {
    this.cause = cause
  }
}

const attempted = <A>(call: () => A): A | Defect => {
  try {
    return call()
  } catch (cause) {
    return new Defect(cause)
  }
}

const noAgreement: Handshake.Agreement = { protocol: undefined, extensions: [] }

/** A request that gets its 101, whoever has read it. */
interface Answering<Request> {
  readonly offer: Pick<Handshake.Offer, "key" | "protocols" | "extensions">
  readonly protocol: string | undefined
  /** Besides those of the handshake. */
  readonly headers?: HeaderRecord | undefined
  readonly url: string
  readonly request: Request
  readonly upgrade: (headers: HeaderRecord) => Transport
}

/** Answers 101. In one step with the connection, so that there is no 101 without one. */
export const answer = <D extends Delivery, Request>(
  { headers: extra, offer, protocol, request, upgrade, url }: Answering<Request>,
  own: Settings,
  timers: Timers,
  mode: Mode & { readonly delivery: D }
): WebSockets<Request>[D] | ProtocolError => {
  const settings = settingsFor(own, mode)
  const { compression } = settings
  const deflate = compression && PermessageDeflate.accept(offer.extensions ?? [], compression.settings)
  const agreement =
    protocol === undefined && deflate === undefined
      ? noAgreement
      : { protocol, extensions: deflate === undefined ? [] : [deflate.extension] }
  const headers = Handshake.responseHeaders(offer, agreement, extra)
  if (headers instanceof ProtocolError) return headers
  return makeWebSocket("server", upgrade(headers), settings, timers, { url, agreement, deflate }, mode, request)
}

/** Opens the connection of a request that was accepted, or answers 500. */
export const open = <D extends Delivery>(
  { accepted, attempt, request, select }: Opening,
  { options, settings: shared }: Policy,
  timers: Timers,
  mode: Mode & { readonly delivery: D }
): ServerDrivers[D] | ProtocolError | Defect => {
  const decided = attempted(() => ({
    own: accepted.options === undefined ? shared : resolveOwn(options, accepted.options),
    protocol: selectProtocol(request, accepted.protocol, select)
  }))
  if (decided instanceof Defect) {
    reject(attempt, 500, {}, "The server cannot open the connection")
    return decided
  }
  const { own, protocol } = decided
  const upgrade = (headers: HeaderRecord): Transport => attempt.upgrade(headers)
  const answering = { offer: request, protocol, headers: accepted.headers, url: request.url, request, upgrade }
  // What throws is the attempt, which may have answered by then.
  const socket = attempted(() => answer(answering, own, timers, mode))
  if (socket instanceof Defect) return socket
  if (socket instanceof ProtocolError) {
    reject(attempt, 500, {}, "The server's answer to the handshake is not valid")
    return socket
  }
  return accepted.value === undefined ? socket : Object.assign(socket, { value: accepted.value })
}

/** Nothing for a client that offers nothing, whatever the app would select. */
const selectProtocol = (
  { protocols }: ServerRequest,
  accepted: string | undefined,
  select: Subprotocol.Selector
): string | undefined =>
  accepted === undefined || protocols.length === 0 ? Subprotocol.select(select, protocols) : accepted

/** The options of a server with those of one connection, which win. */
const resolveOwn = (options: MakeOptions, own: NonNullable<Accept<unknown>["options"]>): Settings =>
  resolve({ ...options, ...own, limits: { ...options.limits, ...own.limits } }, options.zlib)

/** Starts a check, with all that it needs. As a value, because a runtime logs a failure as one that nobody looks at. */
export type BoundCheck = (request: ServerRequest) => Fiber.RuntimeFiber<Exit.Exit<Accept<unknown> | Reject, unknown>>

export interface RouteSettings {
  readonly path: string | undefined
  readonly origin: Origin.Policy
  readonly select: Subprotocol.Selector
  readonly check: BoundCheck | undefined
}

/** A request under way to an `accept`. One alarm covers all of it. */
class Handshaking implements Alarm, Opening {
  alarmTime = 0
  alarmIndex = notSet
  accepted: Accept<unknown> = acceptAll
  fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined = undefined
  private answered = false
  readonly attempt: UpgradeAttempt
  readonly request: ServerRequest
  readonly entry: Entry
  readonly route: Route
  private readonly acceptor: Acceptor

  constructor(attempt: UpgradeAttempt, request: ServerRequest, entry: Entry, route: Route, acceptor: Acceptor) {
    this.attempt = attempt
    this.request = request
    this.entry = entry
    this.route = route
    this.acceptor = acceptor
    attempt.onGone?.(() => this.over())
  }

  get select(): Subprotocol.Selector {
    return this.route.settings.select
  }

  /** Sets its deadline, once. */
  bound(): void {
    const { policy, timers } = this.acceptor
    if (this.alarmIndex === notSet) timers.set(this, timers.now + policy.handshakeTimeout)
  }

  ring(): void {
    this.reject(503, { "Retry-After": this.acceptor.retryAfter }, "No handler took the connection in time")
  }

  /** Whether it was for the caller to answer. */
  over(): boolean {
    if (this.answered) return false
    this.answered = true
    this.acceptor.timers.clear(this)
    this.route.forget(this)
    this.entry.leave()
    this.fiber?.unsafeInterruptAsFork(FiberId.none)
    return true
  }

  reject(status: number, headers: HeaderRecord, body: string): void {
    if (this.over()) reject(this.attempt, status, headers, body)
  }

  /** An `accept` takes it. It keeps its entry, for the connection. */
  take(): void {
    this.answered = true
    this.acceptor.timers.clear(this)
  }
}

/** This runs in a callback of a fiber, and a check without types may yield anything. */
const isAccept = (value: unknown): value is Accept<unknown> => Predicate.isTagged(value, "Accept")

const acceptAll: Accept<unknown> = { _tag: "Accept", value: undefined }

/** A path, with the requests that wait there for an `accept`. */
export class Route {
  readonly settings: RouteSettings
  readonly handlers = new Set<Handlers>()
  draining: Effect.Effect<DrainReport> | undefined = undefined
  /** Whether someone has ever asked for a connection of it. */
  used = false
  private readonly acceptor: Acceptor
  private readonly handshaking = new Set<Handshaking>()
  private readonly ready = new Set<Handshaking>()
  private readonly takers = new Set<(effect: Effect.Effect<void>) => void>()
  private stopped = false

  constructor(settings: RouteSettings, acceptor: Acceptor) {
    this.settings = settings
    this.acceptor = acceptor
  }

  receive(attempt: UpgradeAttempt, request: ServerRequest, entry: Entry): void {
    const handshaking = new Handshaking(attempt, request, entry, this, this.acceptor)
    this.handshaking.add(handshaking)
    const { check } = this.settings
    if (check === undefined) {
      this.makeReady(handshaking)
      return
    }
    handshaking.bound()
    const fiber = check(request)
    handshaking.fiber = fiber
    fiber.addObserver((exit) => this.checked(handshaking, Exit.flatten(exit)))
  }

  private checked(handshaking: Handshaking, exit: Exit.Exit<Accept<unknown> | Reject, unknown>): void {
    handshaking.fiber = undefined
    if (!this.handshaking.has(handshaking)) return
    if (Exit.isSuccess(exit) && isAccept(exit.value)) {
      handshaking.accepted = exit.value
      this.makeReady(handshaking)
      return
    }
    const rejection = Exit.isSuccess(exit) ? exit.value : Cause.squash(exit.cause)
    if (isReject(rejection)) {
      const invalid = invalidReject(rejection)
      if (invalid === undefined) handshaking.reject(rejection.status, rejection.headers, rejection.body)
      else this.failed(handshaking, Effect.logError("A check rejected with what is no HTTP response", invalid))
    } else if (Exit.isFailure(exit)) {
      this.failed(handshaking, Effect.logError("The check of an upgrade request failed", exit.cause))
    } else {
      this.failed(handshaking, Effect.logError("A check yielded neither an Accept nor a Reject", rejection))
    }
  }

  private failed(handshaking: Handshaking, log: Effect.Effect<void>): void {
    handshaking.reject(500, {}, "The server could not check the request")
    this.acceptor.log(log, handshaking.attempt)
  }

  private makeReady(handshaking: Handshaking): void {
    this.ready.add(handshaking)
    this.wakeTaker()
  }

  /** Wakes who takes a request that is ready. Only where there is nobody, time begins to run. */
  private wakeTaker(): void {
    for (const resume of this.takers) {
      this.takers.delete(resume)
      resume(Effect.void)
      return
    }
    for (const handshaking of this.ready) handshaking.bound()
  }

  forget(handshaking: Handshaking): void {
    this.handshaking.delete(handshaking)
    this.ready.delete(handshaking)
  }

  /** Requests that came before there was a route for them. */
  offerAgain(matches: (path: string) => boolean): void {
    for (const handshaking of this.ready) {
      if (matches(handshaking.request.path) && handshaking.over()) this.acceptor.offer(handshaking.attempt)
    }
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
      this.used = true
      for (const handshaking of this.ready) {
        const socket = this.take(handshaking, mode)
        if (socket !== undefined) return Effect.succeed(socket)
      }
      return Effect.zipRight(this.awaitRequest(restore), this.next(restore, mode))
    })
  }

  private take<D extends Delivery>(
    handshaking: Handshaking,
    mode: Mode & { readonly delivery: D }
  ): ServerDrivers[D] | undefined {
    handshaking.take()
    this.forget(handshaking)
    return this.acceptor.open(handshaking, handshaking.entry, mode, this)
  }

  private awaitRequest(restore: <A>(effect: Effect.Effect<A>) => Effect.Effect<A>): Effect.Effect<void> {
    return Effect.suspend(() => {
      let wake: (effect: Effect.Effect<void>) => void = () => {}
      const woken = Effect.async<void>((resume) => {
        if (this.stopped) resume(Effect.interrupt)
        else if (this.ready.size > 0) resume(Effect.void)
        else this.takers.add((wake = resume))
      })
      // Around all of the wait: a finalizer inside of it may not be there yet, or not any more. If this one has been woken
      // already, its request is for another.
      return Effect.onInterrupt(restore(woken), () =>
        Effect.sync(() => {
          this.takers.delete(wake)
          if (this.ready.size > 0) this.wakeTaker()
        })
      )
    })
  }

  /** Lets in nobody any more; who waits gets 503. */
  close(): void {
    const headers = { "Retry-After": this.acceptor.retryAfter }
    for (const handshaking of this.handshaking) handshaking.reject(503, headers, stopping)
  }

  /** Nobody can accept any more. */
  stop(): void {
    this.stopped = true
    this.close()
    for (const resume of this.takers) resume(Effect.interrupt)
    this.takers.clear()
  }

  drain(settings: DrainSettings): Effect.Effect<DrainReport> {
    return starting((start) => this.startDrain(settings, start))
  }

  /** The report of the drain that is under way, or of one that it starts. */
  startDrain(settings: DrainSettings, start: Start): Effect.Effect<DrainReport> {
    if (this.draining === undefined) {
      this.draining = drain(start, this.acceptor.connections.of(this), this.handlers, settings)
      this.close()
    }
    return this.draining
  }
}

const stopping = "The server is stopping"

const reserved = new Set(["connection", "content-length", "transfer-encoding", "upgrade"])

/** Why an answer cannot be written. */
const invalidReject = ({ headers, status }: Reject): string | undefined => {
  if (!Number.isInteger(status) || status < 300 || status > 599) return `The status is ${status}`
  for (const name of Object.keys(headers)) {
    if (!HeaderField.isToken(name)) return `The header name ${JSON.stringify(name)} is not a token`
    if (reserved.has(name.toLowerCase())) return `The header ${name} is the server's to set`
    if (!HeaderField.values(headers, name).every(HeaderField.isValue)) return `The header ${name} has an invalid value`
  }
  return undefined
}

/** Whether a pattern is a path, or the beginning of one: `/files/*`. */
const matcher = (pattern: string | undefined): ((path: string) => boolean) => {
  if (pattern === undefined) return () => true
  if (!pattern.endsWith("/*")) return (path) => path === pattern
  const prefix = pattern.slice(0, -1)
  return (path) => path.startsWith(prefix)
}

/** Requests on their way to an `accept`, and the connections that came of them. */
export class Acceptor {
  readonly policy: Policy
  readonly timers: Timers
  readonly connections: Connections
  /** What takes the requests that no other route does. */
  readonly fallback: Route
  private readonly runtime: Runtime.Runtime<never>
  private readonly gate: Gate
  private readonly routes: Array<{ readonly route: Route; readonly matches: (path: string) => boolean }> = []
  private stopped = false
  private draining: Effect.Effect<DrainReport> | undefined = undefined

  constructor(policy: Policy, timers: Timers, runtime: Runtime.Runtime<never>) {
    this.policy = policy
    this.timers = timers
    this.runtime = runtime
    this.gate = new Gate(policy.gate, timers)
    this.connections = new Connections(timers, policy.firstMessageTimeout)
    const { origin, select } = policy
    this.fallback = new Route({ path: undefined, origin, select, check: undefined }, this)
  }

  get retryAfter(): string {
    return String(this.policy.gate.retryAfter)
  }

  add(route: Route): void {
    const matches = matcher(route.settings.path)
    // From special to general: whole paths, then the longest beginnings, then everything.
    this.routes.push({ route, matches })
    this.routes.sort((left, right) => rank(right.route) - rank(left.route))
    this.fallback.offerAgain(matches)
  }

  remove(route: Route): void {
    route.stop()
    const index = this.routes.findIndex((entry) => entry.route === route)
    if (index >= 0) this.routes.splice(index, 1)
  }

  /** Who takes a request, if anybody does. */
  private routeOf(path: string): Route | undefined {
    const found = this.routes.find(({ matches }) => matches(path))?.route
    if (found !== undefined) return found
    return this.routes.length === 0 || this.fallback.used ? this.fallback : undefined
  }

  /** Whether a request is for this server, where it shares its listener with others. */
  claims(url: string): boolean {
    const route = this.routeOf(pathOf(url))
    return route !== undefined && (route !== this.fallback || route.used)
  }

  offer(attempt: UpgradeAttempt): void {
    const entered = attempted(() => this.enter(attempt, undefined))
    if (entered === undefined) return
    if (entered instanceof Defect) return this.failed(attempt, entered)
    const { entry, request, route } = entered
    const received = attempted(() => route.receive(attempt, request, entry))
    if (received instanceof Defect) {
      entry.leave()
      this.failed(attempt, received)
    }
  }

  private failed(attempt: UpgradeAttempt, { cause }: Defect): void {
    this.log(Effect.logError("The check of an upgrade request failed", Cause.die(cause)), attempt)
    reject(attempt, 500, {}, "The server could not check the request")
  }

  /** What every request has to pass before anything asynchronous. Otherwise it is answered. */
  enter(
    attempt: UpgradeAttempt,
    only: Route | undefined
  ): { readonly request: ServerRequest; readonly route: Route; readonly entry: Entry } | undefined {
    if (attempt.isGone()) return undefined
    if (this.stopped) return this.refuse(attempt, 503, stopping, this.retryAfter)
    const request = checkHandshake(attempt, this.policy.proxies)
    if (!(request instanceof ServerRequest)) return this.refused(attempt, request)
    const route = only ?? this.routeOf(request.path)
    const refused = checkOrigin(request, route?.settings.origin ?? this.policy.origin, this.policy.settings)
    if (refused !== undefined) return this.refused(attempt, refused)
    const entry = this.gate.enter(request)
    if (!(entry instanceof Entry)) return this.refuse(attempt, entry.status, entry.reason, String(entry.retryAfter))
    if (route !== undefined && route.draining === undefined) return { request, route, entry }
    entry.leave()
    return route === undefined
      ? this.refuse(attempt, 404, "There is no WebSocket at this path")
      : this.refuse(attempt, 503, stopping, this.retryAfter)
  }

  private refused(attempt: UpgradeAttempt, refused: Refused): undefined {
    rejectRefused(attempt, refused)
    this.log(Effect.logWarning("Refused an upgrade request", refused.error.message), attempt)
  }

  /** What comes in floods is logged for debugging only. */
  private refuse(attempt: UpgradeAttempt, status: number, reason: string, retryAfter?: string): undefined {
    reject(attempt, status, retryAfter === undefined ? {} : { "Retry-After": retryAfter }, reason)
    this.log(Effect.logDebug("Refused an upgrade request", reason), attempt)
  }

  /** Answers 503 to a request that has entered, but comes to its 101 after the server began to stop. */
  refuseLate(attempt: UpgradeAttempt, entry: Entry, route: Route): boolean {
    if (!this.stopped && route.draining === undefined) return false
    entry.leave()
    this.refuse(attempt, 503, stopping, this.retryAfter)
    return true
  }

  /** Opens the connection of a request that has entered. */
  open<D extends Delivery>(
    opening: Opening,
    entry: Entry,
    mode: Mode & { readonly delivery: D },
    route: Route
  ): ServerDrivers[D] | undefined {
    const { attempt } = opening
    const isGone = attempted(() => attempt.isGone())
    if (isGone === true) {
      entry.leave()
      return undefined
    }
    const socket = isGone instanceof Defect ? isGone : open(opening, this.policy, this.timers, mode)
    if (socket instanceof ProtocolError || socket instanceof Defect) {
      entry.leave()
      const why = socket instanceof Defect ? Cause.die(socket.cause) : socket.message
      this.log(Effect.logError("Refused an upgrade request", why), attempt)
      return undefined
    }
    this.connections.track(socket, entry, opening.accepted.value, route)
    socket.link.start(this.connections)
    return socket
  }

  log(entry: Effect.Effect<void>, { remoteAddress, request }: UpgradeAttempt): void {
    Runtime.runFork(this.runtime)(Effect.annotateLogs(entry, annotations(request.url, remoteAddress)))
  }

  private get allRoutes(): ReadonlyArray<Route> {
    return [this.fallback, ...this.routes.map(({ route }) => route)]
  }

  /** Those of one drain, whose defaults are the server's. */
  drainSettings(options: DrainOptions | undefined): DrainSettings {
    const { policy } = this
    return options === undefined ? policy.drain : resolveDrain({ ...policy.options.drain, ...options })
  }

  drain(settings: DrainSettings): Effect.Effect<DrainReport> {
    return starting((start) => {
      if (this.draining === undefined) {
        this.stopped = true
        const reports = this.allRoutes.map((route) => route.startDrain(settings, start))
        this.draining = Effect.map(Effect.all(reports), mergeReports)
      }
      return this.draining
    })
  }

  /** Lets in nobody any more. What is open goes on. */
  stop(): void {
    this.stopped = true
    for (const route of this.allRoutes) route.close()
  }

  readonly release: Effect.Effect<void> = Effect.suspend(() => {
    this.stopped = true
    for (const route of this.allRoutes) route.stop()
    return closeAll(this.connections, this.policy.drain.code)
  })
}

const rank = ({ settings: { path } }: Route): number =>
  path === undefined ? -1 : path.endsWith("/*") ? path.length : Number.MAX_SAFE_INTEGER
