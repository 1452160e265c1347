import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import type { Selector } from "@effect-websocket/protocol/Subprotocol"
import { attempted, Defect } from "../Defect.js"
import { notSet, type Alarm, type Timers } from "../time/Timers.js"
import { acceptAll, type Acceptance } from "./Check.js"
import type { Entry } from "./Gate.js"
import type { RefusalReason } from "./ObservedAttempt.js"
import { checkFailure, rejectAttempt } from "./Refused.js"
import type { ServerRequest } from "./ServerRequest.js"
import type { AcceptedRequest } from "./Upgrade.js"
import type { UpgradeAttempt } from "./UpgradeAttempt.js"

/** The route of a request that is under way. */
export interface HandshakingRoute {
  readonly timers: Timers
  readonly select: Selector
  /** In milliseconds. */
  readonly handshakeTimeout: number
  /** In seconds, as the header has it. */
  readonly retryAfter: string
  /** Called when the request is no longer under way. */
  forget(handshaking: Handshaking): void
  /** Called with an error that the code of the app has thrown. Answers the request. */
  checkFailed(handshaking: Handshaking, message: string, detail: unknown): void
}

/** A request on its way to an `accept`: while it is checked, and while it waits. One alarm covers both. */
export class Handshaking implements Alarm, AcceptedRequest {
  alarmTime = 0
  alarmIndex = notSet
  accepted: Acceptance = acceptAll
  /** Stops the check that is under way. */
  cancelCheck: (() => void) | undefined = undefined
  private hasEnded = false
  readonly attempt: UpgradeAttempt
  readonly request: ServerRequest
  readonly entry: Entry
  private route: HandshakingRoute

  constructor(attempt: UpgradeAttempt, request: ServerRequest, entry: Entry, route: HandshakingRoute) {
    this.attempt = attempt
    this.request = request
    this.entry = entry
    this.route = route
  }

  /** Whether it has neither an answer nor a connection. */
  get isUnderWay(): boolean {
    return !this.hasEnded
  }

  get select(): Selector {
    return this.route.select
  }

  /** It has to wait. Sets its deadline, and watches whether the client goes away, once. */
  wait(): void {
    const { handshakeTimeout, timers } = this.route
    if (this.alarmIndex !== notSet) return
    timers.set(this, timers.now + handshakeTimeout)
    const watched = attempted(() => this.attempt.onGone?.(() => this.end()))
    if (watched instanceof Defect) this.route.checkFailed(this, checkFailure, watched)
  }

  fire(): void {
    const headers = { "Retry-After": this.route.retryAfter }
    this.reject(503, headers, "No handler took the connection in time", "timeout")
  }

  /** Ends it without an answer. Returns whether it was still under way: then the caller answers. */
  end(): boolean {
    if (this.hasEnded) return false
    this.hasEnded = true
    this.route.timers.clear(this)
    this.route.forget(this)
    this.entry.leave()
    this.cancelCheck?.()
    return true
  }

  reject(status: number, headers: HeaderRecord, body: string, reason: RefusalReason): void {
    if (this.end()) rejectAttempt(this.attempt, status, headers, body, reason)
  }

  /** Another route takes it over, with its entry and its deadline. */
  moveTo(route: HandshakingRoute): void {
    this.route.forget(this)
    this.route = route
  }

  /** An `accept` takes it. Its entry stays with the connection. */
  take(): void {
    this.hasEnded = true
    this.route.timers.clear(this)
    this.route.forget(this)
  }
}
