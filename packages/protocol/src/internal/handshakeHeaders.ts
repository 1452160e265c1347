import { localProtocolError, remoteProtocolError, type HeaderRecord, type ProtocolError } from "../Errors.js"
import * as Extension from "../Extension.js"
import * as HeaderField from "../HeaderField.js"
import * as Subprotocol from "../Subprotocol.js"

/** The headers that the opening handshakes of HTTP/1.1 and HTTP/2 have in common. */

/** What a client offers, as its request has it. */
export interface Offers {
  readonly protocols: ReadonlyArray<string>
  readonly extensions: ReadonlyArray<Extension.Extension>
  readonly origin: string | undefined
}

interface Offered {
  readonly protocols?: ReadonlyArray<string> | undefined
  readonly extensions?: ReadonlyArray<Extension.Extension> | undefined
}

/** What a server chose. */
export interface Choice {
  readonly protocol: string | undefined
  readonly extensions: ReadonlyArray<Extension.Extension>
}

/** Reads the offers of a request. */
export const parseOffers = (headers: HeaderRecord): Offers | ProtocolError => {
  // All requests without these headers share the empty lists.
  const { "sec-websocket-extensions": extensionLines, "sec-websocket-protocol": protocolLines } = headers
  const protocols = protocolLines === undefined ? none : Subprotocol.parse(protocolLines)
  if (isError(protocols)) return protocols
  const extensions = extensionLines === undefined ? none : Extension.parse(extensionLines)
  if (isError(extensions)) return extensions
  const origin = single(headers, "origin")
  return isError(origin) ? origin : { protocols, extensions, origin }
}

/** Writes a server's choice: the values of two headers, which are empty for none. */
export const formatChoice = (
  { extensions: offered = [], protocols: named = [] }: Offered,
  { extensions: agreed = [], protocol }: Partial<Choice>
): { readonly protocol: string; readonly extensions: string } | ProtocolError => {
  if (protocol !== undefined && !named.includes(protocol)) {
    return localProtocolError(`The subprotocol ${JSON.stringify(protocol)} was not offered`, "RFC 6455 §4.2.2")
  }
  // Other code than that of the library may have read the offers, so they are checked again.
  const selected = protocol === undefined ? "" : Subprotocol.format([protocol])
  if (isError(selected)) return selected
  const unoffered = findUnoffered(agreed, offered)
  if (unoffered !== undefined) {
    return localProtocolError(`The extension ${JSON.stringify(unoffered)} was not offered`, "RFC 6455 §4.2.2")
  }
  const extensions = Extension.format(agreed)
  return isError(extensions) ? extensions : { protocol: selected, extensions }
}

/** Reads a server's choice, which must be one of what was offered. */
export const checkChoice = (
  headers: HeaderRecord,
  { extensions: offered = [], protocols: named = [] }: Offered
): Choice | ProtocolError => {
  const protocol = single(headers, "sec-websocket-protocol")
  if (isError(protocol)) return protocol
  if (protocol !== undefined && !named.includes(protocol)) {
    return remoteProtocolError(`The subprotocol ${JSON.stringify(protocol)} was not asked for`, "RFC 6455 §4.1")
  }
  const extensions = Extension.parse(headers["sec-websocket-extensions"] ?? [])
  if (isError(extensions)) return extensions
  const unasked = findUnoffered(extensions, offered)
  return unasked === undefined
    ? { protocol, extensions }
    : remoteProtocolError(`The extension ${JSON.stringify(unasked)} was not asked for`, "RFC 6455 §4.1")
}

const findUnoffered = (
  agreed: ReadonlyArray<Extension.Extension>,
  offered: ReadonlyArray<Extension.Extension>
): string | undefined => agreed.find(({ name }) => !offered.some((offer) => offer.name === name))?.name

export const isError = (value: object | string | undefined): value is ProtocolError =>
  typeof value === "object" && "_tag" in value && value._tag === "Protocol_error"

export const none: ReadonlyArray<never> = Object.freeze([])

/** The values of a header that may be missing. */
const listOf = (value: string | ReadonlyArray<string> | undefined): ReadonlyArray<string> =>
  typeof value === "string" ? [value] : (value ?? none)

/** The value of a header that may come only once. */
export const single = (headers: HeaderRecord, name: string): string | undefined | ProtocolError => {
  const value = headers[name]
  if (value === undefined || typeof value === "string") return value
  return value.length > 1 ? remoteProtocolError(`The header ${name} comes more than once`, "RFC 6455 §4.1") : value[0]
}

/** Whether the headers of a request announce a body. */
export const hasBody = (headers: HeaderRecord): boolean =>
  listOf(headers["transfer-encoding"]).length > 0 ||
  listOf(headers["content-length"]).some((length) => !/^0+$/.test(length.trim()))

/** Converts headers to a record with all names in lower case. */
export const lowerNames = (headers: HeaderField.Input): HeaderRecord => {
  // A map, because a plain object already has a `constructor`.
  const lower = new Map<string, Array<string>>()
  for (const [name, value] of HeaderField.entries(headers)) {
    const key = name.toLowerCase()
    const known = lower.get(key)
    if (known === undefined) lower.set(key, [value])
    else known.push(value)
  }
  return Object.fromEntries([...lower].map(([name, values]) => [name, values.length === 1 ? values[0] : values]))
}

/** Headers with names in lower case. A record that has them already, such as Node's, is not copied. */
export const lowerCased = (headers: HeaderField.Input): HeaderRecord =>
  isRecord(headers) && Object.keys(headers).every((name) => name === name.toLowerCase()) ? headers : lowerNames(headers)

const isRecord = (headers: HeaderField.Input): headers is HeaderRecord => !(Symbol.iterator in headers)

const reservedHeaders = new Set([
  "connection",
  "upgrade",
  "host",
  "origin",
  "content-length",
  "transfer-encoding",
  "trailer"
])

/** Checks the headers that an app adds to a handshake. */
export const checkHeaders = (input: HeaderField.Input = {}): HeaderRecord | ProtocolError => {
  const headers = isRecord(input) ? input : lowerNames(input)
  for (const [name, value] of Object.entries(headers)) {
    if (!HeaderField.isToken(name)) {
      return localProtocolError(`The header name ${JSON.stringify(name)} is not a token`, "RFC 9110 §5.1")
    }
    const lower = name.toLowerCase()
    if (reservedHeaders.has(lower) || lower.startsWith("sec-websocket-")) {
      return localProtocolError(
        `The header ${name} is set by the handshake and cannot be set by the app`,
        "RFC 6455 §4.1"
      )
    }
    const values = value === undefined ? [] : typeof value === "string" ? [value] : value
    if (!values.every(HeaderField.isValue)) {
      return localProtocolError(
        `The value of the header ${name} has a character that no header may have`,
        "RFC 9110 §5.5"
      )
    }
  }
  return headers
}
