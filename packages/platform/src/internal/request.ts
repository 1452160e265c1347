import * as Cookies from "@effect/platform/Cookies"
import * as UrlParams from "@effect/platform/UrlParams"
import { ProtocolError, type HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as HeaderField from "@effect-websocket/protocol/HeaderField"
import * as Encoding from "effect/Encoding"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import type { Credentials, RequestOptions } from "../Options.js"

/** What is asked for, of one server. Credentials stand apart from the rest, so that another origin does not get them. */
export interface Request {
  readonly url: URL
  readonly headers: HeaderRecord
  readonly userAgent: string | undefined
  readonly authorization: string | undefined
  /** As in a header; empty for none. */
  readonly cookies: string
}

/** Only what is wrong with a request is said, never what it holds: it may be secret. */
const refuse = (description: string, section: string, origin: "local" | "remote" = "local"): ProtocolError =>
  new ProtocolError({ origin, description, section, closeCode: undefined })

const isError = (value: object | string | undefined): value is ProtocolError => value instanceof ProtocolError

/** What the URLs of a client are relative to. Throws a `RangeError` for what is no such URL. */
export const resolveBase = (
  input: string | URL | Redacted.Redacted<string> | undefined,
  schemes: ReadonlyArray<string>
): Parsed | undefined => {
  if (input === undefined) return undefined
  const parsed = parseUrl(Redacted.isRedacted(input) ? Redacted.value(input) : input, schemes)
  if (isError(parsed)) throw new RangeError(`baseUrl cannot be used: ${parsed.description}`)
  return parsed
}

/** The request of a URL and of the options of a client and of one `connect`. */
export const make = (
  input: string | URL,
  schemes: ReadonlyArray<string>,
  base: Parsed | undefined,
  client: RequestOptions,
  own: RequestOptions
): Request | ProtocolError => {
  const parsed = parseUrl(input, schemes, base?.url)
  if (isError(parsed)) return parsed
  const { url, userinfo } = parsed
  const ofBase = base !== undefined && isSameOrigin(url, base.url) ? base.userinfo : undefined
  const query = addQuery(url, own.query ?? client.query)
  if (query !== undefined) return query
  const authorization = chooseAuthorization(client, own, userinfo, ofBase)
  if (isError(authorization)) return authorization
  if (hasControl(own.origin ?? client.origin ?? "")) return refuse("The origin has a control character", valueSection)
  const [cookieHeaders, headers] = partition(mergeHeaders(client.headers, own.headers), "cookie")
  const cookies = formatCookies(own.cookies ?? client.cookies)
  if (isError(cookies)) return cookies
  return {
    url,
    headers: partition(headers, "authorization")[1],
    userAgent: own.userAgent ?? client.userAgent,
    authorization,
    cookies: joinCookies(...cookieHeaders, cookies)
  }
}

/** What goes into the request besides the headers of the handshake. */
export const headersOf = (
  { authorization, cookies, headers, userAgent }: Request,
  fromJar: string
): HeaderRecord | ProtocolError => {
  const cookie = joinCookies(fromJar, cookies)
  if (userAgent !== undefined && partition(headers, "user-agent")[0].length > 0) {
    return refuse("The user agent is given twice, also as a header", "RFC 9110 §10.1.5")
  }
  const all: HeaderRecord = {
    ...headers,
    ...(userAgent === undefined ? {} : { "User-Agent": userAgent }),
    ...(authorization === undefined ? {} : { Authorization: authorization }),
    ...(cookie === "" ? {} : { Cookie: cookie })
  }
  // The handshake lets tabs pass, as RFC 9110 does.
  const faulty = Object.keys(all).find((name) => HeaderField.values(all, name).some(hasControl))
  return faulty === undefined
    ? all
    : refuse(`The value of the header ${JSON.stringify(faulty)} has a control character`, valueSection)
}

const valueSection = "RFC 9110 §5.5"

/** As in a header. Values of a record are percent-encoded, as those of `Cookies` are. */
const formatCookies = (cookies: RequestOptions["cookies"] = Cookies.empty): string | ProtocolError => {
  if (Cookies.isCookies(cookies)) return Cookies.toCookieHeader(cookies)
  // Without types, it may be the text of a header.
  if (!Predicate.isRecord(cookies) || Symbol.iterator in cookies) {
    throw new TypeError("cookies must be Cookies, or a record of values by name")
  }
  const section = "RFC 6265 §4.1.1"
  const pairs = Object.entries(cookies)
  if (!pairs.every(([name]) => HeaderField.isToken(name))) return refuse("The name of a cookie is not a token", section)
  if (pairs.some(([, value]) => hasControl(value))) return refuse("A cookie has a control character", section)
  try {
    return pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("; ")
  } catch {
    return refuse("A cookie has half of a surrogate pair", section)
  }
}

const joinCookies = (...cookies: ReadonlyArray<string>): string => cookies.filter((each) => each !== "").join("; ")

/**
 * Where a redirect leads (RFC 9110 §15.4). Another origin gets nothing that may be secret: no credentials, no cookies, and no
 * header of the app's.
 */
export const redirect = (request: Request, location: string): Request | ProtocolError => {
  let url: URL
  try {
    url = new URL(location, httpUrl(request.url) ?? `http://localhost${splitUnix(request.url).path}`)
  } catch {
    return refuse("The redirect leads to a malformed URL", "RFC 9110 §10.2.2", "remote")
  }
  const scheme = webSocketSchemes.get(url.protocol)
  if (scheme === undefined) return refuse("The redirect leads to another scheme", "RFC 9110 §10.2.2", "remote")
  url.protocol = scheme
  url.hash = ""
  url.username = ""
  url.password = ""
  if (request.url.protocol === "wss:" && scheme !== "wss:") {
    return refuse("The redirect leads from wss: to ws:", "RFC 6455 §4.1", "remote")
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

const isSameOrigin = (a: URL, b: URL): boolean => a.protocol === b.protocol && a.host === b.host

const webSocketSchemes: ReadonlyMap<string, string> = new Map([
  ["http:", "ws:"],
  ["https:", "wss:"],
  ["ws:", "ws:"],
  ["wss:", "wss:"]
])

/** As cookies know it; none for a Unix domain socket, which has no host. */
export const httpUrl = (url: URL): URL | undefined => {
  if (url.protocol === unixScheme) return undefined
  const http = new URL(url)
  http.protocol = url.protocol === "wss:" ? "https:" : "http:"
  return http
}

export const unixScheme = "ws+unix:"

/** The parts of `ws+unix:///path/to.sock:/request/path`. */
export const splitUnix = (url: URL): { readonly socketPath: string; readonly path: string } => {
  const [socketPath = "", ...rest] = url.pathname.split(":")
  const path = rest.join(":")
  return { socketPath: decodeURIComponent(socketPath), path: (path === "" ? "/" : path) + url.search }
}

/**
 * The URL of a Unix domain socket, or of a Windows pipe, by its absolute path. The path of a request is appended to it as it
 * is to the URL of a port: the path of the socket ends with a colon.
 */
export const unixUrl = (socketPath: string): string => {
  const path = encodeURI(socketPath).replaceAll(/[:?#]/g, encodeURIComponent)
  return `${unixScheme}${path.startsWith("/") ? "//" : ""}${path}:`
}

/** A URL, and the user name and password that were in it. */
export interface Parsed {
  readonly url: URL
  readonly userinfo: Credentials | undefined
}

const urlSection = "RFC 6455 §3"

const parseUrl = (input: string | URL, schemes: ReadonlyArray<string>, base?: URL): Parsed | ProtocolError => {
  let url: URL
  try {
    url = new URL(input, base)
  } catch {
    return refuse("The URL is malformed", urlSection)
  }
  // The URL parser drops tabs and line breaks; they are no part of a URL that anyone means.
  if (typeof input === "string" && hasControl(input)) return refuse("The URL has a control character", urlSection)
  if (!schemes.includes(url.protocol)) {
    const known = schemes.map((scheme) => JSON.stringify(scheme)).join(" or ")
    return refuse(`The scheme of the URL is ${JSON.stringify(url.protocol)}, not ${known}`, urlSection)
  }
  if (url.hash !== "" || url.href.endsWith("#")) return refuse("The URL has a fragment", urlSection)
  try {
    if (url.protocol === unixScheme && !isUnix(url)) {
      return refuse("The URL does not have the form ws+unix:///path/to.sock:/request/path", urlSection)
    }
    if (url.username === "" && url.password === "") return { url, userinfo: undefined }
    const userinfo = {
      username: decodeURIComponent(url.username),
      password: Redacted.make(decodeURIComponent(url.password))
    }
    url.username = ""
    url.password = ""
    return { url, userinfo }
  } catch {
    return refuse("The URL has a malformed percent-encoding", urlSection)
  }
}

/** Throws for a malformed percent-encoding. */
const isUnix = (url: URL): boolean => {
  const { path, socketPath } = splitUnix(url)
  return url.host === "" && socketPath.length > 1 && path.startsWith("/")
}

const addQuery = (url: URL, input: UrlParams.Input | undefined): ProtocolError | undefined => {
  const parameters = UrlParams.fromInput(input ?? [])
  if (parameters.some(([name, value]) => hasControl(name) || hasControl(value))) {
    return refuse("The query has a control character", "RFC 3986 §3.4")
  }
  if (parameters.length === 0) return undefined
  // What is there stays as it was written.
  url.search += `${url.search === "" ? "" : "&"}${UrlParams.toString(parameters)}`
  return undefined
}

/** The nearest wins: those of `connect` and its URL before those of the client. Two at the same place are one too many. */
const chooseAuthorization = (
  client: RequestOptions,
  own: RequestOptions,
  userinfo: Credentials | undefined,
  ofBase: Credentials | undefined
): string | undefined | ProtocolError => {
  for (const [options, credentials] of [
    [own, [own.auth, userinfo]],
    [client, [client.auth, ofBase]]
  ] as const) {
    const given = [
      ...partition(options.headers ?? {}, "authorization")[0],
      ...credentials.filter((each) => each !== undefined)
    ]
    if (given.length > 1) {
      return refuse("There is more than one set of credentials: of a header, of auth, of the URL", "RFC 9110 §11.6.2")
    }
    const [only] = given
    if (only !== undefined) return typeof only === "string" ? only : formatCredentials(only)
  }
  return undefined
}

const formatCredentials = (credentials: Credentials): string | ProtocolError => {
  if ("token" in credentials) {
    const token = Redacted.value(credentials.token)
    return isVisible(token)
      ? `Bearer ${token}`
      : refuse("The token has a character that no token may have", "RFC 6750 §2.1")
  }
  const { username } = credentials
  const password = Redacted.value(credentials.password)
  if (username.includes(":")) return refuse("The user name has a colon", "RFC 7617 §2")
  if (hasControl(username) || hasControl(password)) {
    return refuse("The user name or the password has a control character", "RFC 7617 §2")
  }
  return `Basic ${Encoding.encodeBase64(`${username}:${password}`)}`
}

/** The client's headers, without those that `own` has as well. */
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

const some = (text: string, holds: (unit: number) => boolean): boolean => {
  for (let i = 0; i < text.length; i++) {
    if (holds(text.charCodeAt(i))) return true
  }
  return false
}

export const hasControl = (text: string): boolean => some(text, (unit) => unit < 0x20 || unit === 0x7f)

const isVisible = (text: string): boolean => text !== "" && !some(text, (unit) => unit < 0x21 || unit > 0x7e)
