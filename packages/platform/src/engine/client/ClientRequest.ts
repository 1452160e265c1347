import {
  localProtocolError,
  isProtocolError,
  type HeaderRecord,
  type ProtocolError
} from "@effect-websocket/protocol/Errors"
import * as HeaderField from "@effect-websocket/protocol/HeaderField"
import { hasControl, isVisible } from "./characters.js"
import { isSameOrigin, parse, type ParsedUrl, type UserInfo } from "./Url.js"

/** A request for an upgrade. Credentials are apart from the other headers, so that no other origin gets them. */
export interface ClientRequest {
  readonly url: URL
  readonly headers: HeaderRecord
  readonly userAgent: string | undefined
  readonly authorization: string | undefined
  /** The value of `Cookie` without the jar's cookies; empty for none. */
  readonly cookies: string
}

/** A user name and a password, or a token. */
export type Credentials = UserInfo | { readonly token: string }

/** Options that exist twice: for a client, and for one of its connections. */
export interface RequestSource {
  readonly headers: HeaderRecord | undefined
  readonly credentials: Credentials | undefined
}

/** The parts of a request before they are checked. */
export interface RequestParts {
  readonly client: RequestSource
  readonly connection: RequestSource
  readonly base: ParsedUrl | undefined
  readonly schemes: ReadonlyArray<string>
  readonly query: ReadonlyArray<readonly [string, string]>
  readonly origin: string | undefined
  readonly userAgent: string | undefined
  /** A value of `Cookie`, or the values by name, which are to be percent-encoded. */
  readonly cookies: string | Readonly<Record<string, string>>
}

const valueSection = "RFC 9110 §5.5"

/** Checks the parts of a request and joins them. */
export const make = (input: string | URL, parts: RequestParts): ClientRequest | ProtocolError => {
  const { base, client, connection } = parts
  const parsed = parse(input, parts.schemes, base?.url)
  if (isProtocolError(parsed)) return parsed
  const { url, userInfo } = parsed
  const wrongQuery = addQuery(url, parts.query)
  if (wrongQuery !== undefined) return wrongQuery
  const ofBase = base !== undefined && isSameOrigin(url, base.url) ? base.userInfo : undefined
  const authorization = chooseAuthorization([
    { ...connection, userInfo },
    { ...client, userInfo: ofBase }
  ])
  if (isProtocolError(authorization)) return authorization
  if (hasControl(parts.origin ?? "")) return localProtocolError("The origin has a control character", valueSection)
  const [cookieHeaders, headers] = partition(mergeHeaders(client.headers, connection.headers), "cookie")
  const cookies = formatCookies(parts.cookies)
  if (isProtocolError(cookies)) return cookies
  return {
    url,
    headers: partition(headers, "authorization")[1],
    userAgent: parts.userAgent,
    authorization,
    cookies: joinCookies(...cookieHeaders, cookies)
  }
}

/** The headers of a request, without those of the handshake. */
export const headersOf = (
  { authorization, cookies, headers, userAgent }: ClientRequest,
  jarCookies: string
): HeaderRecord | ProtocolError => {
  const cookie = joinCookies(jarCookies, cookies)
  if (userAgent !== undefined && partition(headers, "user-agent")[0].length > 0) {
    return localProtocolError("The user agent is given twice, also as a header", "RFC 9110 §10.1.5")
  }
  const all: HeaderRecord = {
    ...headers,
    ...(userAgent === undefined ? {} : { "User-Agent": userAgent }),
    ...(authorization === undefined ? {} : { Authorization: authorization }),
    ...(cookie === "" ? {} : { Cookie: cookie })
  }
  // The check of the handshake allows tabs, as RFC 9110 does.
  const faulty = Object.keys(all).find((name) => HeaderField.values(all, name).some(hasControl))
  return faulty === undefined
    ? all
    : localProtocolError(`The value of the header ${JSON.stringify(faulty)} has a control character`, valueSection)
}

const formatCookies = (cookies: RequestParts["cookies"]): string | ProtocolError => {
  if (typeof cookies === "string") return cookies
  const section = "RFC 6265 §4.1.1"
  const pairs = Object.entries(cookies)
  if (!pairs.every(([name]) => HeaderField.isToken(name))) {
    return localProtocolError("The name of a cookie is not a token", section)
  }
  if (pairs.some(([, value]) => hasControl(value)))
    return localProtocolError("A cookie has a control character", section)
  try {
    return pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("; ")
  } catch {
    return localProtocolError("A cookie has half of a surrogate pair", section)
  }
}

const joinCookies = (...cookies: ReadonlyArray<string>): string => cookies.filter((each) => each !== "").join("; ")

const addQuery = (url: URL, query: RequestParts["query"]): ProtocolError | undefined => {
  if (query.some(([name, value]) => hasControl(name) || hasControl(value))) {
    return localProtocolError("The query has a control character", "RFC 3986 §3.4")
  }
  if (query.length === 0) return undefined
  const added = new URLSearchParams(query.map(([name, value]): [string, string] => [name, value])).toString()
  // The query of the URL stays as it was written.
  url.search += `${url.search === "" ? "" : "&"}${added}`
  return undefined
}

/** The first source that has credentials wins. Two sets of credentials in one source are an error. */
const chooseAuthorization = (
  sources: ReadonlyArray<RequestSource & { readonly userInfo: UserInfo | undefined }>
): string | undefined | ProtocolError => {
  for (const { credentials, headers, userInfo } of sources) {
    const given = [
      ...partition(headers ?? {}, "authorization")[0],
      ...[credentials, userInfo].filter((each) => each !== undefined)
    ]
    if (given.length > 1) {
      return localProtocolError(
        "There is more than one set of credentials: of a header, of auth, of the URL",
        "RFC 9110 §11.6.2"
      )
    }
    const [only] = given
    if (only !== undefined) return typeof only === "string" ? only : formatCredentials(only)
  }
  return undefined
}

const formatCredentials = (credentials: Credentials): string | ProtocolError => {
  if ("token" in credentials) {
    return isVisible(credentials.token)
      ? `Bearer ${credentials.token}`
      : localProtocolError("The token has a character that no token may have", "RFC 6750 §2.1")
  }
  const { password, username } = credentials
  if (username.includes(":")) return localProtocolError("The user name has a colon", "RFC 7617 §2")
  if (hasControl(username) || hasControl(password)) {
    return localProtocolError("The user name or the password has a control character", "RFC 7617 §2")
  }
  const utf8 = new TextEncoder().encode(`${username}:${password}`)
  return `Basic ${btoa(Array.from(utf8, (byte) => String.fromCharCode(byte)).join(""))}`
}

/** The client's headers without those that the connection replaces, and the connection's. */
const mergeHeaders = (client: HeaderRecord = {}, own: HeaderRecord = {}): HeaderRecord => {
  const replaced = new Set(Object.keys(own).map((name) => name.toLowerCase()))
  const kept = Object.entries(client).filter(([name]) => !replaced.has(name.toLowerCase()))
  return { ...Object.fromEntries(kept), ...own }
}

/** The values of a header, whatever its case, and the other headers. */
const partition = (headers: HeaderRecord, wanted: string): readonly [ReadonlyArray<string>, HeaderRecord] => {
  const names = Object.keys(headers).filter((name) => name.toLowerCase() === wanted)
  if (names.length === 0) return [[], headers]
  return [
    HeaderField.values(headers, wanted),
    Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)))
  ]
}
