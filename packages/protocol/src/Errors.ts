/**
 * The errors of this library, as tagged errors. The `_tag`s are part of the public API and do not change.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

/**
 * One of the two endpoints: this one (`"local"`) or the peer (`"remote"`).
 *
 * @since 0.1.0
 * @category models
 */
export type Endpoint = "local" | "remote"

/**
 * HTTP headers as a record. A header that came more than once is an array, so that duplicates stay visible. Names
 * from a peer are in lower case.
 *
 * @since 0.1.0
 * @category models
 */
export type HeaderRecord = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

// Not part of ECMAScript; engines without it ignore it.
const stackTraceLimit = "stackTraceLimit"

/**
 * The connection is closing or has been closed.
 *
 * - `code`: the close code of RFC 6455 §7.4; 1005 when the peer's Close carried none, 1006 when no Close arrived.
 * - `reason`: the text of the Close, at most 123 bytes of UTF-8.
 * - `initiator`: who sent the first Close, or who dropped the connection.
 * - `clean`: both Close frames were exchanged (RFC 6455 §7.1.4). 1006 is never clean.
 *
 * Its `stack` has no frames: they would show only this library, and every connection ends with this error.
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
  constructor(closing: Pick<ConnectionClosed, "code" | "reason" | "initiator" | "clean">) {
    // Recording the frames takes ten times as long as all the rest.
    const limit: unknown = Reflect.get(Error, stackTraceLimit)
    Reflect.set(Error, stackTraceLimit, 0)
    super(closing)
    Reflect.set(Error, stackTraceLimit, limit)
  }

  /** @since 0.1.0 */
  override get message(): string {
    const reason = this.reason === "" ? "" : ` (${this.reason})`
    return `The connection was closed by the ${this.initiator} endpoint with code ${this.code}${reason}${this.clean ? "" : ", not clean"}`
  }
}

/**
 * The peer broke RFC 6455 or RFC 7692 (`origin: "remote"`), or the app asked for something that breaks it (`origin:
 * "local"`): a URL, a header, a subprotocol, a close code, or an illegal sequence of frames. If the origin is local,
 * nothing was sent.
 *
 * - `description`: which rule was broken, and how.
 * - `section`: the section that has the rule, for example `"RFC 6455 §5.1"`.
 * - `closeCode`: the code of the Close that this endpoint sent because of it, if it sent one.
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
 * Makes a `ProtocolError` for something that the app asked for. `closeCode` is the code of the Close that the
 * connection sends because of it. Default: none.
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
 * Makes a `ProtocolError` for something that the peer sent. `closeCode` is the code of the Close that answers it.
 * Default: none, as during the opening handshake, when no Close can be sent yet.
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
 * The limit that a `PayloadTooLarge` is about. `"fragments"` counts frames, `"ratio"` is how many times a compressed
 * message may grow, and all others are in bytes. `"budget"` is what all connections of a byte budget may hold
 * together: when it was exhausted, this connection held the most and was closed with 1013. `"unread"` is what may wait to
 * be read on a platform that cannot be told to stop reading.
 *
 * @since 0.1.0
 * @category models
 */
export type LimitName =
  "message" | "frame" | "fragments" | "closeReason" | "controlPayload" | "ratio" | "budget" | "unread"

/**
 * A message, a frame or another payload is larger than a limit allows. If `direction` is `"inbound"`, the connection
 * ends with close code 1009 (1013 for the limit `"budget"`). If it is `"outbound"`, nothing was sent and the
 * connection stays open. The error message names the option that sets the limit.
 *
 * - `limit` and `max`: the limit and its value; `LimitName` has the unit.
 * - `size`: the size that was refused, if it is known exactly.
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
        return `${has("The message", "bytes")}; \`${this.direction === "outbound" ? "maxSendBytes" : "limits.maxMessageBytes"}\` allows ${max}`
      case "frame":
        if (this.direction === "outbound") return `${has("The frame", "bytes")}; \`maxSendBytes\` allows ${max}`
        // Both limits apply to the delivery "frames"; the smaller one counts.
        return `${has("The frame", "bytes")}; \`limits.maxFrameBytes\` or \`limits.maxMessageBytes\` allows ${max}`
      case "fragments":
        return `${has("The message", "frames")}; \`limits.maxFragments\` allows ${max}`
      case "ratio":
        return `The message inflates to more than \`compression.maxRatio\` allows: ${max} times its size`
      case "budget":
        return `The connections hold more than their \`budget\` allows: ${max} bytes; this one held the most`
      case "unread":
        return `More messages wait to be read than \`maxUnreadBytes\` allows: ${max} bytes`
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
 * - `"CertificateUnknownAuthority"`: no trusted authority has signed the peer's certificate.
 * - `"Tls"`: the TLS handshake failed for any other reason.
 * - `"Proxy"`: the proxy refused, or did not speak its protocol.
 * - `"Listen"`: the server could not bind its address.
 * - `"Reset"`: the connection broke.
 * - `"Timeout"`: a deadline passed.
 * - `"HeadersTooLarge"`: the peer's HTTP header exceeds what the parser accepts.
 * - `"InvalidResponse"`: the peer sent something that is not HTTP.
 * - `"Budget"`: the byte budget is exhausted, so no new connection is made or accepted.
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
 * Input or output failed, or a deadline passed: DNS, connect, TLS, read or write.
 *
 * - `operation`: the operation that failed, for example `"connect"`, `"handshake"` or `"read"`. For a `Timeout` it
 *   can also be the deadline that passed: `"open"`, `"heartbeat"`, `"message"` or `"write"`.
 * - `cause`: the error of the runtime, if there is one. The message has its text or its code. For an `AggregateError`
 *   it has those of each address that was tried.
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

// For an error whose cause is missing or has no text.
const explanations: Readonly<Record<IoErrorReason, string>> = {
  Resolve: "the host name has no address",
  Connect: "no connection could be made",
  CertificateExpired: "the peer's certificate has expired, or is not valid yet",
  CertificateSelfSigned: "the peer's certificate is signed by itself",
  CertificateNameMismatch: "the peer's certificate is for other names",
  CertificateUnknownAuthority: "no trusted authority has signed the peer's certificate",
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

/** The text of a cause; empty if it has none. */
const describe = (cause: unknown, depth = 0): string => {
  if (typeof cause === "string") return cause
  if (typeof cause !== "object" || cause === null) return ""
  // OpenSSL's message has an address and a file name around the reason, which Node gives separately.
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
 * The meaning of a server's HTTP status, for the statuses that a client may want to tell apart: 401, 403, 404, 426,
 * 429, 503, and 301, 302, 303, 307 and 308 (`"Redirect"`).
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
 * - `body`: the first bytes of the body of the answer; `bodyTruncated` tells whether there were more. `text` is the
 *   body decoded as UTF-8. The error message has the first line of a body that is not HTML, up to 200 printable
 *   characters.
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

/** The first line of a body that is not HTML, without characters that cannot be printed. */
const firstLine = (body: Uint8Array, contentType: string | ReadonlyArray<string> | undefined = ""): string => {
  if (String(contentType).toLowerCase().includes("html")) return ""
  // Decoded as the start of a longer text, so that a character cut off at the end is left out.
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
 * The close code that belongs to an error. For a `ConnectionClosed` it is the code of the Close. For the others it is
 * the code that the connection sends because of the error: 1002 or 1007 for a broken rule, 1009 for an inbound limit,
 * 1013 for a byte budget, 1008 for the deadline `"message"`, and 1011 for `"heartbeat"`. It is `undefined` if no
 * Close follows: a call was refused and the connection stays open, the transport is gone, or there is no connection
 * yet.
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
 * Returns a value that is not an error of this library, and throws one that is. Use it for a call that can fail in
 * general, but not with these arguments.
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
