import { ProtocolError } from "@effect-websocket/protocol/Errors"
import { goingAway } from "../connection/closeCodes.js"
import { attempted, Defect } from "../Defect.js"
import type { Timers } from "../time/Timers.js"
import { JointDrain, type Drainable, type Draining, type DrainSettings } from "./Drain.js"
import { Entry, Gate } from "./Gate.js"
import type { Handshaking } from "./Handshaking.js"
import type { Log } from "./Log.js"
import { OpenConnections } from "./OpenConnections.js"
import { observedAttempt, type RefusalReason } from "./ObservedAttempt.js"
import type { Policy } from "./Policy.js"
import {
  checkBudget,
  checkFailure,
  checkHandshake,
  checkOrigin,
  refuse,
  rejectAttempt,
  uncheckable,
  type Refused
} from "./Refused.js"
import { Route, stopping, type RouteServer } from "./Route.js"
import type { Linked } from "./ServerConnection.js"
import { pathOf, type ServerRequest } from "./ServerRequest.js"
import { open, prepare, type AcceptedRequest, type Connector } from "./Upgrade.js"
import type { UpgradeAttempt } from "./UpgradeAttempt.js"

/** A request that was admitted to a route. */
export interface Admitted {
  readonly request: ServerRequest
  readonly route: Route
  readonly entry: Entry
}

/** Passes upgrade requests to the routes of a server, and keeps its open connections. */
export class Acceptor implements RouteServer, Drainable {
  readonly policy: Policy
  readonly timers: Timers
  readonly log: Log
  readonly connections: OpenConnections
  /** Takes the requests that no other route does. */
  readonly fallback: Route
  private readonly gate: Gate
  private readonly routes: Array<{ readonly route: Route; readonly matches: (path: string) => boolean }> = []
  private stopped = false
  draining: Draining | undefined = undefined

  constructor(policy: Policy, timers: Timers, log: Log) {
    this.policy = policy
    this.timers = timers
    this.log = log
    this.gate = new Gate(policy.gate, timers)
    this.connections = new OpenConnections(timers, policy, this.gate)
    const { origin, select } = policy
    this.fallback = new Route({ path: undefined, origin, select, check: undefined }, this)
  }

  get handshakeTimeout(): number {
    return this.policy.handshakeTimeout
  }

  get retryAfter(): string {
    return String(this.policy.gate.retryAfter)
  }

  add(route: Route): void {
    const matches = matcher(route.settings.path)
    this.routes.push({ route, matches })
    // From specific to general: exact paths, then prefixes from long to short, then everything.
    this.routes.sort((left, right) => rank(right.route) - rank(left.route))
    for (const handshaking of this.fallback.waiting) {
      if (matches(handshaking.request.path)) this.pass(handshaking, route)
    }
  }

  /** Passes a request that waits for a route to it. The request has a place already: only the route decides about it now. */
  private pass(handshaking: Handshaking, route: Route): void {
    const { attempt, request } = handshaking
    const { origin } = route.settings
    const refused = origin === this.fallback.settings.origin ? undefined : attempted(() => checkOrigin(request, origin))
    // The policy may have ended the request, the route or the server.
    if (!handshaking.isUnderWay || this.hasStopped(route)) return
    if (refused === undefined) return route.takeOver(handshaking)
    handshaking.end()
    if (refused instanceof Defect) this.checkFailed(attempt, refused)
    else this.refuse(attempt, refused)
  }

  remove(route: Route): void {
    route.stop()
    const index = this.routes.findIndex((entry) => entry.route === route)
    if (index >= 0) this.routes.splice(index, 1)
  }

  /** The route that takes a request. */
  private routeOf(path: string): Route | undefined {
    const found = this.routes.find(({ matches }) => matches(path))?.route
    if (found !== undefined) return found
    return this.routes.length === 0 || this.fallback.used ? this.fallback : undefined
  }

  /** Whether a request is for this server, if it shares its listener with others. */
  claims(url: string): boolean {
    const route = this.routeOf(pathOf(url))
    return route !== undefined && (route !== this.fallback || route.used)
  }

  /** An attempt whose end the observer of the server is told, if there is one. */
  observed(attempt: UpgradeAttempt): UpgradeAttempt {
    return observedAttempt(attempt, this.policy.observeHandshake)
  }

  /** How many connections a drain still waits for. */
  get drainingConnections(): number {
    let remaining = 0
    for (const route of new Set([...this.allRoutes, ...this.connections.routes])) {
      remaining += route.draining?.remaining ?? 0
    }
    return remaining
  }

  /** Passes a request to its route, or refuses it. */
  offer(offered: UpgradeAttempt): void {
    const attempt = this.observed(offered)
    const admitted = attempted(() => this.admit(attempt, undefined))
    if (admitted === undefined) return
    if (admitted instanceof Defect) return this.checkFailed(attempt, admitted)
    const { entry, request, route } = admitted
    // If this throws, it was the attempt.
    const received = attempted(() => route.receive(attempt, request, entry))
    if (received instanceof Defect) {
      entry.leave()
      this.checkFailed(attempt, received)
    }
  }

  private checkFailed(attempt: UpgradeAttempt, defect: Defect): void {
    this.log("error", checkFailure, defect, attempt)
    rejectAttempt(attempt, 500, {}, uncheckable, "error")
  }

  /** Performs everything that comes before the check of a request. Answers a request that it does not admit. */
  admit(attempt: UpgradeAttempt, only: Route | undefined): Admitted | undefined {
    if (attempt.isGone()) return undefined
    if (this.stopped) return this.turnAway(attempt, 503, stopping, "stopping", this.retryAfter)
    const request = checkHandshake(attempt, this.policy)
    if (request._tag === "RefusedRequest") return this.refuse(attempt, request)
    const route = only ?? this.routeOf(request.path)
    const refused = checkOrigin(request, route?.settings.origin ?? this.policy.origin) ?? checkBudget(this.policy)
    if (refused !== undefined) return this.refuse(attempt, refused)
    const entry = this.gate.enter(request)
    if (!(entry instanceof Entry)) {
      return this.turnAway(attempt, entry.status, entry.reason, entry.refusal, String(entry.retryAfter))
    }
    if (route === undefined) {
      entry.leave()
      return this.turnAway(attempt, 404, "There is no WebSocket at this path", "no_route")
    }
    const admitted = { request, route, entry }
    // The functions of the app that have just run may have stopped the server.
    return this.refuseLate(attempt, admitted) ? undefined : admitted
  }

  private refuse(attempt: UpgradeAttempt, refused: Refused): undefined {
    refuse(attempt, refused)
    this.log("warning", "Refused an upgrade request", refused.error.message, attempt)
  }

  /** As `refuse`, for reasons that a flood of requests can have. So they are logged at debug level. */
  private turnAway(
    attempt: UpgradeAttempt,
    status: number,
    reason: string,
    refusal: RefusalReason,
    retryAfter?: string
  ): undefined {
    rejectAttempt(attempt, status, retryAfter === undefined ? {} : { "Retry-After": retryAfter }, reason, refusal)
    this.log("debug", "Refused an upgrade request", reason, attempt)
  }

  /** Answers 503 to an admitted request if the server or its route has begun to stop. Returns whether one has. */
  refuseLate(attempt: UpgradeAttempt, { entry, route }: Pick<Admitted, "entry" | "route">): boolean {
    if (!this.hasStopped(route)) return false
    entry.leave()
    this.turnAway(attempt, 503, stopping, "stopping", this.retryAfter)
    return true
  }

  /**
   * Opens the connection of an admitted request. There is none if the client has gone, the server has begun to stop, or the answer
   * is not valid.
   */
  open<C extends Linked>(
    accepted: AcceptedRequest,
    entry: Entry,
    connector: Connector<C, ServerRequest>,
    route: Route
  ): C | undefined {
    const { attempt } = accepted
    const isGone = attempted(() => attempt.isGone())
    if (isGone === true) {
      entry.leave()
      return undefined
    }
    const prepared = isGone instanceof Defect ? isGone : prepare(accepted, this.policy.settings)
    if (!(prepared instanceof Defect) && this.refuseLate(attempt, { entry, route })) return undefined
    const connection = prepared instanceof Defect ? prepared : open(prepared, connector)
    if (connection instanceof ProtocolError || connection instanceof Defect) {
      entry.leave()
      const why = connection instanceof Defect ? connection : connection.message
      this.log("error", "Refused an upgrade request", why, attempt)
      return undefined
    }
    this.connections.track(connection.link, accepted.request, entry, accepted.accepted.value, route)
    connection.link.start(this.connections)
    // The 101 and the start are the app's, too. A drain that they began does not know this connection.
    if (route.draining !== undefined) connection.link.startClosing(goingAway)
    return connection
  }

  private hasStopped(route: Route): boolean {
    return this.stopped || route.stopped || route.draining !== undefined
  }

  private get allRoutes(): ReadonlyArray<Route> {
    return [this.fallback, ...this.routes.map(({ route }) => route)]
  }

  /** The drain of all routes and connections that is under way, or one that begins now. */
  drain(settings: DrainSettings, random: () => number): Draining {
    if (this.draining === undefined) {
      this.stopped = true
      // A connection may have outlived its route.
      const drained = new Set<Drainable>([...this.allRoutes, ...this.connections.routes])
      this.draining = new JointDrain(Array.from(drained, (route) => route.drain(settings, random)))
    }
    return this.draining
  }

  /** Admits no more requests. Open connections go on. */
  close(): void {
    this.stopped = true
    for (const route of this.allRoutes) route.close()
  }

  /** As `close`, and also ends every wait for a request. */
  stop(): void {
    this.stopped = true
    for (const route of this.allRoutes) route.stop()
  }
}

/** The order in which routes are asked, from high to low. */
const rank = ({ settings: { path } }: Route): number =>
  path === undefined ? -1 : path.endsWith("/*") ? path.length : Number.MAX_SAFE_INTEGER

/** Whether a path is that of a pattern, or begins as a pattern such as `/files/*`. */
const matcher = (pattern: string | undefined): ((path: string) => boolean) => {
  if (pattern === undefined) return () => true
  if (!pattern.endsWith("/*")) return (path) => path === pattern
  const prefix = pattern.slice(0, -1)
  return (path) => path.startsWith(prefix)
}
