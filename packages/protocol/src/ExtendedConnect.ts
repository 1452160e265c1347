/**
 * The opening handshake over HTTP/2 (RFC 8441): a `CONNECT` with the pseudo-header `:protocol` opens a stream, which then
 * carries the frames of RFC 6455. `Handshake` has that of HTTP/1.1. There is no key and no accept value here: `:protocol` shows
 * that both ends know the protocol.
 *
 * It reads and writes header records, which contain the pseudo-headers, so that it works on any HTTP/2 implementation.
 *
 * @since 0.1.0
 */
import { localProtocolError, remoteProtocolError, type HeaderRecord, type ProtocolError } from "./Errors.js"
import type { Agreement, HttpResponse, Offer, UpgradeRequest } from "./Handshake.js"
import { version } from "./Handshake.js"
import type * as HeaderField from "./HeaderField.js"
import {
  checkChoice,
  checkHeaders,
  formatChoice,
  hasBody,
  isError,
  lowerCased,
  lowerNames,
  parseOffers,
  single
} from "./internal/handshakeHeaders.js"

/**
 * The value of `:protocol` for WebSocket (RFC 8441 §5).
 *
 * @since 0.1.0
 * @category constants
 */
export const protocol = "websocket"

/**
 * The identifier of `SETTINGS_ENABLE_CONNECT_PROTOCOL` (RFC 8441 §3). A client may send an extended `CONNECT` only after the
 * server has sent this setting with the value 1.
 *
 * @since 0.1.0
 * @category constants
 */
export const enableConnectProtocol = 0x8

/**
 * Where a request leads: the scheme (`https` for `wss:`), the host and port, and the path with the query.
 *
 * @since 0.1.0
 * @category models
 */
export interface Target {
  readonly scheme: "http" | "https"
  readonly authority: string
  readonly path: string
}

/**
 * Makes the headers of an extended `CONNECT` (RFC 8441 §4) from those of an upgrade request, which `Handshake.requestHeaders`
 * makes. Names are in lower case. A client that learns only during the TLS handshake which version of HTTP the server speaks
 * makes the same offer for both.
 *
 * Fails with a local `ProtocolError` for a header that HTTP/2 cannot carry (RFC 9113 §8.2.2).
 *
 * @example
 * ```ts
 * import * as ExtendedConnect from "@effect-websocket/protocol/ExtendedConnect"
 * import * as Handshake from "@effect-websocket/protocol/Handshake"
 *
 * const upgrade = Handshake.requestHeaders({ key: Handshake.generateKey(globalThis.crypto), protocols: ["chat.v1"] })
 * const target = { scheme: "https", authority: "example.com", path: "/chat" } as const
 * const headers = "_tag" in upgrade ? upgrade : ExtendedConnect.requestHeaders(target, upgrade)
 * console.log(headers) // { ":method": "CONNECT", ":protocol": "websocket", ":scheme": "https", …, "sec-websocket-version": "13" }
 * ```
 *
 * @since 0.1.0
 * @category client
 */
export const requestHeaders = (target: Target, upgrade: HeaderRecord): HeaderRecord | ProtocolError => {
  const kept = Object.fromEntries(Object.entries(lowerNames(upgrade)).filter(([name]) => !ofHttp11.has(name)))
  return (
    uncarriable(kept) ?? {
      ":method": "CONNECT",
      ":protocol": protocol,
      ":scheme": target.scheme,
      ":authority": target.authority,
      ":path": target.path,
      ...kept
    }
  )
}

/**
 * A request that a server may accept, as that of HTTP/1.1 without a key. `headers` has `host` from `:authority`, all cookies in one
 * value, and no pseudo-headers.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectRequest extends Omit<UpgradeRequest, "key"> {
  readonly key: undefined
}

/**
 * A request that a server refuses: the status and headers of the answer, and the error.
 *
 * @since 0.1.0
 * @category models
 */
export interface RefusedRequest {
  readonly _tag: "RefusedRequest"
  readonly status: 400 | 501
  readonly headers: HeaderRecord
  readonly error: ProtocolError
}

/**
 * Checks the headers of an extended `CONNECT` (RFC 8441 §4 and §5). It refuses another protocol than `websocket` with 501. It
 * refuses with 400 another method, a pseudo-header that is missing or malformed, a `Host` that contradicts `:authority`,
 * a header that HTTP/2 cannot carry, a `Content-Length` other than 0, an offer that is malformed, and another version than
 * 13, with the supported version.
 *
 * @since 0.1.0
 * @category server
 */
export const checkRequest = (headers: HeaderField.Input): ConnectRequest | RefusedRequest => {
  const fields = lowerCased(headers)
  if (fields[":method"] !== "CONNECT") return refuse("The method is not CONNECT")
  if (fields[":protocol"] !== protocol) {
    const description = `:protocol is ${JSON.stringify(fields[":protocol"])}, not "${protocol}"`
    return { ...refuse(description, "RFC 8441 §5"), status: 501 }
  }
  const { ":authority": authority, ":path": url, ":scheme": scheme } = fields
  if (scheme === undefined) return refuse(":scheme is missing")
  if (scheme !== "https" && scheme !== "http") return refuse(`:scheme is ${JSON.stringify(scheme)}`, "RFC 8441 §5")
  if (typeof url !== "string" || !url.startsWith("/")) return refuse(":path is missing, or does not begin with a slash")
  if (typeof authority !== "string" || authority === "") return refuse(":authority is missing", "RFC 8441 §5")
  const host = single(fields, "host")
  if (isError(host)) return refuseWith(host)
  if (host !== undefined && host.toLowerCase() !== authority.toLowerCase()) {
    return refuseWith(remoteProtocolError("Host contradicts :authority", "RFC 9113 §8.3.1"))
  }
  const specific = Object.keys(fields).find((name) => isConnectionSpecific(name, fields[name]))
  if (specific !== undefined) {
    return refuseWith(remoteProtocolError(`HTTP/2 has no header ${specific}`, "RFC 9113 §8.2.2"))
  }
  if (hasBody(fields)) return refuse("A CONNECT has no Content-Length", "RFC 9110 §9.3.6")
  const versionOffered = single(fields, "sec-websocket-version")
  if (isError(versionOffered)) return refuseWith(versionOffered)
  if (versionOffered === undefined) return refuse("Sec-WebSocket-Version is missing", "RFC 8441 §5")
  if (versionOffered !== version) {
    const error = remoteProtocolError(`The version is ${JSON.stringify(versionOffered)}, not 13`, "RFC 6455 §4.4")
    return { ...refuseWith(error), headers: { "Sec-WebSocket-Version": version } }
  }
  const offers = parseOffers(fields)
  if (isError(offers)) return refuseWith(offers)
  return {
    _tag: "UpgradeRequest",
    url,
    headers: withoutPseudoHeaders(fields, authority),
    key: undefined,
    host: authority,
    ...offers
  }
}

/**
 * Makes the headers of the answer 200, which opens the stream (RFC 8441 §5). The stream must not end with them. `request`
 * is the result of `checkRequest`, or the offers of a request that other code has checked. Names are in lower case.
 *
 * Fails with a local `ProtocolError` for a subprotocol or extension that the client did not offer or that is not a token, a
 * header with an invalid name or value, a header that the handshake itself sets, and one that HTTP/2 cannot carry.
 *
 * @example
 * ```ts
 * import * as ExtendedConnect from "@effect-websocket/protocol/ExtendedConnect"
 *
 * const headers = ExtendedConnect.responseHeaders({ protocols: ["chat.v1"] }, { protocol: "chat.v1" })
 * console.log(headers) // { ":status": "200", "sec-websocket-protocol": "chat.v1" }
 * ```
 *
 * @since 0.1.0
 * @category server
 */
export const responseHeaders = (
  request: Pick<Offer, "protocols" | "extensions">,
  agreement: Partial<Agreement> = {},
  headers?: HeaderField.Input
): HeaderRecord | ProtocolError => {
  const checked = checkHeaders(headers)
  if (isError(checked)) return checked
  const choice = formatChoice(request, agreement)
  if (isError(choice)) return choice
  const extra = lowerNames(checked)
  return (
    uncarriable(extra) ?? {
      ":status": "200",
      ...extra,
      ...(choice.protocol === "" ? {} : { "sec-websocket-protocol": choice.protocol }),
      ...(choice.extensions === "" ? {} : { "sec-websocket-extensions": choice.extensions })
    }
  )
}

/**
 * Checks the answer to an extended `CONNECT` (RFC 8441 §5) and returns the agreement. Fails with a remote `ProtocolError` if the
 * status is not 200, or if the server chose a subprotocol or extension that was not offered.
 *
 * @example
 * ```ts
 * import * as ExtendedConnect from "@effect-websocket/protocol/ExtendedConnect"
 *
 * const headers = { "sec-websocket-protocol": "chat.v1" }
 * console.log(ExtendedConnect.checkResponse({ status: 200, headers }, { protocols: ["chat.v1"] }))
 * // { protocol: "chat.v1", extensions: [] }
 * ```
 *
 * @since 0.1.0
 * @category client
 */
export const checkResponse = (
  response: HttpResponse,
  offer: Pick<Offer, "protocols" | "extensions">
): Agreement | ProtocolError =>
  response.status === 200
    ? checkChoice(lowerCased(response.headers), offer)
    : remoteProtocolError(`The status is ${response.status}, not 200`, "RFC 8441 §5")

/**
 * Whether HTTP/2 cannot carry a header, because it belongs to one connection of HTTP/1.1 (RFC 9113 §8.2.2). The case of the name
 * does not matter.
 *
 * @since 0.1.0
 * @category headers
 */
export const isConnectionSpecific = (name: string, value?: HeaderRecord[string]): boolean => {
  const lower = name.toLowerCase()
  return connectionSpecific.has(lower) || (lower === "te" && value !== "trailers")
}

const connectionSpecific = new Set([
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade"
])

/** Why headers cannot be sent over HTTP/2. */
const uncarriable = (headers: HeaderRecord): ProtocolError | undefined => {
  const name = Object.keys(headers).find((name) => isConnectionSpecific(name, headers[name]))
  return name === undefined
    ? undefined
    : localProtocolError(`HTTP/2 cannot carry the header ${name}`, "RFC 9113 §8.2.2")
}

/** The headers of an upgrade request that an extended `CONNECT` does without (RFC 8441 §5). */
const ofHttp11 = new Set(["connection", "host", "sec-websocket-key", "upgrade"])

/** The headers as HTTP/1.1 has them: cookies may come in several fields (RFC 9113 §8.2.3). */
const withoutPseudoHeaders = (fields: HeaderRecord, host: string): HeaderRecord => {
  // The prototype of a record may be without properties, so that a lookup finds only headers.
  const headers: Record<string, HeaderRecord[string]> = Object.create(Object.getPrototypeOf(fields))
  headers["host"] = host
  for (const name of Object.keys(fields)) {
    const value = fields[name]
    if (name === "host" || name.startsWith(":")) continue
    headers[name] = name === "cookie" && typeof value === "object" ? value.join("; ") : value
  }
  return headers
}

const refuseWith = (error: ProtocolError): RefusedRequest => ({
  _tag: "RefusedRequest",
  status: 400,
  headers: {},
  error
})

const refuse = (description: string, section = "RFC 8441 §4"): RefusedRequest =>
  refuseWith(remoteProtocolError(description, section))
