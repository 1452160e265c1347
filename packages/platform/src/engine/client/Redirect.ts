import { remoteProtocolError, type HeaderRecord, type ProtocolError } from "@effect-websocket/protocol/Errors"
import * as HeaderField from "@effect-websocket/protocol/HeaderField"
import type { ClientRequest } from "./ClientRequest.js"
import { httpUrl, isSameOrigin, splitUnix, unixScheme } from "./Url.js"

const statuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** The `Location` of a redirect; `undefined` if the answer is not a redirect, or has no or several of them. */
export const locationOf = (status: number, headers: HeaderRecord): string | undefined => {
  if (!statuses.has(status)) return undefined
  const [location, another] = HeaderField.values(headers, "location")
  return another === undefined ? location : undefined
}

/**
 * The request that follows a redirect (RFC 9110 §15.4). Another origin gets nothing that may be secret: no credentials, no
 * cookies, and no header of the app's.
 */
export const follow = (request: ClientRequest, location: string): ClientRequest | ProtocolError => {
  let url: URL
  try {
    url = new URL(location, httpUrl(request.url) ?? `http://localhost${splitUnix(request.url).path}`)
  } catch {
    return remoteProtocolError("The redirect leads to a malformed URL", "RFC 9110 §10.2.2")
  }
  const scheme = webSocketSchemes.get(url.protocol)
  if (scheme === undefined) return remoteProtocolError("The redirect leads to another scheme", "RFC 9110 §10.2.2")
  url.protocol = scheme
  url.hash = ""
  url.username = ""
  url.password = ""
  if (request.url.protocol === "wss:" && scheme !== "wss:") {
    return remoteProtocolError("The redirect leads from wss: to ws:", "RFC 6455 §4.1")
  }
  if (isSameOrigin(url, request.url)) return { ...request, url }
  if (request.url.protocol === unixScheme && url.protocol === "ws:" && url.host === "localhost") {
    const within = new URL(request.url)
    within.pathname = `${within.pathname.split(":")[0]}:${url.pathname}`
    within.search = url.search
    return { ...request, url: within }
  }
  return { ...request, url, headers: {}, authorization: undefined, cookies: "" }
}

const webSocketSchemes: ReadonlyMap<string, string> = new Map([
  ["http:", "ws:"],
  ["https:", "wss:"],
  ["ws:", "ws:"],
  ["wss:", "wss:"]
])

/** The requests that were sent, so that redirects in a circle end. */
export class Visited {
  private readonly visits = new Set<string>()

  /** The error of a request that was sent before, with the same cookies. */
  add(url: URL, headers: HeaderRecord): ProtocolError | undefined {
    const visit = JSON.stringify([url.href, headers["Cookie"]])
    if (this.visits.has(visit)) return remoteProtocolError("The redirects lead in a circle", "RFC 9110 §15.4")
    this.visits.add(visit)
    return undefined
  }
}
