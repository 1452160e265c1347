import type { ProtocolError } from "@effect-websocket/protocol/Errors"
import { remoteProtocolError, IoError, type HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as ExtendedConnect from "@effect-websocket/protocol/ExtendedConnect"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import * as HeaderField from "@effect-websocket/protocol/HeaderField"
import type * as Origin from "@effect-websocket/protocol/Origin"
import type { Settings } from "../Settings.js"
import { clientAddress, type ProxySettings } from "./forwarded.js"
import { endsWith, type RefusalReason } from "./ObservedAttempt.js"
import type { CheckedRequest, ServerRequest } from "./ServerRequest.js"
import type { UpgradeAttempt } from "./UpgradeAttempt.js"

/** A refused request: the answer, and the reason. */
export interface Refused {
  readonly _tag: "RefusedRequest"
  readonly status: number
  readonly headers: HeaderRecord
  readonly error: ProtocolError | IoError
}

/** Makes what a check of the app sees of a request. */
export type MakeRequest = (
  request: CheckedRequest,
  remoteAddress: string | undefined,
  /** The address of the client if trusted proxies decide about it. */
  forwarded: string | undefined
) => ServerRequest

/** What the checks of a request need. */
export interface Terms {
  readonly settings: Settings
  readonly proxies: ProxySettings | undefined
  readonly makeRequest: MakeRequest
}

const tooManyHeaders: Refused = {
  _tag: "RefusedRequest",
  status: 431,
  headers: {},
  error: remoteProtocolError("The request has too many headers", "RFC 6585 §5")
}

/** Checks the handshake of a request. Returns the request, or why it is refused. */
export const checkHandshake = (
  { isCut, remoteAddress, request }: UpgradeAttempt,
  { makeRequest, proxies }: Terms
): ServerRequest | Refused => {
  if (isCut === true) return tooManyHeaders
  const checked = request.httpVersion.startsWith("2")
    ? ExtendedConnect.checkRequest(request.headers)
    : Handshake.checkRequest(request)
  if (checked._tag === "RefusedRequest") return checked
  return makeRequest(checked, remoteAddress, proxies && clientAddress(remoteAddress, checked.headers, proxies))
}

/** Whether a request comes from an allowed origin. */
export const checkOrigin = (request: ServerRequest, origin: Origin.Policy): Refused | undefined => {
  const refusal = origin(request)
  if (refusal === undefined) return undefined
  const error = remoteProtocolError(refusal, "RFC 6455 §10.2")
  return { _tag: "RefusedRequest", status: 403, headers: {}, error }
}

/** Whether the server has bytes left for another connection. */
export const checkBudget = ({ settings }: Terms): Refused | undefined => {
  if (settings.budget?.isExhausted !== true) return undefined
  const error = new IoError({ reason: "Budget", operation: "accept" })
  return { _tag: "RefusedRequest", status: 503, headers: {}, error }
}

/**
 * Answers a request that gets no connection. Ignores an error that the attempt throws, because this may run in a
 * callback of a timer, where the error would end the process.
 */
export const rejectAttempt = (
  attempt: UpgradeAttempt,
  status: number,
  headers: HeaderRecord,
  body: string,
  reason: RefusalReason
): void => {
  endsWith(attempt, reason, status)
  try {
    attempt.reject(status, headers, body)
  } catch {
    // The request has ended in any case.
  }
}

/** Answers a refused request. */
export const refuse = (attempt: UpgradeAttempt, refused: Refused): void =>
  rejectAttempt(attempt, refused.status, refused.headers, bodyOf(refused), reasonOf(refused))

const reasonOf = ({ error, status }: Refused): RefusalReason =>
  error._tag === "Io_error" ? "budget" : status === 403 ? "origin" : "handshake"

/** The body of the answer to a refused request. */
export const bodyOf = ({ error, status }: Refused): string => {
  if (error._tag === "Io_error") return "The server holds all the bytes that it may"
  return status === 403 ? error.description : error.message
}

/** Why the answer of a check cannot be written as an HTTP response. */
export const invalidAnswer = (status: number, headers: HeaderRecord): string | undefined => {
  if (!Number.isInteger(status) || status < 300 || status > 599) return `The status is ${status}`
  for (const name of Object.keys(headers)) {
    if (!HeaderField.isToken(name)) return `The header name ${JSON.stringify(name)} is not a token`
    if (reserved.has(name.toLowerCase())) return `The header ${name} is the server's to set`
    if (!HeaderField.values(headers, name).every(HeaderField.isValue)) return `The header ${name} has an invalid value`
  }
  return undefined
}

const reserved = new Set(["connection", "content-length", "transfer-encoding", "upgrade"])

/** What the log says if a function of the app throws that decides about a request. */
export const checkFailure = "The check of an upgrade request failed"

/** The answer to that request. */
export const uncheckable = "The server could not check the request"
