import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import type { HttpRequest } from "@effect-websocket/protocol/Handshake"
import type { Transport } from "../../Transport.js"
import { attempted, Defect } from "../Defect.js"
import type { UpgradeAttempt } from "./UpgradeAttempt.js"

/**
 * Why a server refused a request to upgrade:
 *
 * - `"handshake"`, `"origin"`: the request breaks the handshake, or its origin is not allowed.
 * - `"budget"`, `"max_connections"`, `"max_handshakes"`, `"max_connections_per_key"`, `"rate"`: a limit was reached.
 * - `"no_route"`, `"check"`: no route takes its path, or the check of the route rejected it.
 * - `"timeout"`: nobody accepted it in time.
 * - `"stopping"`: the server stops or drains.
 * - `"replaced"`: middleware of an HTTP server replaced the 101.
 * - `"gone"`: the client left before there was an answer.
 * - `"error"`: code of the app failed.
 */
export type RefusalReason =
  | "handshake"
  | "origin"
  | "budget"
  | "max_connections"
  | "max_handshakes"
  | "max_connections_per_key"
  | "rate"
  | "no_route"
  | "check"
  | "timeout"
  | "stopping"
  | "replaced"
  | "gone"
  | "error"

/** Is told, once, how the handshake of one request ends. None of its methods throws. */
export interface HandshakeObserver {
  accepted(transport: Transport): void
  /** There is no `status` if the request got no answer. */
  refused(reason: RefusalReason, status: number | undefined): void
}

/** Is told about each request to upgrade. */
export type ObserveHandshake = (attempt: UpgradeAttempt) => HandshakeObserver

/** Tells the observer of an attempt, if it has one, why it ends without a connection. */
export const endsWith = (attempt: UpgradeAttempt, reason: RefusalReason, status?: number): void => {
  if (attempt instanceof ObservedAttempt) attempt.endsWith(reason, status)
}

/** An attempt that tells an observer how it ends. */
export class ObservedAttempt implements UpgradeAttempt {
  readonly request: HttpRequest
  readonly remoteAddress: string | undefined
  readonly isCut: boolean | undefined
  readonly onGone: UpgradeAttempt["onGone"]
  private readonly attempt: UpgradeAttempt
  private observer: HandshakeObserver | undefined

  constructor(attempt: UpgradeAttempt, observer: HandshakeObserver) {
    this.attempt = attempt
    this.observer = observer
    this.request = attempt.request
    this.remoteAddress = attempt.remoteAddress
    this.isCut = attempt.isCut
    this.onGone =
      attempt.onGone &&
      ((listener) =>
        attempt.onGone?.(() => {
          this.endsWith("gone")
          listener()
        }))
  }

  readonly isGone = (): boolean => {
    const isGone = attempted(() => this.attempt.isGone())
    if (isGone instanceof Defect) {
      this.endsWith("error")
      throw isGone.cause
    }
    if (isGone) this.endsWith("gone")
    return isGone
  }

  readonly upgrade = (headers: HeaderRecord): Transport => {
    const transport = attempted(() => this.attempt.upgrade(headers))
    if (transport instanceof Defect) {
      this.endsWith("error")
      throw transport.cause
    }
    this.observer?.accepted(transport)
    this.observer = undefined
    return transport
  }

  readonly reject = (status: number, headers: HeaderRecord, body: string): void => {
    this.endsWith("error", status)
    this.attempt.reject(status, headers, body)
  }

  /** Tells why it ends without a connection, before or instead of `reject`. Only the first reason counts. */
  endsWith(reason: RefusalReason, status?: number): void {
    this.observer?.refused(reason, status)
    this.observer = undefined
  }
}

/** An attempt whose end an observer is told, if there is one. */
export const observedAttempt = (attempt: UpgradeAttempt, observe: ObserveHandshake | undefined): UpgradeAttempt =>
  observe === undefined ? attempt : new ObservedAttempt(attempt, observe(attempt))
