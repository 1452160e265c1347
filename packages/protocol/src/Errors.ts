/**
 * Everything that can go wrong with a WebSocket, as tagged errors. The `_tag`s are contractual.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

/**
 * Which endpoint began something: this one (`"local"`) or the peer (`"remote"`).
 *
 * @since 0.1.0
 * @category models
 */
export type Endpoint = "local" | "remote"

/**
 * A header record as the handshake reads and writes it. A header that came more than once is an array, because a
 * duplicate must stay visible. Names are lower case where they come from a peer.
 *
 * @since 0.1.0
 * @category models
 */
export type HeaderRecord = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

/**
 * The connection is closing or has been closed.
 *
 * - `code`: the close code of RFC 6455 §7.4; 1005 when the peer's Close carried none, 1006 when no Close arrived.
 * - `reason`: the text of the Close, at most 123 bytes of UTF-8.
 * - `initiator`: who sent the first Close, or who dropped the connection.
 * - `clean`: both Close frames were exchanged (RFC 6455 §7.1.4). 1006 is never clean.
 *
 * @example
 * ```ts
 * import { ConnectionClosed } from "@effect-websocket/protocol/Errors"
 *
 * const error = new ConnectionClosed({ code: 1001, reason: "bye", initiator: "remote", clean: true })
 * console.log(error._tag) // "Connection_closed"
 * ```
 *
 * @since 0.1.0
 * @category errors
 */
export class ConnectionClosed extends Data.TaggedError("Connection_closed")<{
  readonly code: number
  readonly reason: string
  readonly initiator: Endpoint
  readonly clean: boolean
}> {
  /** @since 0.1.0 */
  override get message(): string {
    const reason = this.reason === "" ? "" : ` (${this.reason})`
    return `The connection was closed by the ${this.initiator} endpoint with code ${this.code}${reason}${this.clean ? "" : ", not clean"}`
  }
}

/**
 * RFC 6455 or RFC 7692 was broken: by the peer (`origin: "remote"`) or by what the app asked for (`origin: "local"`:
 * a URL, a header, a subprotocol, a close code, an illegal sequence of frames). Of a local one nothing was sent.
 *
 * - `description`: what was broken.
 * - `section`: the section that says so, for example `"RFC 6455 §5.1"`.
 * - `closeCode`: the code of the Close that was sent because of it, where one was.
 *
 * @since 0.1.0
 * @category errors
 */
export class ProtocolError extends Data.TaggedError("Protocol_error")<{
  readonly origin: Endpoint
  readonly description: string
  readonly section: string
  readonly closeCode: number | undefined
}> {
  /** @since 0.1.0 */
  override get message(): string {
    return `${this.description} (${this.section})`
  }
}

/**
 * A `ProtocolError` for what the app asked for, of which nothing was sent. `closeCode` is the code of the Close that the
 * error makes the connection send. Default: none.
 *
 * @example
 * ```ts
 * import * as Errors from "@effect-websocket/protocol/Errors"
 *
 * const error = Errors.localProtocolError("The header name is not a token", "RFC 9110 §5.1")
 * console.log(error.message) // "The header name is not a token (RFC 9110 §5.1)"
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const localProtocolError = (description: string, section: string, closeCode?: number): ProtocolError =>
  new ProtocolError({ origin: "local", description, section, closeCode })

/**
 * A `ProtocolError` for what the peer sent. `closeCode` is the code of the Close that answers it. Default: none, as during
 * the opening handshake, when no Close can be sent yet.
 *
 * @example
 * ```ts
 * import * as Errors from "@effect-websocket/protocol/Errors"
 *
 * const error = Errors.remoteProtocolError("A text message is not UTF-8", "RFC 6455 §8.1", 1007)
 * console.log(error.origin, error.closeCode) // "remote" 1007
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const remoteProtocolError = (description: string, section: string, closeCode?: number): ProtocolError =>
  new ProtocolError({ origin: "remote", description, section, closeCode })

/**
 * What a `PayloadTooLarge` measures. `"fragments"` counts frames, `"ratio"` is how many times a compressed message may grow;
 * all others are bytes. `"budget"` is what all connections of a process may hold together: this one held the most when it
 * was exhausted, and was closed with 1013.
 *
 * @since 0.1.0
 * @category models
 */
export type LimitName = "message" | "frame" | "fragments" | "closeReason" | "controlPayload" | "ratio" | "budget"

/**
 * Something is larger than a limit allows. An inbound one ends the connection with close code 1009 (of the limit
 * `"budget"`, 1013); an outbound one
 * refuses what the app asked for, sends nothing, and leaves the connection as it was. The message names the option that
 * has the limit.
 *
 * - `limit` and `max`: which limit, and its value; see `LimitName` for the unit.
 * - `size`: the size that was refused, where it is known exactly.
 *
 * @since 0.1.0
 * @category errors
 */
export class PayloadTooLarge extends Data.TaggedError("Payload_too_large")<{
  readonly limit: LimitName
  readonly max: number
  readonly size: number | undefined
  readonly direction: "inbound" | "outbound"
}> {
  /** @since 0.1.0 */
  override get message(): string {
    const max = grouped(this.max)
    const has = (what: string, unit: string) =>
      `${what} has ${this.size === undefined ? `more ${unit} than are allowed` : `${grouped(this.size)} ${unit}`}`
    switch (this.limit) {
      case "message":
        return `${has("The message", "bytes")}; \`${this.direction === "outbound" ? "maxSendBytes" : "maxMessageBytes"}\` allows ${max}`
      case "frame":
        if (this.direction === "outbound") return `${has("The frame", "bytes")}; \`maxSendBytes\` allows ${max}`
        // The delivery "frames" has both limits, and the smaller one counts.
        return `${has("The frame", "bytes")}; \`limits.maxFrameBytes\` or \`limits.maxMessageBytes\` allows ${max}`
      case "fragments":
        return `${has("The message", "frames")}; \`limits.maxFragments\` allows ${max}`
      case "ratio":
        return `The message inflates to more than \`compression.maxRatio\` allows: ${max} times its size`
      case "budget":
        return `The connections hold more than their \`budget\` allows: ${max} bytes; this one held the most`
      case "closeReason":
        return `${has("The close reason", "bytes")}; a Close allows ${max}`
      case "controlPayload":
        return `${has("The payload", "bytes")}; a control frame allows ${max}`
    }
  }
}

const grouped = (value: number): string => value.toLocaleString("en-US")

/**
 * Why input or output failed.
 *
 * - `"Resolve"`: the host name has no address.
 * - `"Connect"`: no connection could be made.
 * - `"CertificateExpired"`: the peer's certificate has expired, or is not valid yet.
 * - `"CertificateSelfSigned"`: the peer's certificate is signed by itself, and is not trusted.
 * - `"CertificateNameMismatch"`: the peer's certificate is for other names.
 * - `"CertificateUnknownAuthority"`: nobody who is trusted has signed the peer's certificate.
 * - `"Tls"`: the TLS handshake failed for any other reason.
 * - `"Proxy"`: the proxy refused, or did not speak its protocol.
 * - `"Listen"`: the server could not bind its address.
 * - `"Reset"`: the connection broke.
 * - `"Timeout"`: a deadline passed.
 * - `"HeadersTooLarge"`: the peer's HTTP header exceeds what the parser accepts.
 * - `"InvalidResponse"`: what the peer sent is not HTTP.
 * - `"Budget"`: the byte budget is exhausted, so there is no new connection.
 *
 * @since 0.1.0
 * @category models
 */
export type IoErrorReason =
  | "Resolve"
  | "Connect"
  | "CertificateExpired"
  | "CertificateSelfSigned"
  | "CertificateNameMismatch"
  | "CertificateUnknownAuthority"
  | "Tls"
  | "Proxy"
  | "Listen"
  | "Reset"
  | "Timeout"
  | "HeadersTooLarge"
  | "InvalidResponse"
  | "Budget"

/**
 * Input or output failed: DNS, connect, TLS, read, write, or a deadline passed.
 *
 * - `operation`: what was under way, for example `"connect"`, `"handshake"`, `"read"`; of a `Timeout` also which deadline
 *   passed: `"open"`, `"heartbeat"`, `"message"`, `"write"`.
 * - `cause`: the error of the runtime, if there is one. The message has its text, or its code; of an `AggregateError` those
 *   of each address that was tried.
 *
 * @since 0.1.0
 * @category errors
 */
export class IoError extends Data.TaggedError("Io_error")<{
  readonly reason: IoErrorReason
  readonly operation: string
  readonly cause?: unknown
}> {
  /** @since 0.1.0 */
  override get message(): string {
    const operation = this.reason.toLowerCase() === this.operation ? "" : ` during ${this.operation}`
    return `${this.reason}${operation}: ${describe(this.cause) || explanations[this.reason]}`
  }
}

// For an error without a cause, or with one that says nothing.
const explanations: Readonly<Record<IoErrorReason, string>> = {
  Resolve: "the host name has no address",
  Connect: "no connection could be made",
  CertificateExpired: "the peer's certificate has expired, or is not valid yet",
  CertificateSelfSigned: "the peer's certificate is signed by itself",
  CertificateNameMismatch: "the peer's certificate is for other names",
  CertificateUnknownAuthority: "nobody who is trusted has signed the peer's certificate",
  Tls: "the TLS handshake failed",
  Proxy: "the proxy refused, or did not speak its protocol",
  Listen: "the server could not bind its address",
  Reset: "the connection broke",
  Timeout: "the deadline passed",
  HeadersTooLarge: "the HTTP header of the peer is too large",
  InvalidResponse: "the peer does not speak HTTP",
  Budget: "the byte budget is exhausted"
}

// An `AggregateError` has one for each address of a host.
const maxListed = 8

/** What a cause says; empty if it says nothing. */
const describe = (cause: unknown, depth = 0): string => {
  if (typeof cause === "string") return cause
  if (typeof cause !== "object" || cause === null) return ""
  // What OpenSSL writes has an address and a file of its own around the reason, which Node has apart.
  const reason = "library" in cause && "reason" in cause ? cause.reason : undefined
  const message = "message" in cause && typeof cause.message === "string" ? cause.message : ""
  const text = typeof reason === "string" ? reason : message
  const code = "code" in cause && typeof cause.code === "string" ? cause.code : ""
  const own = text === "" ? code : text
  if (depth > 2) return own
  if ("errors" in cause && Array.isArray(cause.errors) && cause.errors.length > 0) {
    const listed = cause.errors.slice(0, maxListed).map((each) => describe(each, depth + 1))
    const more = cause.errors.length > maxListed ? [`${cause.errors.length - maxListed} more`] : []
    const each = [...listed.filter((text) => text !== ""), ...more].join("; ")
    return text === "" || each === "" ? each || own : `${text}: ${each}`
  }
  return own === "" && "cause" in cause ? describe(cause.cause, depth + 1) : own
}

/**
 * What a server means by its answer, for the statuses that a client may want to tell apart: 401, 403, 404, 426, 429, 503, and
 * 301, 302, 303, 307 and 308 (`"Redirect"`).
 *
 * @since 0.1.0
 * @category models
 */
export type RejectionReason =
  | "Redirect"
  | "Unauthorized"
  | "Forbidden"
  | "NotFound"
  | "UpgradeRequired"
  | "TooManyRequests"
  | "ServiceUnavailable"
  | "Other"

const rejectionReason = (status: number): RejectionReason => {
  switch (status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
      return "Redirect"
    case 401:
      return "Unauthorized"
    case 403:
      return "Forbidden"
    case 404:
      return "NotFound"
    case 426:
      return "UpgradeRequired"
    case 429:
      return "TooManyRequests"
    case 503:
      return "ServiceUnavailable"
    default:
      return "Other"
  }
}

/**
 * The server answered the opening handshake with something other than 101 (RFC 6455 §4.1).
 *
 * - `status`: the HTTP status code; `reason` is what it means.
 * - `headers`: the headers of the answer, names in lower case.
 * - `body`: the first bytes of its body; `bodyTruncated` tells whether there was more. `text` is the same as UTF-8.
 *   The message has the first line of a body that is not HTML: at most 200 printable characters.
 *
 * @since 0.1.0
 * @category errors
 */
export class HandshakeRejected extends Data.TaggedError("Handshake_rejected")<{
  readonly status: number
  readonly headers: HeaderRecord
  readonly body: Uint8Array
  readonly bodyTruncated: boolean
}> {
  /** @since 0.1.0 */
  get reason(): RejectionReason {
    return rejectionReason(this.status)
  }

  /** The body as UTF-8, with U+FFFD in place of invalid bytes. @since 0.1.0 */
  get text(): string {
    return new TextDecoder().decode(this.body)
  }

  /** @since 0.1.0 */
  override get message(): string {
    const line = firstLine(this.body, this.headers["content-type"])
    return `The server answered the opening handshake with status ${this.status}${line === "" ? "" : `: ${line}`}`
  }
}

const maxLineBytes = 1024
const maxLineLength = 200

/** The first line of a body that is meant for people, without what cannot be printed. */
const firstLine = (body: Uint8Array, contentType: string | ReadonlyArray<string> | undefined = ""): string => {
  if (String(contentType).toLowerCase().includes("html")) return ""
  // As the beginning of a longer text: a character that is cut off at the end is left out.
  const text = new TextDecoder().decode(body.subarray(0, maxLineBytes), { stream: true }).trimStart()
  const line = text
    .split(/[\r\n\u2028\u2029]/, 1)[0]!
    .replaceAll("\t", " ")
    .replaceAll(/\p{C}/gu, "")
    .trim()
  const units = [...line]
  return units.length > maxLineLength ? `${units.slice(0, maxLineLength).join("")}…` : line
}

/**
 * Every error that an established connection can fail with.
 *
 * @since 0.1.0
 * @category errors
 */
export type ConnectionError = ConnectionClosed | ProtocolError | PayloadTooLarge | IoError

/**
 * Every error of this library.
 *
 * @since 0.1.0
 * @category errors
 */
export type WebSocketError = ConnectionError | HandshakeRejected

const hasTag = (u: unknown, tag: WebSocketError["_tag"]): boolean =>
  typeof u === "object" && u !== null && "_tag" in u && u._tag === tag

/**
 * Whether a value is a `ConnectionClosed`.
 *
 * @since 0.1.0
 * @category guards
 */
export const isConnectionClosed = (u: unknown): u is ConnectionClosed => hasTag(u, "Connection_closed")

/**
 * Whether a value is a `ProtocolError`.
 *
 * @since 0.1.0
 * @category guards
 */
export const isProtocolError = (u: unknown): u is ProtocolError => hasTag(u, "Protocol_error")

/**
 * Whether a value is a `PayloadTooLarge`.
 *
 * @since 0.1.0
 * @category guards
 */
export const isPayloadTooLarge = (u: unknown): u is PayloadTooLarge => hasTag(u, "Payload_too_large")

/**
 * Whether a value is an `IoError`.
 *
 * @since 0.1.0
 * @category guards
 */
export const isIoError = (u: unknown): u is IoError => hasTag(u, "Io_error")

/**
 * Whether a value is a `HandshakeRejected`.
 *
 * @since 0.1.0
 * @category guards
 */
export const isHandshakeRejected = (u: unknown): u is HandshakeRejected => hasTag(u, "Handshake_rejected")

/**
 * Whether a value is an error of this library.
 *
 * @since 0.1.0
 * @category guards
 */
export const isWebSocketError = (u: unknown): u is WebSocketError =>
  isConnectionClosed(u) || isProtocolError(u) || isPayloadTooLarge(u) || isIoError(u) || isHandshakeRejected(u)

/**
 * The code with which a connection is failed because of an error, or was closed: that of a `ConnectionClosed`, of a broken rule
 * (1002 or 1007), of an inbound limit (1009, or 1013 for a byte budget), and of a deadline that passed (1008 for `"message"`,
 * 1011 for `"heartbeat"`). `undefined` if no Close can follow: what the app asked for was refused and the connection goes on,
 * the transport is gone, or there is no connection yet.
 *
 * @example
 * ```ts
 * import * as Errors from "@effect-websocket/protocol/Errors"
 * import { frames } from "@effect-websocket/protocol/FrameDecoder"
 *
 * const { violation } = frames({ role: "client" })(new Uint8Array([0xc1, 0x00]))
 * if (violation !== undefined) console.log(Errors.closeCodeOf(violation)) // 1002
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const closeCodeOf = (error: WebSocketError): number | undefined => {
  switch (error._tag) {
    case "Connection_closed":
      return error.code
    case "Protocol_error":
      return error.closeCode
    case "Payload_too_large":
      return error.direction === "outbound" ? undefined : error.limit === "budget" ? 1013 : 1009
    case "Io_error":
      return error.reason === "Timeout" ? deadlineCodes.get(error.operation) : undefined
    case "Handshake_rejected":
      return undefined
  }
}

const deadlineCodes: ReadonlyMap<string, number> = new Map([
  ["message", 1008],
  ["heartbeat", 1011]
])

/**
 * A value that is known to be none of the errors of this library; an error is thrown. For what can fail, but not with what it
 * was given.
 *
 * @example
 * ```ts
 * import * as Errors from "@effect-websocket/protocol/Errors"
 * import * as Handshake from "@effect-websocket/protocol/Handshake"
 *
 * const headers = Errors.getOrThrow(Handshake.requestHeaders({ key: Handshake.generateKey(globalThis.crypto) }))
 * console.log(headers["Upgrade"]) // "websocket"
 * ```
 *
 * @since 0.1.0
 * @category getters
 */
export const getOrThrow = <A>(value: A): Exclude<A, WebSocketError> => {
  if (isWebSocketError(value)) throw value
  return value as Exclude<A, WebSocketError>
}
