import { localProtocolError, isProtocolError, type ProtocolError } from "@effect-websocket/protocol/Errors"
import { hasControl } from "./characters.js"

/** The user name and password of a URL, decoded. */
export interface UserInfo {
  readonly username: string
  readonly password: string
}

/** A URL without a user name and password, and those that were in it. */
export interface ParsedUrl {
  readonly url: URL
  readonly userInfo: UserInfo | undefined
}

const section = "RFC 6455 §3"

/** Parses the URL of a request. A relative URL needs a base. */
export const parse = (
  input: string | URL,
  schemes: ReadonlyArray<string>,
  base: URL | undefined
): ParsedUrl | ProtocolError => {
  let url: URL
  try {
    url = new URL(input, base)
  } catch {
    return localProtocolError("The URL is malformed", section)
  }
  // `URL` drops tabs and line breaks. Nobody means them as a part of a URL.
  if (typeof input === "string" && hasControl(input))
    return localProtocolError("The URL has a control character", section)
  if (!schemes.includes(url.protocol)) {
    const known = schemes.map((scheme) => JSON.stringify(scheme)).join(" or ")
    return localProtocolError(`The scheme of the URL is ${JSON.stringify(url.protocol)}, not ${known}`, section)
  }
  if (url.hash !== "" || url.href.endsWith("#")) return localProtocolError("The URL has a fragment", section)
  try {
    if (url.protocol === unixScheme && !hasUnixForm(url)) {
      return localProtocolError("The URL does not have the form ws+unix:///path/to.sock:/request/path", section)
    }
    if (url.username === "" && url.password === "") return { url, userInfo: undefined }
    const userInfo = { username: decodeURIComponent(url.username), password: decodeURIComponent(url.password) }
    url.username = ""
    url.password = ""
    return { url, userInfo }
  } catch {
    return localProtocolError("The URL has a malformed percent-encoding", section)
  }
}

/** Parses the base of a client's relative URLs. Throws a `RangeError` if it cannot be one. */
export const parseBase = (input: string | URL, schemes: ReadonlyArray<string>): ParsedUrl => {
  const parsed = parse(input, schemes, undefined)
  if (isProtocolError(parsed)) throw new RangeError(`baseUrl cannot be used: ${parsed.description}`)
  return parsed
}

export const isSameOrigin = (a: URL, b: URL): boolean => a.protocol === b.protocol && a.host === b.host

/** The URL with the scheme that cookies and proxies know; `undefined` for a Unix domain socket, which has no host. */
export const httpUrl = (url: URL): URL | undefined => {
  if (url.protocol === unixScheme) return undefined
  const http = new URL(url)
  http.protocol = url.protocol === "wss:" ? "https:" : "http:"
  return http
}

export const unixScheme = "ws+unix:"

/** The parts of `ws+unix:///path/to.sock:/request/path`. Throws for a malformed percent-encoding. */
export const splitUnix = (url: URL): { readonly socketPath: string; readonly path: string } => {
  const [socketPath = "", ...rest] = url.pathname.split(":")
  const path = rest.join(":")
  return { socketPath: decodeURIComponent(socketPath), path: (path === "" ? "/" : path) + url.search }
}

/**
 * The URL of a Unix domain socket, or of a Windows pipe, from its absolute path. It ends with a colon: the path of a request is
 * appended to it, as to the URL of a host.
 */
export const unixUrl = (socketPath: string): string => {
  const path = encodeURI(socketPath).replaceAll(/[:?#]/g, encodeURIComponent)
  return `${unixScheme}${path.startsWith("/") ? "//" : ""}${path}:`
}

const hasUnixForm = (url: URL): boolean => {
  const { path, socketPath } = splitUnix(url)
  return url.host === "" && socketPath.length > 1 && path.startsWith("/")
}
