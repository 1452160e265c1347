/** The attributes of spans, in the names of OpenTelemetry's conventions for HTTP and networks. No value has credentials or a query. */
import * as HeaderField from "@effect-websocket/protocol/HeaderField"
import { guarded } from "../engine/connection/GuardedTransport.js"
import type { Dialed } from "../engine/client/Dial.js"
import { plainAddress } from "../engine/server/forwarded.js"
import { pathOf } from "../engine/server/ServerRequest.js"
import type { UpgradeAttempt } from "../engine/server/UpgradeAttempt.js"

export type SpanAttributes = Readonly<Record<string, unknown>>

export const statusCode = "http.response.status_code"

export const overHttp: SpanAttributes = { "network.protocol.name": "http" }

const byGet: SpanAttributes = { "http.request.method": "GET", ...overHttp }

/** Of a URL, without user, password, query and fragment. */
export const attributesOfUrl = ({ host, hostname, pathname, port, protocol }: URL): SpanAttributes => ({
  "url.full": `${protocol}//${host}${pathname}`,
  "url.scheme": protocol.slice(0, -1),
  "url.path": pathname,
  ...(hostname === "" ? {} : { "server.address": withoutBrackets(hostname), "server.port": portOf(port, protocol) })
})

const portOf = (port: string, protocol: string): number =>
  port === "" ? (protocol === "wss:" ? 443 : 80) : Number(port)

/** URLs have brackets around an IPv6 address. */
const withoutBrackets = (hostname: string): string =>
  hostname.startsWith("[") && hostname.endsWith("]") ? hostname.slice(1, -1) : hostname

/** Of the request of a client, before it is known what the server speaks. */
export const attributesOfRequest = (url: URL): SpanAttributes => ({ ...byGet, ...attributesOfUrl(url) })

/** Of an answer to a client. */
export const attributesOfAnswer = (dialed: Exclude<Dialed, { readonly _tag: "Failed" }>): SpanAttributes => {
  const { _tag, status = 101 } = dialed
  const over2 = _tag === "Upgraded" ? status === 200 : dialed.httpVersion === "2"
  return {
    [statusCode]: status,
    "network.protocol.version": over2 ? "2" : "1.1",
    ...(over2 ? { "http.request.method": "CONNECT" } : {}),
    ...(_tag === "Upgraded" ? attributesOfPeer(guarded(dialed.transport).remoteAddress) : {})
  }
}

const attributesOfPeer = (remoteAddress: string | undefined): SpanAttributes => {
  const address = plainAddress(remoteAddress)
  return address === undefined ? {} : { "network.peer.address": address }
}

/** Of a request to a server. */
export const attributesOfAttempt = ({ remoteAddress, request }: UpgradeAttempt): SpanAttributes => {
  const { headers, httpVersion, method, url } = request
  return {
    ...overHttp,
    // Nothing is known of a request whose headers are too large.
    ...(url === "" ? {} : { "http.request.method": methods.has(method) ? method : "_OTHER", "url.path": pathOf(url) }),
    "network.protocol.version": httpVersion === "2.0" ? "2" : httpVersion,
    ...attributesOfPeer(remoteAddress),
    ...attributesOfAuthority(HeaderField.values(headers, "host")[0] ?? HeaderField.values(headers, ":authority")[0])
  }
}

const attributesOfAuthority = (authority: string | undefined): SpanAttributes => {
  if (authority === undefined || !URL.canParse(`ws://${authority}`)) return {}
  const { hostname, port } = new URL(`ws://${authority}`)
  return { "server.address": withoutBrackets(hostname), ...(port === "" ? {} : { "server.port": Number(port) }) }
}

// Those of RFC 9110 §9 and RFC 5789. OpenTelemetry names all others by one value.
const methods = new Set(["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"])

/** Of the answer of a server that opens a connection. */
export const attributesOfUpgrade = ({ request }: UpgradeAttempt): SpanAttributes => ({
  [statusCode]: request.httpVersion.startsWith("2") ? 200 : 101
})
