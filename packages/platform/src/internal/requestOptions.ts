import * as Redacted from "effect/Redacted"
import type { RequestParts, RequestSource } from "../engine/client/ClientRequest.js"
import type * as ClientRequest from "../engine/client/ClientRequest.js"
import { parseBase, type ParsedUrl } from "../engine/client/Url.js"
import type { ClientMakeOptions, Credentials, RequestOptions } from "../Options.js"
import { isCookies, toCookieHeader, urlParamsFromInput } from "./http.js"

/** The options of a client and of one `connect` as plain values. Throws for those that make no sense. */
export const resolveRequest = (
  baseUrl: ClientMakeOptions["baseUrl"],
  schemes: ReadonlyArray<string>,
  client: RequestOptions,
  connection: RequestOptions
): RequestParts => ({
  client: sourceOf(client),
  connection: sourceOf(connection),
  base: parseBaseUrl(baseUrl, schemes),
  schemes,
  query: urlParamsFromInput(connection.query ?? client.query ?? []),
  origin: connection.origin ?? client.origin,
  userAgent: connection.userAgent ?? client.userAgent,
  cookies: resolveCookies(connection.cookies ?? client.cookies ?? {})
})

/** Throws a `RangeError` for a `baseUrl` that cannot be used. */
export const checkBase = (baseUrl: ClientMakeOptions["baseUrl"], schemes: ReadonlyArray<string>): void => {
  parseBaseUrl(baseUrl, schemes)
}

/** Parses a `baseUrl`, if there is one. Throws a `RangeError` for one that cannot be used. */
export const parseBaseUrl = (
  baseUrl: ClientMakeOptions["baseUrl"],
  schemes: ReadonlyArray<string>
): ParsedUrl | undefined => (baseUrl === undefined ? undefined : parseBase(reveal(baseUrl), schemes))

/** The headers and credentials of one set of options. */
export const sourceOf = ({ auth, headers }: Pick<RequestOptions, "auth" | "headers">): RequestSource => ({
  headers,
  credentials: auth && resolveCredentials(auth)
})

const resolveCredentials = (auth: Credentials): ClientRequest.Credentials =>
  "token" in auth
    ? { token: Redacted.value(auth.token) }
    : { username: auth.username, password: Redacted.value(auth.password) }

const resolveCookies = (cookies: NonNullable<RequestOptions["cookies"]>): RequestParts["cookies"] => {
  if (isCookies(cookies)) return toCookieHeader(cookies)
  // An app without types may pass the text of a header.
  if (typeof cookies !== "object" || Symbol.iterator in cookies) {
    throw new TypeError("cookies must be Cookies, or a record of values by name")
  }
  return cookies
}

const reveal = (url: string | URL | Redacted.Redacted<string>): string | URL =>
  Redacted.isRedacted(url) ? Redacted.value(url) : url
