import type * as Origin from "@effect-websocket/protocol/Origin"
import type { Selector } from "@effect-websocket/protocol/Subprotocol"
import { nothingToUndo } from "../connection/Closables.js"
import { attempted, Defect } from "../Defect.js"
import type { Timers } from "../time/Timers.js"
import { Waiters } from "../Waiters.js"
import type { Check, Outcome } from "./Check.js"
import { Drain, type Drainable, type Draining, type DrainedHandlers, type DrainSettings } from "./Drain.js"
import type { Entry } from "./Gate.js"
import { Handshaking, type HandshakingRoute } from "./Handshaking.js"
import type { Log } from "./Log.js"
import type { OpenConnections } from "./OpenConnections.js"
import { checkFailure, invalidAnswer, uncheckable } from "./Refused.js"
import type { Linked } from "./ServerConnection.js"
import type { ServerRequest } from "./ServerRequest.js"
import type { AcceptedRequest, Connector } from "./Upgrade.js"
import type { UpgradeAttempt } from "./UpgradeAttempt.js"

/** Which requests a route takes, and how it answers them. */
export interface RouteSettings {
  /** Without a path, the route takes every request that no other route takes. */
  readonly path: string | undefined
  readonly origin: Origin.Policy
  readonly select: Selector
  readonly check: Check | undefined
}

/** The server of a route. */
export interface RouteServer {
  readonly timers: Timers
  readonly log: Log
  readonly connections: OpenConnections
  /** In milliseconds. */
  readonly handshakeTimeout: number
  /** In seconds, as the header has it. */
  readonly retryAfter: string
  /** Opens the connection of a request. It may find that there can be none. */
  open<C extends Linked>(
    accepted: AcceptedRequest,
    entry: Entry,
    connector: Connector<C, ServerRequest>,
    route: Route
  ): C | undefined
}

/** The requests for a path: those that are being checked, and those that wait for an `accept`. */
export class Route implements HandshakingRoute, Drainable {
  readonly settings: RouteSettings
  /** The handlers that run for its connections. */
  readonly handlers = new Set<DrainedHandlers>()
  draining: Draining | undefined = undefined
  /** Whether anybody has ever asked for a connection of it. */
  used = false
  stopped = false
  private readonly server: RouteServer
  // Each request is in one of these as long as it is under way.
  private readonly checking = new Set<Handshaking>()
  private readonly ready = new Set<Handshaking>()
  private readonly takers = new Waiters()
  private readonly stopWaiters = new Waiters()

  constructor(settings: RouteSettings, server: RouteServer) {
    this.settings = settings
    this.server = server
  }

  get timers(): Timers {
    return this.server.timers
  }

  get select(): Selector {
    return this.settings.select
  }

  get handshakeTimeout(): number {
    return this.server.handshakeTimeout
  }

  get retryAfter(): string {
    return this.server.retryAfter
  }

  receive(attempt: UpgradeAttempt, request: ServerRequest, entry: Entry): void {
    this.begin(new Handshaking(attempt, request, entry, this))
  }

  /** Takes over a request that waits for a connection of another route. */
  takeOver(handshaking: Handshaking): void {
    handshaking.moveTo(this)
    this.begin(handshaking)
  }

  private begin(handshaking: Handshaking): void {
    const { check } = this.settings
    if (check === undefined) {
      this.makeReady(handshaking)
      return
    }
    this.checking.add(handshaking)
    handshaking.wait()
    if (!handshaking.isUnderWay) return
    let isDone = false
    const cancel = attempted(() =>
      check(handshaking.request, (outcome) => {
        isDone = true
        this.checked(handshaking, outcome)
      })
    )
    if (cancel instanceof Defect) this.checkFailed(handshaking, checkFailure, cancel)
    else if (this.checking.has(handshaking)) handshaking.cancelCheck = cancel
    // The request may have ended in the call: the check is code of the app, which may have stopped the server.
    else if (!isDone) cancel()
  }

  private checked(handshaking: Handshaking, outcome: Outcome): void {
    handshaking.cancelCheck = undefined
    if (!this.checking.has(handshaking)) return
    if (outcome._tag === "Acceptance") {
      this.checking.delete(handshaking)
      handshaking.accepted = outcome
      this.makeReady(handshaking)
    } else if (outcome._tag === "Rejection") {
      const { body, headers, status } = outcome
      const invalid = invalidAnswer(status, headers)
      if (invalid === undefined) handshaking.reject(status, headers, body, "check")
      else this.checkFailed(handshaking, "A check rejected with an invalid HTTP response", invalid)
    } else {
      this.checkFailed(handshaking, outcome.message, outcome.detail)
    }
  }

  checkFailed(handshaking: Handshaking, message: string, detail: unknown): void {
    handshaking.reject(500, {}, uncheckable, "error")
    this.server.log("error", message, detail, handshaking.attempt)
  }

  private makeReady(handshaking: Handshaking): void {
    this.ready.add(handshaking)
    this.wakeTaker()
  }

  /** Wakes one of those that wait for a request. If nobody waits, the requests have a deadline from now on. */
  private wakeTaker(): void {
    if (this.takers.wakeOne()) return
    for (const handshaking of this.ready) handshaking.wait()
  }

  forget(handshaking: Handshaking): void {
    this.checking.delete(handshaking)
    this.ready.delete(handshaking)
  }

  /** The requests that wait for an `accept`. */
  get waiting(): Iterable<Handshaking> {
    return this.ready
  }

  /** Opens the connection of the first request that is ready and whose client is still there, and answers it with 101. */
  take<C extends Linked>(connector: Connector<C, ServerRequest>): C | undefined {
    this.used = true
    for (const handshaking of this.ready) {
      handshaking.take()
      const connection = this.server.open(handshaking, handshaking.entry, connector, this)
      if (connection !== undefined) return connection
    }
    return undefined
  }

  /** Whether `take` may find something, or the route has stopped. */
  get isReady(): boolean {
    return this.stopped || this.ready.size > 0
  }

  /**
   * Calls back once `take` may find something, or the route has stopped. A caller that then takes nothing must call the
   * returned function, so that the request goes to another one.
   */
  whenReady(wake: () => void): () => void {
    let remove = nothingToUndo
    if (this.isReady) wake()
    else remove = this.takers.add(wake)
    return () => {
      remove()
      if (this.ready.size > 0) this.wakeTaker()
    }
  }

  /** Admits no more requests. Those that are under way get 503. */
  close(): void {
    const headers = { "Retry-After": this.retryAfter }
    for (const handshaking of [...this.checking, ...this.ready]) handshaking.reject(503, headers, stopping, "stopping")
  }

  /** As `close`, and also ends every wait for a request. */
  stop(): void {
    this.stopped = true
    this.close()
    this.takers.wakeAll()
    this.stopWaiters.wakeAll()
  }

  /** Calls back once the route has stopped, at once if it has. Returns what undoes this. */
  whenStopped(done: () => void): () => void {
    if (!this.stopped) return this.stopWaiters.add(done)
    done()
    return nothingToUndo
  }

  drain(settings: DrainSettings, random: () => number): Draining {
    if (this.draining === undefined) {
      const { connections, timers } = this.server
      const drain = new Drain(connections.of(this), this.handlers, settings, timers, random)
      this.draining = drain
      drain.begin()
      this.close()
    }
    return this.draining
  }
}

/** The text of the answer to requests that come too late. */
export const stopping = "The server is stopping"
