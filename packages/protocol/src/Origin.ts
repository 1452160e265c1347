/**
 * Policies on which web pages may connect (RFC 6455 §10.2). A browser lets any page try and sends the page's origin;
 * only the server can refuse it.
 *
 * @since 0.1.0
 */
import * as HeaderField from "./HeaderField.js"

/**
 * The headers that a policy looks at: `Origin` and `Host`.
 *
 * @since 0.1.0
 * @category models
 */
export interface OriginRequest {
  readonly origin: string | undefined
  readonly host: string | undefined
}

/**
 * Decides on a request: returns `undefined` to allow it, or the reason to refuse it.
 *
 * @since 0.1.0
 * @category models
 */
export type Policy = (request: OriginRequest) => string | undefined

/**
 * Allows every origin. Use it only if the server does not rely on cookies or other credentials of the browser.
 *
 * @since 0.1.0
 * @category policies
 */
export const allowAll: Policy = () => undefined

/**
 * Allows the origins of a list, such as `"https://example.com"`, and requests without an `Origin`, which do not come
 * from browsers.
 *
 * Entries are normalized to the form that browsers send: lower case, host names in Punycode, without a default port,
 * a slash or a path. Schemes of apps and extensions are allowed (`"chrome-extension://…"`,
 * `"capacitor://localhost"`), and so are `"file://"` and `"null"`, which pages without an origin send.
 *
 * Throws a `RangeError` for an entry that no page can match, such as a host without a scheme, a pattern with `*`, or
 * `"wss://example.com"` (an origin has the scheme of the page). Use `predicate` for patterns.
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
 * Allows pages from the host and port that the request goes to, and requests without an `Origin`. The scheme is
 * compared only if `scheme` is given, because a TLS proxy in front of the server changes it.
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
 * Allows the origins for which a predicate returns `true`, and requests without an `Origin`.
 *
 * @since 0.1.0
 * @category policies
 */
export const predicate =
  (isAllowed: (origin: string) => boolean): Policy =>
  ({ origin }) =>
    origin === undefined || isAllowed(origin) ? undefined : refusal(origin)

/**
 * Refuses requests without an `Origin` and applies another policy to the rest. Use it for servers that only web pages
 * use.
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
 * Applies a policy to the headers of a request. Returns `undefined` if the request is allowed, and the reason if not.
 *
 * @since 0.1.0
 * @category checks
 */
export const check = (policy: Policy, headers: HeaderField.Input): string | undefined =>
  policy({ origin: HeaderField.get(headers, "origin"), host: HeaderField.get(headers, "host") })

/** An entry of a list in the form that browsers send. */
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
  // The host may have percent-encoding if the scheme is not one of the web.
  const isPlain = url.host === "" || isHost(url.host.replaceAll("%", ""))
  if (!isPlain || url.username !== "" || url.password !== "" || /\s/.test(text)) {
    throw useless("an origin is a scheme and a host")
  }
  if ((url.protocol === "file:") !== (url.host === ""))
    throw useless("only file:// has no host, and an origin is a scheme and a host")
  // For other schemes the URL parser has no origin and keeps the case of the host.
  return url.origin === "null" ? `${url.protocol}//${url.host.toLowerCase()}` : url.origin
}

/** RFC 3986 §3.1. */
const hasScheme = (text: string): boolean => /^[a-z][a-z0-9+.-]*:\/\//i.test(text)

const refusal = (origin: string): string => `The origin ${JSON.stringify(origin)} is not allowed`

/** Whether a text is a host name or address with an optional port, in a form that the URL parser does not rewrite. */
const isHost = (host: string): boolean => {
  for (let i = 0; i < host.length; i++) {
    if (!"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:[]".includes(host[i]!)) return false
  }
  return host.length > 0
}

/** The URL of a web origin: a scheme and a host, nothing else. */
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
