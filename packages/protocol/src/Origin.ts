/**
 * Which web pages may connect (RFC 6455 §10.2). Browsers tell the page's origin and let any page try; only the server
 * can refuse it.
 *
 * @since 0.1.0
 */

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
 * Throws a `RangeError` for what is no origin, such as a host without a scheme or `"*"`: no page would ever match it.
 *
 * @example
 * ```ts
 * import * as Origin from "@effect-websocket/protocol/Origin"
 *
 * const policy = Origin.allowList(["https://example.com"])
 * console.log(policy({ origin: "https://example.com", host: "api.example.com" })) // undefined
 * console.log(policy({ origin: "https://evil.example", host: "api.example.com" })) // a reason
 * ```
 *
 * @since 0.1.0
 * @category policies
 */
export const allowList = (origins: ReadonlyArray<string>): Policy => {
  const allowed = new Set(origins.map(normalize))
  return predicate((origin) => allowed.has(origin.toLowerCase()))
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
    const page = parseUrl(origin)
    // An origin is a scheme and a host, nothing besides.
    if (page === undefined || page.origin === "null" || !isHost(origin.slice(page.protocol.length + 2))) {
      return refusal(origin)
    }
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

/** Pages without an origin, such as those in a sandbox, send `null`; those of extensions have schemes of their own. */
const normalize = (text: string): string => {
  if (text === "null") return text
  if (text.includes("://") && parseUrl(text) !== undefined) return serializedOrigin(text) ?? text.toLowerCase()
  throw new RangeError(`${JSON.stringify(text)} is no origin, such as "https://example.com"`)
}

const refusal = (origin: string): string => `The origin ${JSON.stringify(origin)} is not allowed`

/** A host name or address with an optional port, in the form that browsers send: nothing for the URL parser to rewrite. */
const isHost = (host: string): boolean => {
  for (let i = 0; i < host.length; i++) {
    if (!"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:[]".includes(host[i]!)) return false
  }
  return host.length > 0
}

/** The origin of a URL as browsers send it: without a path, and without a port that is the default. */
const serializedOrigin = (text: string): string | undefined => {
  const origin = parseUrl(text)?.origin
  return origin === "null" ? undefined : origin
}

const parseUrl = (text: string): URL | undefined => {
  try {
    return new URL(text)
  } catch {
    return undefined
  }
}
