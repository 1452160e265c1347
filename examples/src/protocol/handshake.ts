/** The opening handshake without I/O: it reads and writes the heads of HTTP messages. */
import { Errors, Handshake, HeaderField, Origin, Subprotocol } from "@effect-websocket/protocol"

/** The head of an HTTP/1.1 message. */
export interface Head {
  readonly start: string
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
}

export const parseHead = (text: string): Head => {
  const [start = "", ...lines] = text.split("\r\n")
  const headers = lines.map((line): readonly [string, string] => {
    const colon = line.indexOf(":")
    return [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
  return { start, headers }
}

const formatHead = (start: string, headers: HeaderField.Input): string =>
  [start, ...HeaderField.entries(headers).map(([name, value]) => `${name}: ${value}`), "", ""].join("\r\n")

/** A client's request, for an offer such as `{ key, protocols: ["chat.v1"] }`. */
export const request = (host: string, path: string, offer: Handshake.Offer): string | Errors.ProtocolError => {
  const headers = Handshake.requestHeaders(offer)
  return Errors.isProtocolError(headers) ? headers : formatHead(`GET ${path} HTTP/1.1`, { Host: host, ...headers })
}

/** Checks the server's answer to this request, for the client. */
export const checkAnswer = ({ headers, start }: Head, offer: Handshake.Offer) =>
  Handshake.checkResponse({ status: Number(start.split(" ")[1]), headers }, offer)

const policy = Origin.required(Origin.allowList(["https://example.com"]))

/** The server's answer to a request, and the agreement if the answer is 101. */
export const answer = ({
  headers,
  start
}: Head): { readonly head: string; readonly agreement?: Handshake.Agreement } => {
  const refuse = (status: string, more: HeaderField.Input) => ({
    head: formatHead(`HTTP/1.1 ${status}`, [
      ...HeaderField.entries(more),
      ["Connection", "close"],
      ["Content-Length", "0"]
    ])
  })
  if (!Handshake.isUpgradeRequest(headers)) return refuse("404 Not Found", {})
  const [method = "", url = "", version = ""] = start.split(" ")
  const asked = Handshake.checkRequest({ method, url, httpVersion: version.slice("HTTP/".length), headers })
  if (asked._tag === "RefusedRequest") return refuse(`${asked.status} Refused`, asked.headers)
  if (policy(asked) !== undefined) return refuse("403 Forbidden", {})
  const agreement = { protocol: Subprotocol.select(["chat.v2", "chat.v1"], asked.protocols), extensions: [] }
  const accepted = Errors.getOrThrow(Handshake.responseHeaders(asked, agreement))
  return { head: formatHead("HTTP/1.1 101 Switching Protocols", accepted), agreement }
}
