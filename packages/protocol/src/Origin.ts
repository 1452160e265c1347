/**
 * Which web pages may connect (RFC 6455 §10.2). Browsers tell the page's origin and let any page try; only the server
 * can refuse it.
 *
 * @since 0.1.0
 */
import * as HeaderField from "./HeaderField.js"

/**
 * What a policy decides on: the `Origin` and `Host` headers of the request.
 *
 * @since 0.1.0
 * @category models
 */
export interface OriginRequest {
  readonly origin: string | undefined
  readonly host: string | undefined
}

/**
 * Allows a request (`undefined`), or says why not.
 *
 * @since 0.1.0
 * @category models
 */
export type Policy = (request: OriginRequest) => string | undefined

/**
 * Allows every origin: for servers that act on nobody's authority.
 *
 * @since 0.1.0
 * @category policies
 */
export const allowAll: Policy = () => undefined

/**
 * Allows the origins of a list, such as `"https://example.com"`, and requests without an `Origin`, which are not from
 * browsers.
 *
 * Entries are compared as browsers send origins: in lower case, host names in Punycode, without a default port, and without
 * the slash or path that a URL has behind its host. Schemes of apps and extensions (`"chrome-extension://…"`,
 * `"capacitor://localhost"`), `"file://"`, and `"null"`, which pages without an origin send, are origins too.
 *
 * Throws a `RangeError` for an entry that no page would ever match, such as a host without a scheme, a pattern with `*`, or
 * `"wss://example.com"`: the origin is that of the page. For patterns see `predicate`.
 *
 * @example
 * ```ts
 * import * as Origin from "@effect-websocket/protocol/Origin"
 *
 * const policy = Origin.allowList(["https://example.com", "chrome-extension://mdplmiioglkpgkgblfdilgebpppgdlmn"])
 * console.log(policy({ origin: "https://example.com", host: "api.example.com" })) // undefined
 * console.log(policy({ origin: "https://evil.example", host: "api.example.com" })) // a reason
 * ```
 *
 * @since 0.1.0
 * @category policies
 */
export const allowList = (origins: ReadonlyArray<string>): Policy => {
  const allowed = new Set(origins.map(normalize))
  return predicate((origin) => allowed.has(origin.toLowerCase()) || allowed.has(webOrigin(origin)?.origin ?? ""))
}

/**
 * Allows pages that come from the host and port that the request goes to, and requests without an `Origin`. The scheme
 * counts only where it is given, because a TLS proxy in front of the server changes it.
 *
 * @since 0.1.0
 * @category policies
 */
export const sameOrigin =
  (options?: { readonly scheme?: "http" | "https" }): Policy =>
  ({ host, origin }) => {
    if (origin === undefined) return undefined
    const page = webOrigin(origin)
    if (page === undefined) return refusal(origin)
    if (options?.scheme !== undefined && page.protocol !== `${options.scheme}:`) return refusal(origin)
    // The scheme of the page decides which port its host has by default.
    const target = host === undefined || !isHost(host) ? undefined : parseUrl(`${page.protocol}//${host}`)
    return target !== undefined && target.host === page.host ? undefined : refusal(origin)
  }

/**
 * Allows the origins for which a predicate holds, and requests without an `Origin`.
 *
 * @since 0.1.0
 * @category policies
 */
export const predicate =
  (isAllowed: (origin: string) => boolean): Policy =>
  ({ origin }) =>
    origin === undefined || isAllowed(origin) ? undefined : refusal(origin)

/**
 * What another policy allows, except requests without an `Origin`: for servers that only web pages use.
 *
 * @example
 * ```ts
 * import * as Origin from "@effect-websocket/protocol/Origin"
 *
 * const policy = Origin.required(Origin.sameOrigin())
 * console.log(policy({ origin: undefined, host: "example.com" })) // "The request has no Origin"
 * console.log(policy({ origin: "https://example.com", host: "example.com" })) // undefined
 * ```
 *
 * @since 0.1.0
 * @category policies
 */
export const required =
  (policy: Policy): Policy =>
  (request) =>
    request.origin === undefined ? "The request has no Origin" : policy(request)

/**
 * Applies a policy to the headers of a request: `undefined` if it is allowed, otherwise the reason why not.
 *
 * @since 0.1.0
 * @category checks
 */
export const check = (policy: Policy, headers: HeaderField.Input): string | undefined =>
  policy({ origin: HeaderField.get(headers, "origin"), host: HeaderField.get(headers, "host") })

/** An entry of a list as browsers send it. */
const normalize = (entry: string): string => {
  const text = entry.trim()
  if (text === "null") return text
  const useless = (why: string) =>
    new RangeError(
      `origin cannot be ${JSON.stringify(entry)}, which matches no page: ${why}, such as "https://example.com"`
    )
  const url = hasScheme(text) ? parseUrl(text) : undefined
  if (url === undefined) throw useless("an origin is a scheme and a host")
  if (url.protocol === "ws:" || url.protocol === "wss:") throw useless("an origin has the scheme of the page")
  if (text.includes("*")) throw useless("an origin has no pattern")
  // The host of a scheme that is not of the web may have percent-encoding.
  const isPlain = url.host === "" || isHost(url.host.replaceAll("%", ""))
  if (!isPlain || url.username !== "" || url.password !== "" || /\s/.test(text)) {
    throw useless("an origin is a scheme and a host")
  }
  if ((url.protocol === "file:") !== (url.host === ""))
    throw useless("only file:// has no host, and an origin is a scheme and a host")
  // For schemes that are not of the web, the URL parser knows no origin, and keeps the case of the host.
  return url.origin === "null" ? `${url.protocol}//${url.host.toLowerCase()}` : url.origin
}

/** RFC 3986 §3.1. */
const hasScheme = (text: string): boolean => /^[a-z][a-z0-9+.-]*:\/\//i.test(text)

const refusal = (origin: string): string => `The origin ${JSON.stringify(origin)} is not allowed`

/** A host name or address with an optional port, in the form that browsers send: nothing for the URL parser to rewrite. */
const isHost = (host: string): boolean => {
  for (let i = 0; i < host.length; i++) {
    if (!"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:[]".includes(host[i]!)) return false
  }
  return host.length > 0
}

/** The origin of a page of the web: a scheme and a host, nothing besides. */
const webOrigin = (text: string): URL | undefined => {
  const url = parseUrl(text)
  return url === undefined || url.origin === "null" || !isHost(text.slice(url.protocol.length + 2)) ? undefined : url
}

const parseUrl = (text: string): URL | undefined => {
  try {
    return new URL(text)
  } catch {
    return undefined
  }
}
