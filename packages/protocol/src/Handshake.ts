/**
 * The opening handshake (RFC 6455 §4). It reads and writes header records, never text, so that it works on any HTTP
 * implementation.
 *
 * @since 0.1.0
 */
import { sha1Base64 } from "#sha1"
import { localProtocolError, remoteProtocolError, type HeaderRecord, type ProtocolError } from "./Errors.js"
import * as Extension from "./Extension.js"
import * as HeaderField from "./HeaderField.js"
import {
  checkChoice,
  checkHeaders,
  formatChoice,
  hasBody,
  isError,
  lowerCased,
  lowerNames,
  none,
  parseOffers,
  single
} from "./internal/handshakeHeaders.js"
import * as Base64 from "./internal/base64.js"
import type { RandomSource } from "./Mask.js"
import * as Subprotocol from "./Subprotocol.js"

/**
 * The GUID that is appended to the key to make `Sec-WebSocket-Accept` (RFC 6455 §1.3).
 *
 * @since 0.1.0
 * @category constants
 */
export const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

/**
 * The value of `Sec-WebSocket-Version`, the version of the protocol (RFC 6455 §4.1).
 *
 * @since 0.1.0
 * @category constants
 */
export const version = "13"

/**
 * Makes a `Sec-WebSocket-Key` from 16 bytes, which must come from a secure source of randomness. Throws a
 * `RangeError` for another number of bytes.
 *
 * @since 0.1.0
 * @category keys
 */
export const makeKey = (random: Uint8Array): string => {
  if (random.length !== 16) throw new RangeError(`A key has 16 bytes, not ${random.length}`)
  return Base64.encode(random)
}

/**
 * Makes a `Sec-WebSocket-Key` from a source of randomness, such as `globalThis.crypto` (RFC 6455 §4.1).
 *
 * @example
 * ```ts
 * import * as Handshake from "@effect-websocket/protocol/Handshake"
 *
 * console.log(Handshake.isKey(Handshake.generateKey(globalThis.crypto))) // true
 * ```
 *
 * @since 0.1.0
 * @category keys
 */
export const generateKey = (source: RandomSource): string => {
  const bytes = new Uint8Array(16)
  source.getRandomValues(bytes)
  return Base64.encode(bytes)
}

/**
 * Whether a text is a `Sec-WebSocket-Key`: the base64 of 16 bytes.
 *
 * @since 0.1.0
 * @category keys
 */
export const isKey = (text: string): boolean => Base64.isBase64Of16(text)

/**
 * The `Sec-WebSocket-Accept` for a key, which proves that the server read it (RFC 6455 §4.2.2).
 *
 * @example
 * ```ts
 * import * as Handshake from "@effect-websocket/protocol/Handshake"
 *
 * console.log(Handshake.acceptValue("dGhlIHNhbXBsZSBub25jZQ==")) // "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
 * ```
 *
 * @since 0.1.0
 * @category keys
 */
export const acceptValue = (key: string): string => sha1Base64(key + guid)

/**
 * Whether a `Sec-WebSocket-Accept` is the right answer to a key.
 *
 * @since 0.1.0
 * @category keys
 */
export const isAcceptValue = (key: string, accept: string): boolean => accept === acceptValue(key)

/**
 * What a client asks for. `protocols` are in order of preference. `headers` are sent in addition to those of the
 * handshake.
 *
 * @since 0.1.0
 * @category models
 */
export interface Offer {
  readonly key: string
  readonly protocols?: ReadonlyArray<string> | undefined
  readonly extensions?: ReadonlyArray<Extension.Extension> | undefined
  readonly origin?: string | undefined
  readonly headers?: HeaderField.Input | undefined
}

/**
 * What both endpoints agreed on: the subprotocol and the extensions.
 *
 * @since 0.1.0
 * @category models
 */
export interface Agreement {
  readonly protocol: string | undefined
  readonly extensions: ReadonlyArray<Extension.Extension>
}

/**
 * Makes the headers of an upgrade request (RFC 6455 §4.1), without `Host`, which the HTTP client adds.
 *
 * Fails with a local `ProtocolError` for a malformed key, a subprotocol or extension that is not a token, a
 * subprotocol that comes twice, a header with an invalid name or value (such as one with CR or LF), and a header that
 * the handshake itself sets.
 *
 * @since 0.1.0
 * @category client
 */
export const requestHeaders = (offer: Offer): HeaderRecord | ProtocolError => {
  if (!isKey(offer.key)) return localProtocolError("The key is not the base64 of 16 bytes", "RFC 6455 §4.1")
  const extra = checkHeaders(offer.headers)
  if (isError(extra)) return extra
  const protocols = Subprotocol.format(offer.protocols ?? [])
  if (typeof protocols !== "string") return protocols
  const extensions = Extension.format(offer.extensions ?? [])
  if (typeof extensions !== "string") return extensions
  if (offer.origin !== undefined && !HeaderField.isValue(offer.origin)) {
    return localProtocolError("The origin has a character that no header may have", "RFC 9110 §5.5")
  }
  return {
    ...extra,
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": offer.key,
    "Sec-WebSocket-Version": version,
    ...(protocols === "" ? {} : { "Sec-WebSocket-Protocol": protocols }),
    ...(extensions === "" ? {} : { "Sec-WebSocket-Extensions": extensions }),
    ...(offer.origin === undefined ? {} : { Origin: offer.origin })
  }
}

/**
 * An HTTP request. The case of header names does not matter.
 *
 * @since 0.1.0
 * @category models
 */
export interface HttpRequest {
  readonly method: string
  /** The request target: path and query. */
  readonly url: string
  /** The HTTP version, such as `"1.1"`. */
  readonly httpVersion: string
  readonly headers: HeaderField.Input
}

/**
 * An HTTP response, such as the web's `Response`. The case of header names does not matter.
 *
 * @since 0.1.0
 * @category models
 */
export interface HttpResponse {
  readonly status: number
  readonly headers: HeaderField.Input
}

/**
 * An upgrade request that a server may accept.
 *
 * @since 0.1.0
 * @category models
 */
export interface UpgradeRequest {
  readonly _tag: "UpgradeRequest"
  /** The request target: path and query. */
  readonly url: string
  /** The headers of the request, with names in lower case. */
  readonly headers: HeaderRecord
  readonly key: string
  /** The subprotocols that the client offers, in its order of preference. */
  readonly protocols: ReadonlyArray<string>
  readonly extensions: ReadonlyArray<Extension.Extension>
  readonly origin: string | undefined
  readonly host: string
}

/**
 * A request that a server refuses: the status and headers of the answer, and the error.
 *
 * @since 0.1.0
 * @category models
 */
export interface RefusedRequest {
  readonly _tag: "RefusedRequest"
  readonly status: 400 | 426
  readonly headers: HeaderRecord
  readonly error: ProtocolError
}

/**
 * Whether a request asks for an upgrade to WebSocket: `Upgrade` has the token `websocket`, and `Connection` has the
 * token `upgrade`. Use `checkRequest` to find out whether such a request is valid.
 *
 * @example
 * ```ts
 * import * as Handshake from "@effect-websocket/protocol/Handshake"
 *
 * console.log(Handshake.isUpgradeRequest({ Connection: "keep-alive, Upgrade", Upgrade: "websocket" })) // true
 * console.log(Handshake.isUpgradeRequest(new Headers({ Accept: "text/html" }))) // false
 * ```
 *
 * @since 0.1.0
 * @category server
 */
export const isUpgradeRequest = (headers: HeaderField.Input): boolean =>
  HeaderField.hasToken(HeaderField.values(headers, "upgrade"), "websocket") &&
  HeaderField.hasToken(HeaderField.values(headers, "connection"), "upgrade")

/**
 * Checks an upgrade request (RFC 6455 §4.2.1). It refuses with 400 a request in which a header is missing, malformed
 * or repeated, and a request with a body (`Content-Length` other than 0, or `Transfer-Encoding`). It refuses a
 * version other than 13 with 426 and the supported version.
 *
 * @since 0.1.0
 * @category server
 */
export const checkRequest = (request: HttpRequest): UpgradeRequest | RefusedRequest => {
  const headers = lowerCased(request.headers)
  if (request.method !== "GET") return refuse(`The method is ${request.method}, not GET`)
  if (!isAtLeastHttp11(request.httpVersion)) return refuse(`HTTP ${request.httpVersion} cannot be upgraded`)
  const host = single(headers, "host")
  if (isError(host)) return refuseWith(host)
  if (host === undefined) return refuse("Host is missing")
  const upgrade = requireToken(headers, "upgrade", "websocket") ?? requireToken(headers, "connection", "upgrade")
  if (upgrade !== undefined) return refuseWith(upgrade)
  // Frames follow the head directly, so they could not be told from a body.
  if (hasBody(headers)) return refuse("An upgrade request has no body")
  const versionOffered = single(headers, "sec-websocket-version")
  if (isError(versionOffered)) return refuseWith(versionOffered)
  if (versionOffered === undefined) return refuse("Sec-WebSocket-Version is missing")
  if (versionOffered !== version) {
    return {
      _tag: "RefusedRequest",
      status: 426,
      headers: { Upgrade: "websocket", "Sec-WebSocket-Version": version },
      error: remoteProtocolError(`The version is ${JSON.stringify(versionOffered)}, not 13`, "RFC 6455 §4.4")
    }
  }
  const key = single(headers, "sec-websocket-key")
  if (isError(key)) return refuseWith(key)
  if (key === undefined) return refuse("Sec-WebSocket-Key is missing")
  if (!isKey(key)) return refuse("Sec-WebSocket-Key is not the base64 of 16 bytes")
  const offers = parseOffers(headers)
  if (isError(offers)) return refuseWith(offers)
  const { extensions, origin, protocols } = offers
  return { _tag: "UpgradeRequest", url: request.url, headers, key, protocols, extensions, origin, host }
}

/**
 * Makes the headers of the answer with status 101 (RFC 6455 §4.2.2). `request` is the result of `checkRequest`, or
 * the key and the offers of a request that other code has checked. Without an agreement there is no subprotocol and
 * no extension.
 *
 * Fails with a local `ProtocolError` for a malformed key, a subprotocol or extension that the client did not offer or
 * that is not a token, a header with an invalid name or value, and a header that the handshake itself sets.
 *
 * @example
 * ```ts
 * import * as Handshake from "@effect-websocket/protocol/Handshake"
 *
 * const headers = Handshake.responseHeaders({ key: "dGhlIHNhbXBsZSBub25jZQ==" })
 * console.log(headers) // { Upgrade: "websocket", Connection: "Upgrade", "Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" }
 * ```
 *
 * @since 0.1.0
 * @category server
 */
export const responseHeaders = (
  request: Pick<Offer, "key" | "protocols" | "extensions">,
  agreement: Partial<Agreement> = {},
  headers?: HeaderField.Input
): HeaderRecord | ProtocolError => {
  if (!isKey(request.key)) return localProtocolError("The key is not the base64 of 16 bytes", "RFC 6455 §4.2.2")
  const extra = checkHeaders(headers)
  if (isError(extra)) return extra
  const choice = formatChoice(request, agreement)
  if (isError(choice)) return choice
  const own: Record<string, string> = {
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Accept": acceptValue(request.key)
  }
  if (choice.protocol !== "") own["Sec-WebSocket-Protocol"] = choice.protocol
  if (choice.extensions !== "") own["Sec-WebSocket-Extensions"] = choice.extensions
  return headers === undefined ? own : { ...extra, ...own }
}

/**
 * Checks the answer to an upgrade request (RFC 6455 §4.1) and returns the agreement. Fails with a remote
 * `ProtocolError` if the status is not 101, a token or the accept value is wrong, or the server chose a subprotocol
 * or extension that was not offered.
 *
 * @example
 * ```ts
 * import * as Handshake from "@effect-websocket/protocol/Handshake"
 *
 * const offer = { key: "dGhlIHNhbXBsZSBub25jZQ==" }
 * const headers = { Upgrade: "websocket", Connection: "Upgrade", "Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" }
 * console.log(Handshake.checkResponse({ status: 101, headers }, offer)) // { protocol: undefined, extensions: [] }
 * ```
 *
 * @since 0.1.0
 * @category client
 */
export const checkResponse = (response: HttpResponse, offer: Offer): Agreement | ProtocolError => {
  if (response.status !== 101) return remoteProtocolError(`The status is ${response.status}, not 101`, "RFC 6455 §4.1")
  const headers = lowerCased(response.headers)
  const upgrade = requireToken(headers, "upgrade", "websocket") ?? requireToken(headers, "connection", "upgrade")
  if (upgrade !== undefined) return upgrade
  const accept = single(headers, "sec-websocket-accept")
  if (isError(accept)) return accept
  if (accept === undefined || !isAcceptValue(offer.key, accept.trim())) {
    return remoteProtocolError("Sec-WebSocket-Accept does not answer the key", "RFC 6455 §4.1")
  }
  return checkChoice(headers, offer)
}

/**
 * Converts headers to a record with all names in lower case. Names that differ only in case become one header with
 * several values. A single value is a string.
 *
 * @since 0.1.0
 * @category headers
 */
export const lowerCaseNames = (headers: HeaderField.Input): HeaderRecord => lowerNames(headers)

const refuseWith = (error: ProtocolError): RefusedRequest => ({
  _tag: "RefusedRequest",
  status: 400,
  headers: {},
  error
})

const refuse = (description: string): RefusedRequest => refuseWith(remoteProtocolError(description, "RFC 6455 §4.2.1"))

const isAtLeastHttp11 = (httpVersion: string): boolean => {
  if (httpVersion === "1.1") return true
  const [major = 0, minor = 0] = httpVersion.split(".").map(Number)
  return major > 1 || (major === 1 && minor >= 1)
}

const requireToken = (headers: HeaderRecord, name: string, token: string): ProtocolError | undefined => {
  const value = headers[name] ?? none
  if (typeof value === "string" && value.toLowerCase() === token) return undefined
  const tokens = HeaderField.parseTokens(value)
  if (isError(tokens)) return tokens
  return tokens.some((candidate) => candidate.toLowerCase() === token)
    ? undefined
    : remoteProtocolError(`The header ${name} does not have the token ${JSON.stringify(token)}`, "RFC 6455 §4.1")
}
